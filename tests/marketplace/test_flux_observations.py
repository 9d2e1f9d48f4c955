"""What Flux reports becomes the status of Applications, and at last a Change and an Order that are done."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalyst.core.models import Outbox
from marketplace import tasks
from marketplace.models import ApplicationStatus, Change, FluxMessage
from marketplace.services import flux_observe
from marketplace.services.changes_sweep import settle_changes, sweep_changes
from tenancy.models import Environment, Organization, Sovereign, User
from tests.marketplace.deliver_rows import Desk, open_desk, publish_events
from tests.marketplace.flux_words import event, post, say

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    return open_desk(organization, org_admin)


@pytest.fixture
def change(desk: Desk) -> Change:
    change = desk.deliver(now=timezone.now())
    publish_events()
    return change


@pytest.fixture
def environment(desk: Desk, change: Change) -> Environment:
    return desk.environment()


def follow() -> dict[str, tuple[str, str]]:
    """Let the tasks and the relay run once; return status and reason of each Application."""
    tasks.sweep_flux_messages_task()
    publish_events()
    for environment_id in Environment.objects.values_list("pk", flat=True):
        settle_changes(now=timezone.now(), environment_id=environment_id)
    publish_events()
    rows = ApplicationStatus.objects.order_by("application")
    return {row.application: (row.status, row.status_reason) for row in rows}


def test_a_commit_shows_its_applications_as_installing(environment: Environment) -> None:
    assert follow() == {"shared-mysql": ("installing", ""), "wordpress": ("installing", "")}
    row = ApplicationStatus.objects.get(application="wordpress")
    assert (row.blueprint, row.title, row.version, row.is_service) == ("bp-wordpress", "WordPress", "1.0.0", False)
    assert (row.url, row.depends_on) == ("https://wordpress.acme-prod.cloud.example.om", ["shared-mysql"])
    assert (row.order_number, row.commit, row.applied_commit) == ("OMN-2026-000001", environment.head_commit, "")
    service = ApplicationStatus.objects.get(application="shared-mysql")
    assert (service.is_service, service.url) == (True, "")


def test_all_ready_ends_the_change_and_the_order(environment: Environment, change: Change) -> None:
    say(environment, "shared-mysql", change.commit)
    assert follow() == {"shared-mysql": ("ready", ""), "wordpress": ("installing", "")}
    assert Change.objects.get().state == "reconciling"

    say(environment, "wordpress", change.commit)
    assert follow() == {"shared-mysql": ("ready", ""), "wordpress": ("ready", "")}

    done = Change.objects.get()
    assert done.state == "succeeded"
    assert done.finished_at is not None
    ready = Outbox.objects.get(topic="order.ready")
    assert (ready.payload["order"], ready.payload["applications"]) == ("OMN-2026-000001", ["shared-mysql", "wordpress"])
    assert Outbox.objects.filter(topic="change.succeeded").count() == 1


def test_the_observation_itself_closes_the_change(environment: Environment, change: Change) -> None:
    say(environment, "shared-mysql", change.commit)
    say(environment, "wordpress", change.commit)
    tasks.sweep_flux_messages_task()
    publish_events()
    message = Outbox.objects.filter(topic="application.observed").last()

    tasks.settle_changes(message)  # type: ignore[arg-type]

    assert Change.objects.get().state == "succeeded"


def test_an_older_observation_changes_nothing(environment: Environment, change: Change) -> None:
    say(environment, "wordpress", change.commit, ago=10)
    follow()
    say(environment, "wordpress", change.commit, ago=60, severity="error", reason="HealthCheckFailed", message="x")

    assert follow()["wordpress"] == ("ready", "")


def test_looking_again_at_what_runs_leaves_it_ready(environment: Environment, change: Change) -> None:
    say(environment, "wordpress", change.commit, ago=10)
    follow()
    say(environment, "wordpress", change.commit, reason="Progressing")

    assert follow()["wordpress"] == ("ready", "")


def test_of_two_reports_in_one_second_the_outcome_counts(environment: Environment, change: Change) -> None:
    moment = timezone.now().replace(microsecond=0).isoformat()
    for reason in ("ReconciliationSucceeded", "Progressing"):
        body = event(environment, "wordpress", change.commit, timestamp=moment, reason=reason)
        assert post(environment, json.dumps(body).encode()).status_code == 202

    assert follow()["wordpress"] == ("ready", "")


def test_a_failure_is_shown_with_its_reason_and_can_heal(environment: Environment, change: Change) -> None:
    say(environment, "wordpress", change.commit, ago=9, severity="error", reason="HealthCheckFailed", message="no pod")
    assert follow()["wordpress"] == ("failed", "HealthCheckFailed: no pod")

    say(environment, "wordpress", change.commit)
    assert follow()["wordpress"] == ("ready", "")


@pytest.mark.parametrize(
    "words",
    [
        {"involvedObject": {"kind": "HelmRelease", "namespace": "env-acme-prod", "name": "wordpress"}},
        {"involvedObject": {"kind": "Kustomization", "namespace": "env-globex-prod", "name": "wordpress"}},
        {"involvedObject": {"kind": "Kustomization", "namespace": "env-acme-prod", "name": "applications"}},
        {"metadata": {}},
        {"metadata": {"revision": "change/x@sha1:" + "a" * 40}},
    ],
)
def test_what_says_nothing_of_an_application_is_done_with(environment: Environment, words: dict[str, Any]) -> None:
    say(environment, "wordpress", environment.head_commit, **words)

    assert follow()["wordpress"] == ("installing", "")
    assert FluxMessage.objects.get().state == "done"
    assert not Outbox.objects.filter(topic="application.observed").exists()


def test_an_unknown_commit_is_looked_at_again(environment: Environment) -> None:
    say(environment, "wordpress", "b" * 40)

    for attempt in range(8):
        assert FluxMessage.objects.get().attempts == attempt
        FluxMessage.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=5))
        flux_observe.process_messages()

    assert FluxMessage.objects.get().state == "dead"
    assert follow()["wordpress"] == ("installing", "")


def test_a_report_of_a_tree_without_the_application_is_ignored(desk: Desk, change: Change) -> None:
    second = desk.deliver(desk.order("OMN-2026-000002", "bp-uptime-kuma"), now=timezone.now())
    say(desk.environment(), "uptime-kuma", change.commit)
    assert follow()["uptime-kuma"] == ("installing", "")

    say(desk.environment(), "uptime-kuma", second.commit)
    assert follow()["uptime-kuma"] == ("ready", "")
    second.refresh_from_db()
    assert second.state == "succeeded"


def test_what_is_not_ready_in_time_fails_and_names_what_is_missing(environment: Environment, change: Change) -> None:
    say(environment, "shared-mysql", change.commit)
    follow()

    sweep_changes(owner="sweeper", now=timezone.now() + timedelta(minutes=31))

    failed = Change.objects.get()
    assert (failed.state, failed.status_reason) == ("failed", "Not ready in time: wordpress: Installing")
    assert failed.commit == change.commit
    publish_events()
    assert follow() == {"shared-mysql": ("ready", ""), "wordpress": ("failed", failed.status_reason)}


def test_readiness_after_the_deadline_still_ends_the_order(environment: Environment, change: Change) -> None:
    sweep_changes(owner="sweeper", now=timezone.now() + timedelta(minutes=31))
    for name in ("shared-mysql", "wordpress"):
        say(environment, name, change.commit)

    follow()

    assert Change.objects.get().state == "succeeded"
    assert Outbox.objects.filter(topic="order.ready").count() == 1
