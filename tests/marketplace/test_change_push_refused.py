"""What a push to an Environment is refused for. Whoever pushed reads why and where; nothing at all has changed."""

import base64
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from catalyst.core.gitops import yaml
from catalyst.core.gitops.push_protocol import NOTHING
from marketplace.models import Application, EnvironmentPolicy
from marketplace.services import change_push, change_push_files
from marketplace.services.change_push_branches import follow_branches
from tenancy.models import Environment, Membership, Organization, Sovereign, User
from tests.factories import MembershipFactory
from tests.marketplace.change_push_desk import BRANCH, ChangeDesk, intent, open_change_desk, open_wiki_desk, path_of
from tests.marketplace.deliver_rows import LATER
from tests.marketplace.push_desk import git, said, token_for

pytestmark = pytest.mark.django_db(transaction=True)

KEY = f"ghp_{'a1B2c3' * 6}"


@pytest.fixture
def desk(
    sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any, tmp_path: Path
) -> ChangeDesk:
    return open_change_desk(open_wiki_desk(organization, org_admin), tmp_path / "work")


def refused(desk: ChangeDesk, **how: Any) -> str:
    """Push, prove that nothing changed, and return what the person read."""
    before = desk.everything()
    told = desk.send(**how)
    assert desk.everything() == before
    assert "nothing has changed; see above" in told
    return told.partition("\n0")[0]


REFERENCES = [
    ("refs/heads/main", "Only the platform writes main. Push a branch instead: git push origin HEAD:change/my-change"),
    ("refs/tags/v1", "An Environment has no tags."),
    ("refs/heads/feature", "Only branches like change/my-change can be pushed"),
    ("refs/heads/change/-x", "Only branches like change/my-change can be pushed"),
    ("refs/heads/change/a/b", "Only branches like change/my-change can be pushed"),
    ("refs/heads/change/..", "Only branches like change/my-change can be pushed"),
    (f"refs/heads/change/{'a' * 64}", "Only branches like change/my-change can be pushed"),
    ("refs/catalyst/pushed", "Only branches like change/my-change can be pushed"),
]


def test_only_branches_for_changes_move(desk: ChangeDesk) -> None:
    desk.commit(desk.edited(config={"title": "A"}))
    before = desk.everything()
    body = desk.body()
    for reference, sentence in REFERENCES:
        length = int(body[:4], 16) + len(reference) - len(f"refs/heads/{BRANCH}")
        other = f"{length:04x}".encode() + body[4:].replace(f"refs/heads/{BRANCH}".encode(), reference.encode())

        told = desk.receive(other)

        assert sentence in told
        assert f"ng {reference} " in told
    assert desk.everything() == before
    assert "Accepted" in desk.receive(body)  # control: the same push of an allowed branch


def test_main_and_branches_of_nobody_cannot_be_deleted(desk: ChangeDesk) -> None:
    for branch, sentence in (("main", "Only the platform writes main."), (BRANCH, "is elsewhere by now")):
        line = f"{'a' * 40} {NOTHING} refs/heads/{branch}\0 report-status side-band-64k\n".encode()
        before = desk.everything()

        assert sentence in desk.receive(f"{len(line) + 4:04x}".encode() + line + b"0000")
        assert desk.everything() == before


def test_the_branch_must_begin_at_the_newest_commit(desk: ChangeDesk) -> None:
    git("checkout", "--quiet", "--orphan", "new", folder=desk.folder)
    desk.commit()
    assert "Run git fetch origin, then git rebase origin/main, and push again." in refused(desk)

    desk.reset()
    desk.commit(desk.edited(config={"title": "A"}))
    git("checkout", "--quiet", "-b", "side", "origin/main", folder=desk.folder)
    desk.commit({"README.md": b"x\n"})
    git("merge", "--quiet", "--no-edit", "new", "main", folder=desk.folder)
    git("merge", "--quiet", "--no-ff", "--no-edit", "main", folder=desk.folder)
    assert "is a merge. Run git rebase origin/main instead" in refused(desk)


def _a_link(desk: ChangeDesk) -> None:
    (desk.folder / "README.md").unlink()
    (desk.folder / "README.md").symlink_to("/etc/passwd")


def _a_program(desk: ChangeDesk) -> None:
    (desk.folder / "README.md").chmod(0o755)


