"""Whoever dies while an upgrade is saved leaves the rows as they were; the next driver makes the same commit, once."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from catalyst.core.errors import DomainError
from catalyst.core.failpoints import Crash, armed, crash
from marketplace.models import Application, Change
from marketplace.services import changes, changes_desired, changes_record, delivery
from marketplace.services.changes_sweep import sweep_changes
from marketplace.services.edits_effect import take_edits_effect
from marketplace.services.upgrades import plan_upgrade
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import LATER, Desk, end_leases, publish_events
from tests.marketplace.test_deliver_order import at_once
from tests.marketplace.upgrade_rows import installed, needs, publish, ready, upgrade

pytestmark = pytest.mark.django_db(transaction=True)

POINTS = ["install.commit.after_object", "install.push.after_push", "install.record.in_tx"]
BEFORE = {"shared-sql": "1.0.0", "wiki": "1.2.0"}
AFTER = {"shared-sql": "1.1.0", "wiki": "1.3.0"}


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    """Sell a wiki whose next version moves its database too."""
    publish("sql", "1.0.0", kind="service")
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")])
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    publish("sql", "1.1.0", kind="service")
    publish("wiki", "1.3.0", depends=[needs("sql", "^1.1", "db")])
    return desk


def die_at(point: str, action: Callable[[], Any]) -> None:
    with armed(point, crash), pytest.raises(Crash):
        action()


def recover() -> None:
    end_leases()
    sweep_changes(owner="sweeper", now=LATER)


def plan(desk: Desk, **applications: str) -> Change:
    """Plan an upgrade that nobody has saved yet."""
    return plan_upgrade(
        environment=desk.environment(), applications=applications, mode="minimal", actor=desk.buyer, now=LATER
    )


def bindings(desk: Desk, slug: str) -> Any:
    return Application.objects.get(slug=slug, removed_by=None).bindings


@pytest.mark.parametrize("point", POINTS)
def test_the_rows_move_with_the_record_and_not_before(desk: Desk, point: str) -> None:
    die_at(point, lambda: upgrade(desk, {"wiki": ""}))
    assert installed(desk) == BEFORE

    recover()

    first, second = desk.history()
    change = Change.objects.get(kind="upgrade")
    assert desk.commit_objects() == sorted([first.sha, second.sha])
    assert (change.commit, change.state, installed(desk)) == (second.sha, "reconciling", AFTER)


def test_control_rows_that_move_outside_the_record_are_ahead_of_main(desk: Desk, monkeypatch: Any) -> None:
    def early(change: Change, introduced: Any) -> list[str]:
        def apart() -> list[str]:
            with transaction.atomic(durable=True):
                return take_edits_effect(change, introduced)

        (touched,) = at_once(apart)  # a connection, so a transaction, of its own
        return list(touched)

    monkeypatch.setattr(changes_record, "take_edits_effect", early)

    die_at("install.record.in_tx", lambda: upgrade(desk, {"wiki": ""}))

    assert installed(desk) == AFTER
    assert Change.objects.get(kind="upgrade").commit == ""


def test_a_planned_upgrade_is_in_no_other_commit(desk: Desk) -> None:
    plan(desk, wiki="")
    late = desk.tell("suspended", 0)  # older news, which is written first

    assert late is not None
    commits = [commit.sha for commit in desk.history()]
    upgraded = Change.objects.get(kind="upgrade")
    assert [late.commit, upgraded.commit] in (commits[1:], commits[:0:-1])
    lock = desk.repository().read_tree(commits[1])[".catalyst/lock.yaml"].decode()
    assert ('version: "1.3.0"' in lock) == (upgraded.commit == commits[1])


def test_an_upgrade_that_is_not_saved_leaves_the_rows_and_is_asked_for_anew(desk: Desk) -> None:
    publish("cache", "1.0.0", kind="service")
    publish("wiki", "1.4.0", depends=[needs("cache", "^1", "cache", sharing="dedicated")])
    change = plan(desk, wiki="")
    changes.fail_change(change_id=change.pk, reason="Stopped by a person.", now=LATER)

    assert installed(desk) == BEFORE
    with pytest.raises(DomainError) as refused:
        changes.retry_change(change_id=change.pk, actor="test", now=LATER)
    assert refused.value.code == "change_replaced"
    again = upgrade(desk, {"wiki": ""})
    assert (again.state, installed(desk)) == ("reconciling", {**BEFORE, "wiki": "1.4.0", "wiki-cache": "1.0.0"})
    assert "apps/wiki-cache/application.yaml" in desk.tree()


def test_only_one_change_at_a_time_is_decided(desk: Desk) -> None:
    plan(desk, wiki="")

    with pytest.raises(DomainError) as refused:
        plan(desk, wiki="")

    assert (refused.value.code, refused.value.status, refused.value.retry_after) == ("change_in_progress", 409, 5)
    assert Change.objects.filter(kind="upgrade").count() == 1


def test_two_at_once_make_one_upgrade(desk: Desk) -> None:
    def attempt() -> str:
        try:
            return upgrade(desk, {"wiki": ""}).kind
        except DomainError as error:
            return error.code

    said = sorted(at_once(attempt, attempt))

    assert said[1] == "upgrade"
    assert said[0] in {"already_newest", "change_in_progress"}
    assert (len(desk.history()), installed(desk)) == (2, AFTER)


def test_an_upgrade_and_an_order_at_once_lose_nothing(desk: Desk) -> None:
    publish("blog", "1.0.0", depends=[needs("sql", "^1.0", "db")])
    order = desk.order("OMN-2026-000002", "bp-blog")

    upgraded, installation = at_once(
        lambda: upgrade(desk, {"wiki": ""}), lambda: desk.deliver(order, now=LATER, owner="worker-2")
    )
    recover()

    is_refused = isinstance(upgraded, DomainError)
    assert not is_refused or upgraded.code == "change_in_progress"
    installation.refresh_from_db()
    assert installation.state == "reconciling"
    assert installed(desk) == {**(BEFORE if is_refused else AFTER), "blog": "1.0.0"}
    assert Application.objects.get(slug="shared-sql").requested_by == ["blog", "wiki"]
    assert len(desk.history()) == len(desk.commit_objects()) == (2 if is_refused else 3)


def test_what_is_bought_meanwhile_is_planned_upon_the_upgrade(desk: Desk) -> None:
    publish("blog", "1.0.0", depends=[needs("sql", "~1.1", "db")])
    plan(desk, wiki="")
    order = desk.order("OMN-2026-000002", "bp-blog")

    delivery.plan_installation(order=order, now=LATER)
    recover()

    assert [change.kind for change in Change.objects.order_by("seq")] == ["install", "upgrade", "install"]
    assert bindings(desk, "blog") == {"db": "shared-sql"}
    assert Application.objects.get(slug="shared-sql").requested_by == ["blog", "wiki"]
    assert installed(desk) == {**AFTER, "blog": "1.0.0"}


def test_what_was_planned_upon_an_upgrade_that_failed_fails_with_the_reason(desk: Desk) -> None:
    publish("blog", "1.0.0", depends=[needs("sql", "~1.1", "db")])
    waiting = plan(desk, wiki="")
    installation = delivery.plan_installation(order=desk.order("OMN-2026-000002", "bp-blog"), now=LATER)
    changes.fail_change(change_id=waiting.pk, reason="Stopped by a person.", now=LATER)

    recover()

    installation.refresh_from_db()
    assert (installation.state, installation.commit) == ("failed", "")
    assert installation.status_reason == (
        "blog needs bp-sql ~1.1, and shared-sql is 1.0.0 by now. Nothing was changed."
    )


def test_an_application_removed_meanwhile_fails_the_upgrade(desk: Desk) -> None:
    plan(desk, wiki="")
    desk.tell("changed", 20, remove=["wiki"])
    assert list(Change.objects.order_by("seq").values_list("kind", flat=True)) == ["install", "upgrade", "remove"]
    # The order of the log puts the upgrade first; one that is found afterwards is refused.
    second = Change.objects.create(
        organization=desk.organization, environment=desk.environment(), kind="upgrade", author=desk.buyer
    )
    row = Application.objects.get(slug="wiki")
    second.edits.create(
        organization=desk.organization,
        application=row,
        blueprint_version=row.blueprint_version,
        version_range="^9",
        size="small",
    )

    recover()

    second.refresh_from_db()
    assert second.status_reason == "wiki was removed meanwhile. Nothing was changed."
    row.refresh_from_db()
    assert row.version_range == "^1.2"


def test_a_version_that_moved_on_meanwhile_is_not_taken_back(desk: Desk) -> None:
    waiting = plan(desk, wiki="")
    newest = publish("wiki", "1.3.1", depends=[needs("sql", "^1.0", "db")])
    Application.objects.filter(slug="wiki").update(blueprint_version=newest)

    recover()

    waiting.refresh_from_db()
    assert waiting.status_reason == "wiki has a newer version by now. Nothing was changed."
    assert installed(desk) == {**BEFORE, "wiki": "1.3.1"}


def test_nothing_is_upgraded_while_the_environment_is_suspended(desk: Desk) -> None:
    desk.tell("suspended", 20)

    with pytest.raises(DomainError) as refused:
        plan(desk, wiki="")

    assert (refused.value.code, refused.value.status) == ("environment_suspended", 409)
    publish_events()
    desk.tell("resumed", 30)
    assert upgrade(desk, {"wiki": ""}).state == "reconciling"


def test_nothing_is_upgraded_after_the_subscription_has_ended(desk: Desk) -> None:
    desk.tell("canceled", 20)

    with pytest.raises(DomainError) as refused:
        plan(desk, wiki="")

    assert refused.value.code == "not_found"


def test_a_removal_that_was_planned_meanwhile_follows(desk: Desk) -> None:
    publish("cache", "1.0.0", kind="service")
    publish("wiki", "1.4.0", depends=[needs("cache", "^1", "cache", sharing="dedicated")])
    plan(desk, wiki="")

    desk.tell("changed", 20, remove=["wiki"])

    assert [change.kind for change in Change.objects.order_by("seq")] == ["install", "upgrade", "remove"]
    assert installed(desk) == {}
    assert [path for path in desk.tree() if path.startswith("apps/")] == []


def test_control_without_looking_at_the_bindings_the_tree_holds_what_does_not_go_together(
    desk: Desk, monkeypatch: Any
) -> None:
    monkeypatch.setattr(changes_desired, "find_broken", lambda *_: None)
    publish("blog", "1.0.0", depends=[needs("sql", "~1.1", "db")])
    waiting = plan(desk, wiki="")
    installation = delivery.plan_installation(order=desk.order("OMN-2026-000002", "bp-blog"), now=LATER)
    changes.fail_change(change_id=waiting.pk, reason="Stopped by a person.", now=LATER)

    recover()

    installation.refresh_from_db()
    assert (installation.state, installed(desk)) == ("reconciling", {**BEFORE, "blog": "1.0.0"})
