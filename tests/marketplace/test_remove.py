"""A subscription that ends takes its Applications away by one commit; a removal takes only what nobody else needs."""

from typing import Any

import pytest

from catalyst.core.errors import InvalidTransition
from catalyst.core.models import Incident, Outbox
from marketplace import tasks
from marketplace.models import Application, ApplicationStatus, Change
from marketplace.selectors.removal import find_removal
from marketplace.services import changes, delivery, subscription_news
from marketplace.services.changes import ChangeReplaced
from marketplace.services.changes_sweep import settle_changes, sweep_changes
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import LATER, NOW, Desk, open_desk, publish_events

pytestmark = pytest.mark.django_db(transaction=True)

GONE = "Deployment/prod-wordpress/app deleted\nPersistentVolumeClaim/prod-wordpress/app-data skipped"


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    return open_desk(organization, org_admin)


def folders(desk: Desk) -> list[str]:
    """Return the Applications that ``main`` holds."""
    return sorted({path.split("/")[1] for path in desk.tree() if path.startswith("apps/")})


def current() -> list[str]:
    rows = Application.objects.filter(removed_by__isnull=True).order_by("slug")
    return list(rows.values_list("slug", flat=True))


def test_everything_goes_by_one_commit_of_the_platform(desk: Desk) -> None:
    desk.deliver(desk.order("OMN-2026-000001", "bp-wordpress", "bp-uptime-kuma"))

    change = desk.tell("canceled", 20)

    assert change is not None
    _install, commit = desk.history()
    assert (change.commit, change.kind, change.state, change.author_id) == (
        commit.sha,
        "offboard",
        "reconciling",
        None,
    )
    assert commit.author.name == "Catalyst"
    assert commit.message.splitlines()[0] == "remove shared-mysql, uptime-kuma, wordpress"
    assert "> The subscription has ended. Volumes stay in the cluster" in commit.message
    assert folders(desk) == []
    assert sorted(path for path in desk.tree() if path.startswith("flux/")) == ["flux/kustomization.yaml"]
    assert current() == []
    assert Application.objects.count() == 3


def test_an_event_that_arrives_again_makes_nothing_new(desk: Desk) -> None:
    desk.deliver()
    first = desk.tell("canceled", 20)
    assert first is not None
    before = list(Outbox.objects.values_list("dedup_key", flat=True))

    again = desk.tell("canceled", 20, owner="worker-2")

    assert again is not None
    assert again.pk == first.pk
    assert list(Outbox.objects.values_list("dedup_key", flat=True)) == before


def test_pages_show_removing_until_the_cluster_says_gone(desk: Desk) -> None:
    bought = desk.deliver()
    desk.cluster_says(bought.commit, "shared-mysql", "wordpress")
    change = desk.tell("canceled", 20)
    assert change is not None
    assert desk.statuses() == {"shared-mysql": "deleting", "wordpress": "deleting"}

    desk.cluster_says(bought.commit, "wordpress")  # still runs, as the tree of before says
    desk.cluster_says(bought.commit, "wordpress", severity="error", reason="PruneFailed", message="no right")
    row = ApplicationStatus.objects.get(application="wordpress")
    assert (row.status, row.status_reason) == ("deleting", "PruneFailed: no right")

    desk.cluster_says(bought.commit, "wordpress", message=GONE)
    assert desk.statuses() == {"shared-mysql": "deleting"}
    change.refresh_from_db()
    assert change.state == "reconciling"
    desk.cluster_says(bought.commit, "shared-mysql", message="StatefulSet/prod-shared-mysql/app deleted")
    change.refresh_from_db()
    assert (change.state, desk.statuses()) == ("succeeded", {})


def test_a_removal_that_takes_too_long_fails_and_stays_shown(desk: Desk) -> None:
    bought = desk.deliver()
    desk.cluster_says(bought.commit, "shared-mysql", "wordpress")
    change = desk.tell("canceled", 20)
    assert change is not None

    publish_events()
    settle_changes(now=LATER + changes.DEADLINE)
    publish_events()

    change.refresh_from_db()
    assert change.status_reason == "Not ready in time: shared-mysql: Removing, wordpress: Removing"
    assert (change.state, desk.statuses()["wordpress"]) == ("failed", "deleting")
    incident = Incident.objects.get(kind="change_failed")
    assert (incident.subject, incident.detail) == (f"change:{change.pk}", f"acme-prod: {change.status_reason}")
    # The cluster goes on after our deadline.
    desk.cluster_says(bought.commit, "shared-mysql", "wordpress", message=GONE)
    change.refresh_from_db()
    assert (change.state, desk.statuses()) == ("succeeded", {})
    assert Incident.objects.get(kind="change_failed").resolved_by == "system"