def _a_file_for_a_folder(desk: ChangeDesk) -> None:
    git("rm", "-r", "--quiet", "apps", folder=desk.folder)
    (desk.folder / "apps").write_text("x\n")


def _a_submodule(desk: ChangeDesk) -> None:
    git("update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},apps/sub", folder=desk.folder)


def _written(path: str, content: bytes) -> Callable[[ChangeDesk], None]:
    def write(desk: ChangeDesk) -> None:
        (desk.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (desk.folder / path).write_bytes(content)

    return write


FILES: list[tuple[Callable[[ChangeDesk], None], str]] = [
    (_a_link, "README.md:0: refused file_refused: This is a link, a submodule, or marked as a program."),
    (_a_program, "README.md:0: refused file_refused: This is a link, a submodule, or marked as a program."),
    (_a_file_for_a_folder, "apps:0: refused path_refused: This file has no place in an Environment."),
    (_a_submodule, "apps/sub:0: refused path_refused"),
    (_written("README.md", b"\xff\xfe"), "README.md:0: refused file_refused: The file is not UTF-8. Re-encode it."),
    (_written("README.md", b"a\nb\x00\n"), "README.md:2: refused file_refused: The file holds characters"),
    (_written("README.md", b"x" * 300_000), "README.md:0: refused file_refused: The file is longer than 256 KiB."),
    (_written("README.md", f"a\n{KEY}\n".encode()), "README.md:2: refused secret_in_text: This looks like a secret"),
    (_written("docs/notes.md", b"x\n"), "docs/notes.md:0: refused path_refused"),
    (_written("apps/a/b/c/d/e.yaml", b"x\n"), "apps/a/b/c:0: refused path_refused"),
    (_written(".github/workflows/x.yaml", b"x\n"), ".github/workflows/x.yaml:0: refused path_refused"),
    (_written("apps/kustomization/application.yaml", b"x\n"), "apps/kustomization/application.yaml:0: refused path"),
    (_written("apps/Wiki/application.yaml", b"x\n"), "apps/Wiki/application.yaml:0: refused path_refused"),
    (
        _written("apps/w\x1b[2Jiki/application.yaml", b"x\n"),
        "apps/w\N{REPLACEMENT CHARACTER}[2Jiki/application.yaml:0:",
    ),
    (_written("apps/new/objects.yaml", b"x\n"), "apps/new/objects.yaml:0: refused path_refused"),
    (
        _written("apps/wiki/objects.yaml", b"kind: List\n"),
        "from what is asked for. Take it from main: git checkout origin/main -- apps/wiki/objects.yaml",
    ),
    (_written(".catalyst/lock.yaml", b"x\n"), ".catalyst/lock.yaml:0: refused rendered_file"),
    (_written("flux/wiki.yaml", b"x\n"), "flux/wiki.yaml:0: refused rendered_file"),
]


def test_only_files_that_people_write_may_differ(desk: ChangeDesk) -> None:
    for change, line in FILES:
        desk.reset()
        git("clean", "-dfqx", folder=desk.folder)
        change(desk)
        if change is _a_submodule:
            git("commit", "--quiet", "--message=x", folder=desk.folder)
        else:
            desk.commit()

        assert line in refused(desk)


def test_what_an_earlier_commit_holds_is_refused_too(desk: ChangeDesk) -> None:
    earlier = desk.commit({"README.md": f"{KEY}\n".encode()})
    desk.commit({"README.md": b"# Ours\n"})
    assert f"{earlier[:8]}:README.md:1: refused secret_in_text" in refused(desk)

    desk.reset()
    said_in = desk.commit({"README.md": b"# Ours\n"}, message=f"x\n\n{KEY}")
    assert f"{said_in[:8]}::0: refused secret_in_text" in refused(desk)


def test_what_no_commit_names_does_not_come_in(desk: ChangeDesk) -> None:
    desk.commit({"README.md": b"# Ours\n"})
    hidden = git("hash-object", "-w", "CODEOWNERS", folder=desk.folder)
    assert hidden.returncode == 0
    (desk.folder / "hidden").write_text(KEY)
    stray = git("hash-object", "-w", "hidden", folder=desk.folder).stdout.strip()

    told = refused(desk, more=(stray,))

    assert "This push holds objects that none of its commits needs." in told


def test_more_than_fifty_files_are_refused(desk: ChangeDesk) -> None:
    desk.commit({path_of(f"n{number}"): intent(f"n{number}", "board", "^1.0") for number in range(51)})

    assert "refused too_many_files: More than 50 files differ from main. Push fewer of them at once." in refused(desk)


def test_a_repository_holds_so_many_branches_and_no_more(desk: ChangeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_push, "MAX_BRANCHES", 1)
    desk.commit(desk.edited(config={"title": "A"}))
    assert "Accepted" in desk.send()

    assert "1 branches wait here already." in refused(desk, branch="change/other")


INTENTS: list[tuple[dict[str, bytes | None] | Callable[[ChangeDesk], dict[str, bytes | None]], str]] = [
    ({path_of("a1"): b"a: &x [1]\nb: *x\n"}, "apps/a1/application.yaml:1: refused yaml_refused: "),
    ({path_of("a1"): b"a: 1\na: 2\n"}, "apps/a1/application.yaml:2: refused yaml_refused: "),
    ({path_of("a1"): b"a: 1\n---\nb: 2\n"}, "refused yaml_refused: Exactly one document is expected, there are 2."),
    ({path_of("a1"): b"a: !!python/object:os.system x\n"}, "apps/a1/application.yaml:1: refused yaml_refused: "),
    ({path_of("a1"): intent("a2", "board", "^1.0")}, "application.yaml:4: refused manifests_refused metadata.name: "),
    (
        {path_of("a1"): intent("a1", "board", "^1.0", replicas=3)},
        "refused manifests_refused spec.replicas: There is no",
    ),
    ({path_of("a1"): intent("a1", "board", "latest")}, "application.yaml:7: refused range_refused spec.constraint: "),
    ({path_of("a1"): intent("a1", "board", "^9.0")}, "refused unresolvable: "),
    ({path_of("a1"): intent("a1", "nothing", "^1.0")}, "refused unresolvable: "),
    (
        {path_of("a1"): intent("a1", "board", "^1.0", state="paused")},
        "application.yaml:8: refused intent_refused spec.state",
    ),
    (
        {path_of("a1"): intent("a1", "board", "^1.0", config={"taste": "x"})},
        "application.yaml:7: refused configuration",
    ),
    (
        {path_of("a1"): intent("a1", "board", "^1.0", config={"color": "a\x00"})},
        "refused configuration spec.config.color",
    ),
    ({path_of("a1"): intent("a1", "board", "^1.0", size="huge")}, "refused manifests_refused spec.size: "),
    ({path_of("a1"): intent("a1", "board", "^1.0", placement={"mode": "multi-region"})}, "refused placement_refused"),
    ({path_of("shared-sql"): None}, "refused needed: shared-sql is needed: wiki → shared-sql."),
    (lambda desk: desk.edited(blueprint="bp-board"), "refused intent_refused spec.blueprint: An Application keeps its"),
    (lambda desk: desk.edited(bindings={"db": {"application": "other"}}), "refused intent_refused spec.bindings.db"),
    (lambda desk: desk.edited(config={"mailKey": "canary"}), "refused configuration spec.config.mailKey: "),
    (
        lambda desk: desk.edited(config={"title": "q7Zx9LmT2vRb8KwYp4NcHs6D"}),
        "refused secret_in_text spec.config.title: ",
    ),
    (lambda desk: desk.edited(), "Nothing was changed."),
]


def test_what_is_asked_for_is_judged_where_it_stands(desk: ChangeDesk) -> None:
    for files, line in INTENTS:
        desk.reset()
        desk.commit(files(desk) if callable(files) else files)

        told = refused(desk)

        assert line in told
        assert "canary" not in told
        assert "q7Zx9LmT2vRb8KwYp4NcHs6D" not in told


def test_all_problems_of_all_files_are_told_at_once(desk: ChangeDesk) -> None:
    desk.commit(
        {
            path_of("notices"): intent("notices", "board", "^1.0", config={"taste": "x"}),
            **desk.edited(config={"mailKey": "canary", "nothing": "x"}),
        }
    )

    told = refused(desk)

    assert [line.partition(": refused ")[0] for line in told.splitlines()] == [
        "apps/notices/application.yaml:7",
        "apps/wiki/application.yaml:8",
        "apps/wiki/application.yaml:9",
    ], told


def test_what_the_plan_does_not_hold_is_refused(desk: ChangeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    Application.objects.filter(slug="wiki").update(is_protected=True)
    desk.commit({path_of("wiki"): None})

    assert "apps/wiki/application.yaml:0: refused protected: wiki is protected from deletion." in refused(desk)


def test_nothing_is_pushed_while_another_change_is_being_saved(desk: ChangeDesk) -> None:
    desk.commit(desk.edited(config={"title": "A"}))
    assert "Applied" in desk.send(options=("catalyst.apply",))
    follow_branches(environment_id=desk.desk.environment().pk, now=LATER)
    desk.commit(desk.edited(config={"title": "B"}))

    assert "refused change_in_progress: Another change of this Environment is being saved." in refused(
        desk, branch="change/other"
    )


def test_a_rule_of_the_environment_holds_for_a_push_too(desk: ChangeDesk) -> None:
    environment = Environment.objects.get()
    rules = [{"kind": "pr-required", "approvers": ["org-admin"], "minApprovals": 1}]
    EnvironmentPolicy.objects.create(
        organization=environment.organization, environment=environment, rules=rules, updated_by=desk.desk.buyer
    )
    desk.commit(desk.edited(config={"title": "A"}))

    told = desk.send(options=("catalyst.apply",))

    assert "Not applied. " in told
    assert desk.branches() == {BRANCH: desk.head()}
    assert desk.desk.environment().head_commit == desk.desk.repository().head()


def test_who_may_push_but_not_apply_is_told_so(desk: ChangeDesk) -> None:
    desk.commit(desk.edited(config={"title": "A"}))

    told = desk.receive(desk.body(options=("catalyst.apply",)), may_apply=False)

    assert "Not applied. Your role, or this token, does not allow applying." in told


def test_the_git_program_shows_the_refusals(desk: ChangeDesk, live_server: Any) -> None:
    desk.server = live_server.url
    desk.commit({"README.md": random.Random(4).randbytes(1_200_000)})
    before = desk.everything()

    too_large = desk.push()
    other = desk.push(source="origin/main:refs/heads/main", token=desk.token)
    tag = desk.push(source="HEAD~1:refs/tags/v1")

    assert said(too_large) == ["This push has more than 1 MiB. Push less at once."]
    assert (too_large.returncode, tag.returncode, other.stderr) == (1, 1, "Everything up-to-date\n")
    assert said(tag)[0].startswith("An Environment has no tags.")
    assert desk.everything() == before


RIGHTS: list[tuple[str, dict[str, Any], int]] = [
    (Membership.Role.ADMIN, {}, 200),
    (Membership.Role.DEVELOPER, {}, 200),
    (Membership.Role.VIEWER, {}, 403),
    (Membership.Role.SECURITY, {}, 403),
    (Membership.Role.BILLING, {}, 403),
    (Membership.Role.DEVELOPER, {"scopes": ["git.read"]}, 403),
    (Membership.Role.DEVELOPER, {"scopes": ["git.push"]}, 200),
    (Membership.Role.DEVELOPER, {"env_type": "dev"}, 404),
]


def test_who_may_push(desk: ChangeDesk, stranger: User) -> None:
    organization = desk.desk.organization
    for role, limits, status in RIGHTS:
        user = MembershipFactory.create(organization=organization, role=role).user
        more = {"organization": organization} if "env_type" in limits else {}
        assert _asked(token_for(user, **limits, **more)) == (status, status)
    assert _asked(token_for(stranger)) == _asked(token_for(stranger), "acme-dev") == (404, 404)


def _asked(token: str, environment: str = "acme-prod") -> tuple[int, int]:
    headers = {"Authorization": f"Basic {base64.b64encode(f'me:{token}'.encode()).decode()}"}
    place = f"/git/acme/{environment}.git"
    asked = Client().get(f"{place}/info/refs?service=git-receive-pack", headers=headers)
    kind = "application/x-git-receive-pack-request"
    sent = Client().post(f"{place}/git-receive-pack", b"0000", content_type=kind, headers=headers)
    return asked.status_code, sent.status_code


def test_limits_are_what_the_refusals_say() -> None:
    assert (change_push_files.MAX_FILES, change_push.MAX_BRANCHES, yaml.MAX_BYTES) == (50, 100, 256 * 1024)
