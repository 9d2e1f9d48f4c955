"""A developer pushes Blueprints with the real git program: what is accepted is in the catalogue at once."""

from pathlib import Path
from typing import Any

import pytest

from catalyst.core.models import Outbox
from marketplace.models import Blueprint, BlueprintVersion, SourceRepository
from marketplace.services.blueprint_folder import digest_of
from tenancy.models import AuditEntry, Membership, Organization, Sovereign
from tests.marketplace.push_desk import NAME, PushDesk, blueprint_files, git, next_version, open_push_desk, said

pytestmark = pytest.mark.django_db(transaction=True)

MYSQL = {"blueprint": "bp-mysql", "version": "^1.0", "alias": "db", "sharing": "shared"}


@pytest.fixture
def desk(
    sovereign: Sovereign, organization: Organization, catalyst_home: Any, live_server: Any, tmp_path: Path
) -> PushDesk:
    return open_push_desk(live_server.url, tmp_path / "work", organization)


def published() -> dict[str, str]:
    rows = BlueprintVersion.objects.filter(blueprint__source="org").order_by("blueprint__name", "version")
    return {f"{row.blueprint.name} {row.version}": row.state for row in rows.select_related("blueprint")}


def test_a_push_is_in_the_catalogue_when_it_ends(desk: PushDesk, organization: Organization) -> None:
    files = blueprint_files(depends=[MYSQL])
    commit = desk.commit(files)

    done = desk.push()

    assert (done.returncode, said(done)[-1]) == (0, "bp-handbook 1.0.0 is published for your Organization.")
    version = BlueprintVersion.objects.select_related("blueprint").get(blueprint__name=NAME)
    texts = {path: content.decode() for path, content in files.items()}
    assert (version.files, version.digest, version.commit) == (texts, digest_of(texts), commit)
    assert (version.state, version.signer_id, version.reference) == ("published", None, "")
    blueprint = version.blueprint
    assert (blueprint.source, blueprint.organization_id, blueprint.visibility) == ("org", organization.pk, "private")
    assert (blueprint.title, blueprint.state, blueprint.category.slug) == ("Handbook", "now", "knowledge-base")
    assert SourceRepository.objects.get().taken_commit == desk.main() == commit


def test_the_audit_trail_and_the_log_say_who_published_what(desk: PushDesk, organization: Organization) -> None:
    commit = desk.commit(blueprint_files())
    desk.push()

    entry = AuditEntry.objects.get(action="blueprint.published")
    assert (entry.stream, entry.actor) == (f"organization:{organization.pk}", f"user:{desk.user.uuid}")
    assert (entry.target, entry.detail["version"], entry.detail["commit"]) == (f"blueprint:{NAME}", "1.0.0", commit)
    event = Outbox.objects.get(topic="blueprint.published")
    assert event.payload == {"blueprint": NAME, "version": "1.0.0", "source": "org"}


def test_clones_empty_and_clones_what_was_pushed(desk: PushDesk, tmp_path: Path) -> None:
    empty = git("clone", desk.address(), "empty", folder=tmp_path)
    assert (empty.returncode, "You appear to have cloned an empty repository" in empty.stderr) == (0, True)

    commit = desk.commit(blueprint_files())
    desk.push()
    assert git("clone", "--quiet", desk.address(), "copy", folder=tmp_path).returncode == 0

    assert git("rev-parse", "HEAD", folder=tmp_path / "copy").stdout.strip() == commit
    assert (tmp_path / "copy" / NAME / "blueprint.yaml").is_file()
    listed = git("ls-remote", desk.address(), folder=tmp_path).stdout
    assert listed == f"{commit}\tHEAD\n{commit}\trefs/heads/main\n"


def test_two_blueprints_of_one_push_may_need_each_other(desk: PushDesk) -> None:
    edge = {"blueprint": "bp-store", "version": "^1.0", "alias": "store", "sharing": "shared"}
    desk.write(blueprint_files("bp-store"), below="bp-store/")
    desk.commit(blueprint_files(depends=[edge]))

    done = desk.push()

    assert (done.returncode, published()) == (0, {"bp-handbook 1.0.0": "published", "bp-store 1.0.0": "published"})


def test_a_newer_version_writes_the_card_and_an_older_one_does_not(desk: PushDesk) -> None:
    desk.commit(blueprint_files())
    desk.push()
    desk.commit(next_version(blueprint_files(title="Handbook of 1.2"), "1.2.0"))
    assert desk.push().returncode == 0
    desk.commit(next_version(blueprint_files(title="Handbook of 1.1"), "1.1.0"))
    assert desk.push().returncode == 0

    assert Blueprint.objects.get(name=NAME).title == "Handbook of 1.2"
    assert set(published()) == {"bp-handbook 1.0.0", "bp-handbook 1.1.0", "bp-handbook 1.2.0"}


def test_the_changelog_of_the_version_is_kept(desk: PushDesk) -> None:
    text = "# Changelog\n\n## [1.0.0] - 2026-11-24\n### Security\n- CVE-2026-1 is closed.\n\n## [0.9.0]\n- Begun.\n"
    desk.commit({**blueprint_files(), "CHANGELOG.md": text.encode()})
    desk.push()

    version = BlueprintVersion.objects.get(blueprint__name=NAME)
    assert (version.changelog, version.is_security) == ("### Security\n- CVE-2026-1 is closed.", True)


def test_pushing_the_same_again_and_taking_a_folder_away_publish_nothing(desk: PushDesk) -> None:
    desk.commit(blueprint_files())
    desk.push()
    assert desk.push().stderr == "Everything up-to-date\n"
    git("rm", "-r", "--quiet", NAME, folder=desk.folder)
    desk.commit()

    done = desk.push()

    assert (done.returncode, said(done), published()) == (0, [], {"bp-handbook 1.0.0": "published"})


@pytest.mark.parametrize("role", [Membership.Role.ADMIN, Membership.Role.DEVELOPER])
def test_who_may_publish(
    desk: PushDesk, organization: Organization, live_server: Any, tmp_path: Path, role: str
) -> None:
    other = open_push_desk(live_server.url, tmp_path / "other", organization, role)
    other.commit(blueprint_files())

    assert other.push().returncode == 0