@pytest.mark.parametrize(
    "word",
    [
        {"severity": "error", "reason": "ReconciliationFailed", "message": "no space left"},
        {"severity": "error", "reason": "ReconciliationSucceeded", "message": "no space left"},
        {"reason": "Progressing"},
    ],
)
def test_what_the_cluster_never_named_is_gone_only_when_the_whole_tree_is_applied(
    desk: Desk, word: dict[str, str]
) -> None:
    desk.deliver()
    change = desk.tell("canceled", 20)
    assert change is not None

    desk.cluster_says(change.commit, "applications", **word)

    change.refresh_from_db()
    assert change.state == "reconciling"
    assert desk.statuses() == {"shared-mysql": "deleting", "wordpress": "deleting"}
    assert not Application.objects.exclude(gone_at=None).exists()

    desk.cluster_says(change.commit, "applications")
    change.refresh_from_db()
    assert (change.state, desk.statuses()) == ("succeeded", {})


def test_only_what_was_listed_goes_with_what_nobody_else_needs(desk: Desk) -> None:
    desk.deliver(desk.order("OMN-2026-000001", "bp-wordpress", "bp-uptime-kuma"))

    change = desk.tell("changed", 20, remove=["wordpress"])

    assert change is not None
    assert (change.kind, change.summary) == ("remove", "remove shared-mysql, wordpress")
    assert folders(desk) == ["uptime-kuma"]
    assert current() == ["uptime-kuma"]


def test_a_service_stays_for_whoever_still_needs_it(desk: Desk) -> None:
    desk.deliver()
    desk.deliver(desk.order("OMN-2026-000002", "bp-wordpress"), now=LATER)
    assert Application.objects.get(slug="shared-mysql").requested_by == ["wordpress", "wordpress-2"]

    desk.tell("changed", 20, remove=["wordpress"])

    assert folders(desk) == ["shared-mysql", "wordpress-2"]
    assert Application.objects.get(slug="shared-mysql").requested_by == ["wordpress-2"]


def test_what_others_need_is_not_removed(desk: Desk) -> None:
    desk.deliver()
    tree = desk.tree()

    change = desk.tell("changed", 20, remove=["shared-mysql", "nothing-like-it"])

    assert change is not None
    assert (change.state, change.summary) == ("succeeded", "remove nothing")
    assert desk.tree() == tree
    assert current() == ["shared-mysql", "wordpress"]


def test_a_removed_name_is_free_and_history_stays(desk: Desk) -> None:
    first = desk.deliver()
    desk.cluster_says(first.commit, "shared-mysql", "wordpress")
    desk.tell("canceled", 20)

    again = desk.deliver(desk.order_at(30, "OMN-2026-000002", "bp-wordpress"), now=LATER)

    assert folders(desk) == ["shared-mysql", "wordpress"]
    rows = Application.objects.filter(slug="wordpress").order_by("pk").values_list("change", "removed_by__kind")
    assert list(rows) == [(first.pk, "offboard"), (again.pk, None)]
    assert desk.statuses() == {"shared-mysql": "installing", "wordpress": "installing"}
    # The word on the old one says nothing of the new one.
    desk.cluster_says(first.commit, "wordpress", message=GONE)
    assert desk.statuses()["wordpress"] == "installing"
    desk.cluster_says(again.commit, "shared-mysql", "wordpress")
    assert desk.statuses() == {"shared-mysql": "ready", "wordpress": "ready"}
    assert set(Change.objects.values_list("state", flat=True)) == {"succeeded"}


def test_the_end_of_an_earlier_subscription_leaves_a_later_one_alone(desk: Desk) -> None:
    desk.deliver(desk.order_at(10, "OMN-2026-000001", "bp-wordpress"))
    desk.deliver(desk.order_at(30, "OMN-2026-000002", "bp-wordpress"), now=LATER)

    desk.tell("canceled", 20)  # delivered late

    assert folders(desk) == ["shared-mysql", "wordpress-2"]
    assert current() == ["shared-mysql", "wordpress-2"]


