"""The projection of Applications is the fold of the log: rebuilt from zero it has equal rows."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from marketplace.models import ApplicationStatus
from marketplace.services.changes import retry_change
from marketplace.services.changes_sweep import settle_changes, sweep_changes
from marketplace.services.flux_observe import process_messages
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import Desk, open_desk, publish_events
from tests.marketplace.flux_words import say
from tests.rebuilding import assert_rebuilds_equal, assert_trees_equal_rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    return open_desk(organization, org_admin)


def rows() -> list[dict[str, Any]]:
    found = list(ApplicationStatus.objects.order_by("environment_id", "application").values())
    return [{name: value for name, value in row.items() if name != "id"} for row in found]


def test_rebuilt_rows_are_equal(desk: Desk) -> None:
    first = desk.deliver(now=timezone.now())
    publish_events()
    environment = desk.environment()
    say(environment, "wordpress", first.commit, ago=30, severity="error", reason="BuildFailed", message="x")
    say(environment, "shared-mysql", first.commit, ago=20)
    say(environment, "shared-mysql", first.commit, ago=40, reason="Progressing")
    process_messages()
    publish_events()
    second = desk.deliver(desk.order("OMN-2026-000002", "bp-uptime-kuma", "bp-wordpress"), now=timezone.now())
    say(environment, "wordpress", second.commit, ago=5)
    process_messages()
    publish_events()
    sweep_changes(owner="sweeper", now=timezone.now() + timedelta(minutes=31))
    publish_events()
    retry_change(change_id=second.pk, actor="test", now=timezone.now())
    settle_changes(now=timezone.now())
    publish_events()
    before = rows()

    assert_rebuilds_equal()

    assert rows() == before
    assert [(row["application"], row["status"]) for row in before] == [
        ("shared-mysql", "ready"),
        ("uptime-kuma", "installing"),
        ("wordpress", "ready"),
        ("wordpress-2", "installing"),
    ]


def test_rebuilt_rows_of_what_pauses_and_goes_are_equal(desk: Desk) -> None:
    bought = desk.deliver(desk.order("OMN-2026-000001", "bp-uptime-kuma", "bp-wordpress"))
    desk.cluster_says(bought.commit, "shared-mysql", "uptime-kuma", "wordpress")
    paused = desk.tell("suspended", 20)
    assert paused is not None
    desk.cluster_says(paused.commit, "shared-mysql", "uptime-kuma")
    desk.tell("changed", 21, remove=["uptime-kuma"])
    desk.cluster_says(paused.commit, "uptime-kuma", message="Deployment/prod-uptime-kuma/app deleted")
    desk.tell("changed", 22, remove=["wordpress"])
    publish_events()
    before = rows()

    assert_rebuilds_equal()
    assert_trees_equal_rows()

    assert rows() == before
    assert [(row["application"], row["status"]) for row in before] == [
        ("shared-mysql", "deleting"),
        ("wordpress", "deleting"),
    ]
