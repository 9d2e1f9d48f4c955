"""Staff push the Sovereign's own Blueprints: they stand there as drafts, which nobody else sees or stumbles over."""

from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from marketplace.models import Blueprint, BlueprintVersion
from marketplace.selectors.catalogue import list_cards
from marketplace.selectors.offer import load_offer
from tenancy.models import AuditEntry, Organization, Sovereign, User
from tests.marketplace.catalogue_rows import a_person
from tests.marketplace.push_desk import NAME, PushDesk, blueprint_files, git, open_push_desk, said, token_for
from tests.marketplace.test_push_refused import post

pytestmark = pytest.mark.django_db(transaction=True)

PLACE = f"catalog-sovereign/{NAME}"


def staff(role: str = "sovereign-admin", groups: tuple[str, ...] = ()) -> User:
    return a_person(staff_role=role, staff_groups=list(groups))


@pytest.fixture
def desk(
    sovereign: Sovereign, organization: Organization, catalyst_home: Any, live_server: Any, tmp_path: Path
) -> PushDesk:
    open_push_desk(live_server.url, tmp_path / "other", organization)
    return PushDesk(live_server.url, tmp_path / "work", staff(), PLACE)


def files(**card: Any) -> dict[str, bytes]:
    return blueprint_files(visibility="listed", **card)


def test_a_push_is_a_draft_that_nobody_sees(desk: PushDesk, organization: Organization) -> None:
    commit = desk.commit(files(), below="")

    done = desk.push()

    assert (done.returncode, said(done)) == (0, ["bp-handbook 1.0.0 is a draft now. Somebody else publishes it."])
    version = BlueprintVersion.objects.select_related("blueprint").get(blueprint__name=NAME)
    assert (version.state, version.commit) == ("draft", commit)
    assert (version.blueprint.source, version.blueprint.visibility) == ("sovereign", "private")
    now = timezone.now()
    for reader in (None, organization):
        assert NAME not in [card.name for card in list_cards(reader, currency="OMR", at=now)]
        assert NAME not in load_offer(reader, currency="OMR", at=now).listings
    entry = AuditEntry.objects.get(action="blueprint.drafted")
    assert (entry.stream, entry.actor, entry.target) == ("sovereign", f"user:{desk.user.uuid}", f"blueprint:{NAME}")


def test_a_draft_may_be_pushed_again_until_it_is_reviewed(desk: PushDesk) -> None:
    desk.commit(files(), below="")
    desk.push()
    desk.commit(files(title="Better words"), below="")
    assert desk.push().returncode == 0
    version = BlueprintVersion.objects.get(blueprint__name=NAME)
    assert (version.contract["spec"]["card"]["title"], version.state) == ("Better words", "draft")
    assert Blueprint.objects.get(name=NAME).title == "Better words"

    version.state = "review"
    version.save(update_fields=["state"])
    desk.commit(files(title="Too late"), below="")
    done = desk.push()

    assert (done.returncode, "BP-N03" in done.stderr) == (1, True)
    assert BlueprintVersion.objects.get(blueprint__name=NAME).digest == version.digest


def test_a_draft_leaves_the_card_of_what_is_published(desk: PushDesk) -> None:
    desk.commit(files(), below="")
    desk.push()
    with transaction.atomic(durable=True):
        version = BlueprintVersion.objects.get(blueprint__name=NAME)
        for state in ("review", "published"):
            version.state = state
            version.save(update_fields=["state"])
        Blueprint.objects.filter(name=NAME).update(visibility="listed")
    newer = blueprint_files(version="1.1.0", visibility="listed", title="Not yet")
    newer["blueprint.yaml"] += b"  upgrades: {blocks: ['<1.1.0']}\n"
    desk.commit(newer, below="")

    assert desk.push().returncode == 0

    assert Blueprint.objects.get(name=NAME).title == "Handbook"
    states = dict(BlueprintVersion.objects.filter(blueprint__name=NAME).values_list("version", "state"))
    assert states == {"1.0.0": "published", "1.1.0": "draft"}


def test_the_folder_is_called_like_the_repository(desk: PushDesk) -> None:
    desk.commit(blueprint_files("bp-manual", visibility="listed"), below="")

    done = desk.push()

    assert (done.returncode, "blueprint.yaml:4: refused BP-N02" in done.stderr) == (1, True)


def test_clones_what_was_pushed_and_finds_nothing_before(desk: PushDesk, tmp_path: Path) -> None:
    assert "not found" in git("clone", desk.address(), "copy", folder=tmp_path).stderr
    commit = desk.commit(files(), below="")
    desk.push()

    assert git("clone", "--quiet", desk.address(), "copy", folder=tmp_path).returncode == 0
    assert git("rev-parse", "HEAD", folder=tmp_path / "copy").stdout.strip() == commit


def test_who_may_push(desk: PushDesk, organization: Organization, org_admin: User) -> None:
    curator, support = staff("support-agent", ("catalog",)), staff("support-agent", ("finance",))
    asked: list[tuple[User, dict[str, Any], int]] = [
        (desk.user, {}, 200),
        (curator, {}, 200),
        (curator, {"scopes": ["catalogue.curate"]}, 200),
        (curator, {"scopes": ["catalogue.view"]}, 403),
        (support, {}, 403),
        (org_admin, {}, 404),
        (org_admin, {"organization": organization}, 404),
    ]

    answers = [post(desk, b"0000", token=token_for(user, **limit), place=PLACE) for user, limit, _status in asked]

    assert [each.status_code for each in answers] == [status for _user, _limit, status in asked]
    missing = post(desk, b"0000", token=token_for(desk.user), place="catalog-sovereign/wiki")
    assert (missing.status_code, missing.content) == (404, answers[-1].content)