def test_control_without_its_place_in_the_log_the_later_one_goes_too(desk: Desk) -> None:
    desk.deliver(desk.order("OMN-2026-000001", "bp-wordpress"))
    desk.deliver(desk.order("OMN-2026-000002", "bp-wordpress"), now=LATER)

    desk.tell("canceled", 20)

    assert folders(desk) == []


def test_an_order_that_is_delivered_after_the_end_installs_nothing(desk: Desk) -> None:
    desk.tell("canceled", 20)
    before = len(desk.history())

    change = desk.deliver(desk.order_at(10, "OMN-2026-000001", "bp-wordpress"), now=LATER)
    again = desk.deliver(desk.order_at(10, "OMN-2026-000001", "bp-wordpress"), now=LATER)

    assert (change.state, change.status_reason) == ("failed", "The subscription ended before this was installed.")
    assert again.pk == change.pk
    assert not Application.objects.exists()
    assert len(desk.history()) == before


def test_an_installation_in_flight_cannot_be_brought_back(desk: Desk) -> None:
    waiting = delivery.plan_installation(order=desk.order_at(10), now=NOW)
    changes.fail_change(change_id=waiting.pk, reason="The disk was full.", now=NOW)
    desk.tell("canceled", 20)

    with pytest.raises(ChangeReplaced):
        changes.retry_change(change_id=waiting.pk, actor="test", now=LATER)
    sweep_changes(owner="sweeper", now=LATER)

    assert folders(desk) == []
    waiting.refresh_from_db()
    assert (waiting.state, waiting.commit) == ("failed", "")


def test_an_installation_whose_applications_went_again_is_not_called_ready(desk: Desk) -> None:
    bought = desk.deliver()
    desk.tell("canceled", 20)

    settle_changes(now=LATER)
    bought.refresh_from_db()
    assert bought.state == "reconciling"
    settle_changes(now=NOW + changes.DEADLINE)

    bought.refresh_from_db()
    assert (bought.state, bought.status_reason) == (
        "failed",
        "The Applications were removed before they were ready.",
    )
    assert not Outbox.objects.filter(topic="order.ready").exists()


def test_a_removal_that_failed_leaves_its_place_to_the_newer_one(desk: Desk) -> None:
    desk.deliver(desk.order_at(10, "OMN-2026-000001", "bp-uptime-kuma"))
    news = subscription_news.read_news(desk.event("changed", 20, remove=["uptime-kuma"]))
    assert news is not None
    removal = subscription_news.plan_change(news=news, now=LATER)
    assert removal is not None
    changes.fail_change(change_id=removal.pk, reason="The disk was full.", now=LATER)

    desk.deliver(desk.order_at(30, "OMN-2026-000002", "bp-uptime-kuma"), now=LATER)
    assert folders(desk) == ["uptime-kuma"]

    changes.retry_change(change_id=removal.pk, actor="test", now=LATER)
    sweep_changes(owner="sweeper", now=LATER)

    assert folders(desk) == ["uptime-kuma"]
    with pytest.raises(InvalidTransition):
        changes.retry_change(change_id=removal.pk, actor="test", now=LATER)


def test_an_order_that_only_changes_the_plan_makes_no_change(desk: Desk) -> None:
    payload = {
        "order": "OMN-2026-000009",
        "organization": desk.organization.pk,
        "buyer": desk.buyer.pk,
        "env_type": "prod",
        "blueprints": [],
        "config": {},
        "subscription": 12,
        "change": "0f0e0d0c-0000-4000-8000-000000000000",
    }
    message = desk.event("changed", 40)
    tasks.deliver_order(type(message)(40, "order.paid", "order.paid:9", "", payload, NOW, 40))

    assert not Change.objects.exists()


@pytest.mark.parametrize(
    ("asked", "removed", "needed"),
    [
        (["a"], ("a",), {}),
        (["a", "b"], ("a", "b", "db", "disk"), {}),
        (["db"], (), {"db": ("a", "b")}),
        (["db", "a"], ("a",), {"db": ("b",)}),
        (["disk", "a", "b"], ("a", "b", "db", "disk"), {}),
        ([], (), {}),
    ],
)
def test_services_go_with_the_last_that_needs_them(
    asked: list[str], removed: tuple[str, ...], needed: dict[str, tuple[str, ...]]
) -> None:
    rows = {"a": [], "b": [], "db": ["a", "b"], "disk": ["db"]}

    found = find_removal({name: frozenset(users) for name, users in rows.items()}, asked)

    assert (found.removed, dict(found.needed)) == (removed, needed)
