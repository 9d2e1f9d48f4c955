"""What a push is refused for. Whoever pushed reads why; the server has what it had: no commit, no row, no object."""

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.test import Client

from catalyst.core.gitops.push_protocol import NOTHING
from catalyst.core.models import Outbox
from marketplace.models import Blueprint, BlueprintVersion, TrustedKey
from marketplace.services import push_judge
from marketplace.services.blueprint_lint import Published, Shelf, lint_files
from tenancy.models import AuditEntry, Membership, Organization, Sovereign, User
from tests.factories import MembershipFactory
from tests.marketplace.catalogue_rows import add_blueprint, add_version
from tests.marketplace.push_desk import (
    NAME,
    SHARED,
    PushDesk,
    blueprint_files,
    git,
    next_version,
    open_push_desk,
    said,
    token_for,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(
    sovereign: Sovereign, organization: Organization, catalyst_home: Any, live_server: Any, tmp_path: Path
) -> PushDesk:
    return open_push_desk(live_server.url, tmp_path / "work", organization)


def refused(desk: PushDesk, *options: str, **how: Any) -> list[str]:
    """Push, prove that nothing changed, and return what the person read."""
    before = (desk.main(), desk.objects(), rows())
    done = desk.push(*options, **how)
    assert done.returncode != 0, done.stderr
    assert (desk.main(), desk.objects(), rows()) == before
    assert "! [remote rejected]" in done.stderr or "error:" in done.stderr
    return said(done)


def rows() -> list[int]:
    events = Outbox.objects.filter(topic__startswith="blueprint.").count()
    return [BlueprintVersion.objects.count(), Blueprint.objects.count(), events]


@pytest.fixture
def pushed(desk: PushDesk) -> PushDesk:
    """A repository that has one version already."""
    desk.commit(blueprint_files())
    assert desk.push().returncode == 0
    return desk


def test_the_finding_is_that_of_the_linter_word_for_word(pushed: PushDesk) -> None:
    files = next_version(blueprint_files(), "1.1.0")
    files["manifests/base/deployment.yaml"] = files["manifests/base/deployment.yaml"].replace(
        b"runAsNonRoot: true", b"runAsNonRoot: false"
    )
    pushed.commit(files)
    known = {"bp-handbook": (Published("1.0.0", "", {}),)}
    expected = lint_files(files, shelf=Shelf(published=known, source="org"), folder=NAME)
    assert [each.rule for each in expected] == ["BP-X04"]

    lines = refused(pushed)

    assert lines == [f"{NAME}/{each.as_line()}" for each in expected]
    assert lines[0].startswith(f"{NAME}/manifests/base/deployment.yaml:")


def test_every_finding_of_every_folder_is_told(pushed: PushDesk) -> None:
    pushed.write({**blueprint_files("bp-store"), "card/description.md": b""}, below="bp-store/")
    pushed.commit({**next_version(blueprint_files(), "1.1.0"), "card/description.ar.md": b""})

    rules = [line.split(" refused ")[1].split(":")[0] for line in refused(pushed)]

    assert rules == ["BP-C01", "BP-C01"]


def test_a_published_version_stays_what_it_is(pushed: PushDesk) -> None:
    pushed.commit(blueprint_files(title="Other words"))

    (line,) = refused(pushed)

    assert line.startswith(f"{NAME}/blueprint.yaml:5: refused BP-N03 metadata.version: ")
    assert line.endswith("This version is published with other bytes. (1.0.0) Raise the version.")


def test_what_the_catalogue_would_not_keep_is_refused_too(desk: PushDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the linter ever pass what the catalogue refuses, ``main`` must not move to it."""
    monkeypatch.setattr(push_judge, "lint_files", lambda *_arguments, **_named: ())
    desk.commit({**blueprint_files(), "card/description.md": b""})

    assert refused(desk) == [
        f"{NAME}/blueprint.yaml:0: refused BP-C01 card/description.md: The description is missing. Write it."
    ]


def test_a_name_that_comes_from_a_registry_stays_there(desk: PushDesk, organization: Organization) -> None:
    key = TrustedKey.objects.create(
        publisher="Notes",
        location="registry.example.om/org-acme",
        source="org",
        organization=organization,
        public_key="x",
        fingerprint=f"sha256:{'0' * 64}",
        added_by="staff",
    )
    wiki = add_blueprint("wiki", organization=organization, price=None)
    version = add_version(wiki, "1.1.0")
    BlueprintVersion.objects.create(
        blueprint=wiki, version="1.2.0", major=1, minor=2, patch=0, digest=version.digest, contract={}, files={},
        signer=key, reference="registry.example.om/org-acme/bp-wiki",
    )  # fmt: skip
    desk.commit(blueprint_files("bp-wiki"), below="bp-wiki/")

    assert "bp-wiki comes from registry.example.om/org-acme, and from no other place." in "\n".join(refused(desk))


def test_a_dependency_must_be_there(desk: PushDesk, organization: Organization) -> None:
    edge = {"blueprint": "bp-nowhere", "version": "^1.0", "alias": "db", "sharing": "shared"}
    desk.commit(blueprint_files(depends=[edge]))

    (line,) = [each for each in refused(desk) if "BP-D02" in each]

    assert "(bp-nowhere ^1.0) Publish the dependency first, or widen the range." in line


def _a_link(desk: PushDesk) -> None:
    (desk.folder / NAME / "README.md").unlink()
    (desk.folder / NAME / "README.md").symlink_to("/etc/passwd")


def _a_program(desk: PushDesk) -> None:
    (desk.folder / NAME / "README.md").chmod(0o755)


def _a_picture(desk: PushDesk) -> None:
    (desk.folder / NAME / "shelf.webp").write_bytes(b"RIFF")


def _no_text(desk: PushDesk) -> None:
    (desk.folder / NAME / "README.md").write_bytes(b"\xff\xfe")


def _a_file_beside(desk: PushDesk) -> None:
    (desk.folder / "README.md").write_text("Ours\n")


def _another_name(desk: PushDesk) -> None:
    (desk.folder / NAME).rename(desk.folder / "bp-manual")


def _without_prefix(desk: PushDesk) -> None:
    (desk.folder / NAME).rename(desk.folder / "handbook")


def _too_many_files(desk: PushDesk) -> None:
    for number in range(200):
        (desk.folder / NAME / f"n{number}.md").write_text("x\n")


def _two_cases(desk: PushDesk) -> None:
    (desk.folder / NAME / "Readme.md").write_text("x\n")


def _public(desk: PushDesk) -> None:
    desk.write(blueprint_files(visibility="listed"))


def _flux(desk: PushDesk) -> None:
    files = blueprint_files()
    files["manifests/base/others.yaml"] += b"---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\n"
    desk.write({**files, "manifests/base/others.yaml": files["manifests/base/others.yaml"] + b"metadata: {name: x}\n"})


FOLDERS: list[tuple[Callable[[PushDesk], None], str]] = [
    (_a_link, "bp-handbook/README.md:0: refused BP-M06: This is a link, a submodule, or marked as a program."),
    (_a_program, "bp-handbook/README.md:0: refused BP-M06: This is a link, a submodule, or marked as a program."),
    (_a_picture, "bp-handbook/shelf.webp:0: refused BP-M06: Files of this kind cannot be pushed."),
    (_no_text, "bp-handbook/README.md:0: refused BP-M06: The file is not UTF-8."),
    (_a_file_beside, "README.md:0: refused BP-M06: Only folders of Blueprints may stand here"),
    (_without_prefix, "handbook:0: refused BP-M06: Only folders of Blueprints may stand here"),
    (_another_name, "bp-manual/blueprint.yaml:4: refused BP-N02"),
    (_too_many_files, "refused BP-M06: The folder is too large: at most 200 files and 5 MiB."),
    (_two_cases, "bp-handbook:0: refused BP-M06"),
    (_public, "bp-handbook/blueprint.yaml:"),
    (_flux, "refused BP-X08"),
]


@pytest.mark.parametrize(("spoil", "words"), FOLDERS, ids=[spoil.__name__[1:] for spoil, _words in FOLDERS])
def test_a_folder_that_is_no_blueprint(desk: PushDesk, spoil: Callable[[PushDesk], None], words: str) -> None:
    desk.write(blueprint_files())
    spoil(desk)
    desk.commit()

    assert words in "\n".join(refused(desk))


def test_a_submodule_is_refused(desk: PushDesk) -> None:
    desk.write(blueprint_files())
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},{NAME}/module", folder=desk.folder)
    git("commit", "--quiet", "--message=x", folder=desk.folder)

    assert "This is a link, a submodule, or marked as a program." in "\n".join(refused(desk))


@pytest.mark.parametrize("source", ["HEAD:refs/heads/other", "HEAD:refs/tags/v1", "HEAD:refs/catalyst/pushed"])
def test_only_main_moves_and_it_stays(pushed: PushDesk, source: str) -> None:
    pushed.commit(next_version(blueprint_files(), "1.1.0"))

    assert refused(pushed, source=source) == ["Only the branch main can be pushed: git push origin HEAD:main."]


def test_main_is_not_deleted(pushed: PushDesk) -> None:
    """The git program knows that we cannot; one of bad will asks all the same."""
    assert refused(pushed, source=":refs/heads/main") == []
    line = f"{pushed.main()} {NOTHING} refs/heads/main\0 report-status side-band-64k\n".encode()

    answered = post(pushed, f"{len(line) + 4:04x}".encode() + line + b"0000")

    assert b"The branch main cannot be deleted." in answered.content
    assert pushed.main() == pushed.head()


def test_history_is_not_rewritten(pushed: PushDesk) -> None:
    git("commit", "--amend", "--quiet", "--message=other", folder=pushed.folder)

    assert refused(pushed, "--force") == [
        "This push would lose commits of main. Run git pull --rebase and push again, without --force."
    ]


def test_a_branch_that_is_elsewhere_is_not_moved(pushed: PushDesk, tmp_path: Path) -> None:
    git("clone", "--quiet", pushed.address(), "late", folder=tmp_path)
    pushed.commit(next_version(blueprint_files(), "1.1.0"))
    pushed.push()
    late = tmp_path / "late"
    (late / NAME / "README.md").write_text("late\n")
    git("commit", "--all", "--quiet", "--message=x", folder=late)

    done = git("push", pushed.address(), "HEAD:refs/heads/main", folder=late)

    assert (done.returncode, "[rejected]" in done.stderr) == (1, True)


def test_too_large_a_push_is_refused_in_words(desk: PushDesk) -> None:
    noise = {f"noise{number}.txt": Random(number).randbytes(2_400_000).hex().encode() for number in range(3)}
    desk.commit({**blueprint_files(), **noise})
    git("config", "http.postBuffer", "20000000", folder=desk.folder)

    assert refused(desk) == ["This push has more than 5 MiB. Push fewer Blueprints at once."]


def test_a_push_in_pieces_says_how_to_send_it_in_one(desk: PushDesk) -> None:
    noise = Random(1).randbytes(1_500_000).hex().encode()
    desk.commit({**blueprint_files(), "noise.txt": noise})

    assert refused(desk) == ["Send the push in one piece: git config http.postBuffer 6291456, then push again."]


def test_one_file_that_unpacks_to_more_than_it_says_is_refused(desk: PushDesk) -> None:
    desk.commit({**blueprint_files(), "zeros.txt": b"0" * (6 * 1024 * 1024)})

    (line,) = refused(desk)

    assert line.startswith("This push is too large: at most 5 MiB a file")


def test_objects_that_speak_of_missing_ones_are_refused(desk: PushDesk) -> None:
    """A client of bad will: a commit whose tree did not come along."""
    tree = b"1" * 40
    commit = b"tree " + tree + b"\nauthor a <a@a> 1 +0000\ncommitter a <a@a> 1 +0000\n\nx\n"
    made = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
        cwd=desk.folder, input=commit, capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    packed = subprocess.run(
        ["git", "pack-objects", "--stdout"],
        cwd=desk.folder,
        input=f"{made}\n".encode(),
        capture_output=True,
        check=True,
    ).stdout
    line = f"{NOTHING} {made} refs/heads/main\0 report-status side-band-64k\n".encode()
    body = f"{len(line) + 4:04x}".encode() + line + b"0000" + packed
    before = desk.objects()

    answered = post(desk, body)

    assert b"Git does not accept these objects." in answered.content
    assert (desk.main(), desk.objects()) == ("", before)


def post(desk: PushDesk, body: bytes, *, token: str = "", place: str = SHARED) -> Any:
    credential = base64.b64encode(f"me:{token or desk.token}".encode()).decode()
    return Client().post(
        f"/git/{place}.git/git-receive-pack",
        data=body,
        content_type="application/x-git-receive-pack-request",
        headers={"Authorization": f"Basic {credential}"},
    )


def test_knocking_is_answered(desk: PushDesk) -> None:
    answered = post(desk, b"0000")

    assert (answered.status_code, answered.content) == (200, b"")


@pytest.mark.parametrize("role", [Membership.Role.VIEWER, Membership.Role.SECURITY, Membership.Role.BILLING])
def test_a_member_without_the_right_may_not_push(pushed: PushDesk, organization: Organization, role: str) -> None:
    member = MembershipFactory.create(organization=organization, role=role).user
    pushed.commit(next_version(blueprint_files(), "1.1.0"))

    refused(pushed, token=token_for(member))
    assert post(pushed, b"0000", token=token_for(member)).status_code == 403


def test_a_token_is_never_wider_than_it_says(pushed: PushDesk, organization: Organization) -> None:
    limits: list[tuple[dict[str, Any], int]] = [
        ({"scopes": ["git.read"]}, 403),
        ({"scopes": ["blueprint.publish"]}, 200),
        ({"organization": organization}, 200),
        ({"organization": organization, "env_type": "prod"}, 404),
    ]

    found = [post(pushed, b"0000", token=token_for(pushed.user, **limit)).status_code for limit, _status in limits]

    assert found == [status for _limit, status in limits]


def test_a_stranger_cannot_tell_it_from_a_missing_one(pushed: PushDesk, stranger: User) -> None:
    token = token_for(stranger)

    foreign = post(pushed, b"0000", token=token)
    missing = post(pushed, b"0000", token=token, place="nobody/shared-blueprints")

    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert foreign.content == missing.content


def test_a_farther_name_is_taken_over_only_when_that_is_said(pushed: PushDesk) -> None:
    add_blueprint("wiki")
    pushed.commit(blueprint_files("bp-wiki"), below="bp-wiki/")

    (line,) = refused(pushed)

    assert line == (
        "bp-wiki/blueprint.yaml:4: refused BP-N06 metadata.name: bp-wiki exists already (public), and this one would "
        "take its place for everybody who sees it. Choose another name, or say that you mean it: "
        "git push -o shadows=bp-wiki."
    )
    assert refused(pushed, "-o", "shadows=bp-other") == [line]
    assert pushed.push("-o", "shadows=bp-wiki").returncode == 0


def test_a_draft_of_the_sovereign_is_no_name_that_a_member_may_hear_of(pushed: PushDesk) -> None:
    add_blueprint("wiki", source="sovereign", visibility="private")
    pushed.commit(blueprint_files("bp-wiki"), below="bp-wiki/")

    assert pushed.push().returncode == 0


def test_too_many_at_once_and_too_long_are_refused(pushed: PushDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed.commit(blueprint_files("bp-wiki"), below="bp-wiki/")
    monkeypatch.setattr(push_judge, "JUDGE_SECONDS", -1.0)
    assert refused(pushed) == ["Judging this push takes too long. Push fewer Blueprints at once."]

    monkeypatch.setattr(push_judge, "MAX_BLUEPRINTS", 0)
    assert refused(pushed) == ["Push at most 0 changed Blueprints at once."]
    assert not AuditEntry.objects.filter(target="blueprint:bp-wiki").exists()
