"""A suspended subscription pauses its Environment by one commit, and payment lets it run again by another."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from catalyst.core.errors import InvalidTransition
from catalyst.core.gitops import branch, yaml
from catalyst.core.gitops.message import parse_trailers
from catalyst.core.models import Incident, Outbox
from marketplace import tasks
from marketplace.models import Application, Change
from marketplace.selectors import installed
from marketplace.services import changes, delivery, subscription_news
from marketplace.services.changes import ChangeReplaced
from marketplace.services.changes_sweep import sweep_changes
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import LATER, NOW, Desk, end_leases, open_desk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    return open_desk(organization, org_admin)


def objects(desk: Desk, slug: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = yaml.load(desk.tree()[f"apps/{slug}/objects.yaml"])["items"]
    return items


def replicas(desk: Desk, slug: str) -> list[int]:
    return [item["spec"]["replicas"] for item in objects(desk, slug) if item["kind"] in {"Deployment", "StatefulSet"}]


def states(desk: Desk) -> dict[str, str]:
    return dict(Application.objects.order_by("slug").values_list("slug", "state"))


def test_everything_pauses_by_one_commit_of_the_platform(desk: Desk) -> None:
    desk.deliver()

    change = desk.tell("suspended", 20)

    assert change is not None
    _install, commit = desk.history()
    assert (change.commit, change.seq, change.state, change.kind) == (commit.sha, 2, "reconciling", "pause")
    assert (commit.author.name, commit.author.email) == ("Catalyst", "catalyst@cloud.example.om")
    assert commit.message.splitlines()[:3] == [
        "pause all Applications",
        "",
        "> The subscription is suspended because it was not paid. Nothing runs; all data and addresses are kept.",
    ]
    assert parse_trailers(commit.message) == {"Catalyst-Change": str(change.pk), "Catalyst-Seq": "2"}
    assert states(desk) == {"shared-mysql": "paused", "wordpress": "paused"}
    assert replicas(desk, "wordpress") == [0]
    assert replicas(desk, "shared-mysql") == [0]


def test_data_and_addresses_stay_in_a_paused_environment(desk: Desk) -> None:
    desk.deliver()
    kept = {"PersistentVolumeClaim", "Ingress", "Service", "Namespace"}
    before = [item for item in objects(desk, "wordpress") if item["kind"] in kept]

    desk.tell("suspended", 20)

    assert [item for item in objects(desk, "wordpress") if item["kind"] in kept] == before
    assert {item["kind"] for item in before} >= {"PersistentVolumeClaim", "Namespace"}


def test_resuming_gives_the_tree_of_before_byte_for_byte(desk: Desk) -> None:
    desk.deliver()
    before = desk.tree()
    desk.tell("suspended", 20)
    assert desk.tree() != before

    change = desk.tell("resumed", 21)

    assert change is not None
    assert (change.kind, change.seq, change.author_id) == ("resume", 3, None)
    assert desk.tree() == before
    assert states(desk) == {"shared-mysql": "active", "wordpress": "active"}


def test_what_was_never_suspended_has_nothing_to_resume(desk: Desk) -> None:
    desk.deliver()

    tasks.follow_subscription(desk.event("resumed", 20, suspended=False))
    tasks.follow_subscription(desk.event("changed", 21))

    assert Change.objects.count() == 1
    assert len(desk.history()) == 1


def test_pages_say_paused_only_when_the_cluster_does(desk: Desk) -> None:
    installed_by = desk.deliver()
    desk.cluster_says(installed_by.commit, "shared-mysql", "wordpress")
    assert desk.statuses() == {"shared-mysql": "ready", "wordpress": "ready"}

    change = desk.tell("suspended", 20)
    assert change is not None
    assert desk.statuses() == {"shared-mysql": "updating", "wordpress": "updating"}
    desk.cluster_says(installed_by.commit, "wordpress")  # of the tree in which it still ran
    assert desk.statuses()["wordpress"] == "updating"
    desk.cluster_says(change.commit, "wordpress", reason="Progressing")
    assert desk.statuses()["wordpress"] == "updating"

    desk.cluster_says(change.commit, "wordpress")
    assert desk.statuses() == {"shared-mysql": "updating", "wordpress": "paused"}
    change.refresh_from_db()
    assert change.state == "reconciling"
    desk.cluster_says(change.commit, "shared-mysql")
    change.refresh_from_db()
    assert (change.state, desk.statuses()["shared-mysql"]) == ("succeeded", "paused")

    resumed = desk.tell("resumed", 21)
    assert resumed is not None
    assert desk.statuses() == {"shared-mysql": "updating", "wordpress": "updating"}
    desk.cluster_says(resumed.commit, "shared-mysql", "wordpress")
    assert desk.statuses() == {"shared-mysql": "ready", "wordpress": "ready"}
    resumed.refresh_from_db()
    assert resumed.state == "succeeded"


def test_a_later_commit_settles_the_pause_too(desk: Desk) -> None:
    desk.deliver()
    paused = desk.tell("suspended", 20)
    resumed = desk.tell("resumed", 21)
    assert paused is not None
    assert resumed is not None

    desk.cluster_says(resumed.commit, "shared-mysql", "wordpress")

    assert set(Change.objects.values_list("state", flat=True)) == {"succeeded"}
    assert desk.statuses() == {"shared-mysql": "ready", "wordpress": "ready"}


def test_an_event_that_arrives_again_makes_nothing_new(desk: Desk) -> None:
    desk.deliver()
    first = desk.tell("suspended", 20)
    assert first is not None
    before = list(Outbox.objects.values_list("dedup_key", flat=True))

    again = desk.tell("suspended", 20, owner="worker-2")

    assert again is not None
    assert again.pk == first.pk
    assert len(desk.history()) == 2
    assert list(Outbox.objects.values_list("dedup_key", flat=True)) == before


def test_the_database_refuses_a_second_change_for_one_event(desk: Desk) -> None:
    desk.deliver()
    first = desk.tell("suspended", 20)
    assert first is not None

    with pytest.raises(IntegrityError, match="change_once_per_cause"), transaction.atomic(durable=True):
        Change.objects.create(
            organization=desk.organization, environment=first.environment, kind="pause", cause=first.cause
        )

    assert Change.objects.filter(kind="pause").count() == 1


def test_news_that_is_older_than_the_last_word_changes_nothing(desk: Desk) -> None:
    desk.deliver()
    desk.tell("resumed", 21)
    tree = desk.tree()

    assert desk.tell("suspended", 20) is None

    assert desk.tree() == tree
    assert states(desk) == {"shared-mysql": "active", "wordpress": "active"}
    assert Change.objects.filter(kind="pause").count() == 0


def test_control_without_the_order_of_the_log_old_news_suspends_who_has_paid(desk: Desk, monkeypatch: Any) -> None:
    desk.deliver()
    desk.tell("resumed", 21)
    monkeypatch.setattr(subscription_news, "has_newer_standing", lambda *_: False)

    desk.tell("suspended", 20)

    assert states(desk) == {"shared-mysql": "paused", "wordpress": "paused"}


def test_waiting_changes_are_written_in_the_order_of_the_log(desk: Desk) -> None:
    desk.deliver()
    # Two workers plan at the same time; the transaction of the later news had begun first.
    for topic, sequence in (("suspended", 20), ("resumed", 21)):
        news = subscription_news.read_news(desk.event(topic, sequence))
        assert news is not None
        subscription_news.plan_change(news=news, now=LATER)
    Change.objects.filter(kind="resume").update(created_at=NOW)

    sweep_changes(owner="sweeper", now=LATER)

    assert list(Change.objects.order_by("seq").values_list("kind", flat=True)) == ["install", "pause", "resume"]
    assert states(desk) == {"shared-mysql": "active", "wordpress": "active"}


def test_what_is_installed_meanwhile_starts_paused(desk: Desk) -> None:
    desk.deliver()
    desk.tell("suspended", 20)

    change = desk.deliver(desk.order_at(19, "OMN-2026-000002", "bp-uptime-kuma"), now=LATER)

    assert replicas(desk, "uptime-kuma") == [0]
    desk.cluster_says(change.commit, "uptime-kuma")
    assert desk.statuses()["uptime-kuma"] == "paused"
    desk.tell("resumed", 21)
    assert replicas(desk, "uptime-kuma") == [1]


def test_an_installation_in_flight_does_not_run_past_the_pause(desk: Desk) -> None:
    desk.deliver()
    waiting = delivery.plan_installation(order=desk.order("OMN-2026-000002", "bp-uptime-kuma"), now=NOW)
    changes.fail_change(change_id=waiting.pk, reason="The disk was full.", now=NOW)
    desk.tell("suspended", 20)

    changes.retry_change(change_id=waiting.pk, actor="test", now=LATER)
    sweep_changes(owner="sweeper", now=LATER)

    assert replicas(desk, "uptime-kuma") == [0]


def test_control_without_the_rows_of_others_it_would_run(desk: Desk, monkeypatch: Any) -> None:
    desk.deliver()
    waiting = delivery.plan_installation(order=desk.order("OMN-2026-000002", "bp-uptime-kuma"), now=NOW)
    changes.fail_change(change_id=waiting.pk, reason="The disk was full.", now=NOW)
    desk.tell("suspended", 20)
    Application.objects.filter(slug="uptime-kuma").update(state="active")

    changes.retry_change(change_id=waiting.pk, actor="test", now=LATER)
    sweep_changes(owner="sweeper", now=LATER)

    assert replicas(desk, "uptime-kuma") == [1]


def test_a_pause_that_was_replaced_cannot_be_tried_again(desk: Desk) -> None:
    desk.deliver()
    news = subscription_news.read_news(desk.event("suspended", 20))
    assert news is not None
    paused = subscription_news.plan_change(news=news, now=LATER)
    assert paused is not None
    changes.fail_change(change_id=paused.pk, reason="The disk was full.", now=LATER)
    desk.tell("resumed", 21)

    with pytest.raises(ChangeReplaced, match="A newer change has replaced this one"):
        changes.retry_change(change_id=paused.pk, actor="test", now=LATER)

    paused.refresh_from_db()
    assert (paused.state, paused.commit) == ("failed", "")
    assert states(desk) == {"shared-mysql": "active", "wordpress": "active"}
    with pytest.raises(InvalidTransition):
        changes.retry_change(change_id=Change.objects.get(kind="resume").pk, actor="test", now=LATER)


def test_a_pause_that_was_kept_waiting_is_late_rather_than_never(desk: Desk) -> None:
    desk.deliver()
    news = subscription_news.read_news(desk.event("suspended", 20))
    assert news is not None
    subscription_news.plan_change(news=news, now=NOW)

    late = NOW + 3 * changes.DEADLINE
    end_leases()
    sweep_changes(owner="sweeper", now=late)

    change = Change.objects.get(kind="pause")
    assert (change.state, change.deadline_at) == ("reconciling", late + changes.DEADLINE)
    assert states(desk) == {"shared-mysql": "paused", "wordpress": "paused"}


def test_an_environment_without_applications_is_suspended_too(desk: Desk) -> None:
    change = desk.tell("suspended", 20)

    assert change is not None
    assert (change.state, change.seq) == ("succeeded", 1)
    assert installed.is_suspended(change.environment_id)


def test_another_organization_is_not_touched(desk: Desk, stranger: User) -> None:
    desk.deliver()
    other = Organization.objects.get(slug="globex")
    desk.tell("suspended", 20, organization=other.pk)

    assert states(desk) == {"shared-mysql": "active", "wordpress": "active"}
    assert len(desk.history()) == 1


def test_a_pause_that_cannot_be_saved_for_too_long_is_an_incident_until_it_is_done(
    desk: Desk, monkeypatch: Any
) -> None:
    monkeypatch.setattr(branch, "LOCK_WAIT_SECONDS", 0.05)
    desk.deliver()
    lock = desk.repository().path / "refs" / "heads" / "main.lock"
    lock.touch()
    news = subscription_news.read_news(desk.event("suspended", 20))
    assert news is not None
    change = subscription_news.plan_change(news=news, now=NOW)
    assert change is not None

    sweep_changes(owner="sweeper", now=LATER)
    assert not Incident.objects.exists()
    end_leases()
    sweep_changes(owner="sweeper", now=NOW + changes.DEADLINE)

    incident = Incident.objects.get()
    assert (incident.kind, incident.subject, incident.resolved_at) == ("change_late", f"change:{change.pk}", None)
    change.refresh_from_db()
    assert (change.state, change.attempts, change.commit) == ("committing", 2, "")

    lock.unlink()
    end_leases()
    sweep_changes(owner="sweeper", now=NOW + changes.DEADLINE)
    change.refresh_from_db()
    assert change.state == "reconciling"
    assert Incident.objects.get().resolved_at is None
    desk.cluster_says(change.commit, "shared-mysql", "wordpress")
    assert Incident.objects.get().resolved_by == "system"
