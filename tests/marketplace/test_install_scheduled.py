"""What a change of a subscription brings at the end of a period is installed once, without an order."""

from typing import Any

import pytest

from catalyst.core.models import Outbox
from marketplace import tasks
from marketplace.models import Application, Change
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import Desk, open_desk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    return open_desk(organization, org_admin)


def current() -> list[str]:
    rows = Application.objects.filter(removed_by__isnull=True).order_by("slug")
    return list(rows.values_list("slug", flat=True))


def test_it_is_one_commit_however_often_the_event_comes(desk: Desk) -> None:
    desk.deliver()
    event = desk.event("changed", 20, remove=[], install=["bp-uptime-kuma"], config={}, user=desk.buyer.pk)

    tasks.install_scheduled(event)
    tasks.install_scheduled(event)

    assert current() == ["shared-mysql", "uptime-kuma", "wordpress"]
    _first, commit = desk.history()
    change = Change.objects.get(cause=f"{event.key}:install")
    assert (change.commit, change.author, change.order_number) == (commit.sha, desk.buyer, "")
    assert commit.author.email != "catalyst@cloud.example.om"
    assert Outbox.objects.filter(topic="order.ready").count() == 0


def test_what_goes_and_what_comes_by_one_event_are_both_done(desk: Desk) -> None:
    desk.deliver()
    event = desk.event("changed", 20, remove=["wordpress"], install=["bp-uptime-kuma"], config={}, user=desk.buyer.pk)

    tasks.follow_subscription(event)
    tasks.install_scheduled(event)

    assert current() == ["uptime-kuma"]
    assert len(desk.history()) == 3


def test_a_change_that_was_ordered_brings_nothing_here(desk: Desk) -> None:
    tasks.install_scheduled(desk.event("changed", 20, remove=[], install=[], user=desk.buyer.pk))

    assert Change.objects.count() == 0
