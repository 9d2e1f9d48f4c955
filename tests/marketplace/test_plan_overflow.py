"""Before a smaller Plan is chosen, a person sees how much is too much and what taking an Application out gives back."""

from typing import Any

import pytest

from marketplace.models import Plan
from marketplace.selectors.capacity import OVERHEAD, Footprint, plan_overflow
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import Desk, open_desk

pytestmark = pytest.mark.django_db(transaction=True)

# As the shipped Blueprints say.
WORDPRESS, MYSQL, KUMA = Footprint(256, 250, 5), Footprint(256, 200, 5), Footprint(128, 100, 1)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    desk = open_desk(organization, org_admin)
    desk.deliver(desk.order("OMN-2026-000001", "bp-wordpress", "bp-uptime-kuma"))
    return desk


def plan(capacity: Footprint) -> Plan:
    return Plan(slug="tiny", memory_mib=capacity.memory_mib, vcpu_milli=capacity.cpu_milli, disk_gib=capacity.disk_gib)


def test_what_fits_exactly_fits(desk: Desk) -> None:
    assert plan_overflow(desk.environment(), plan(OVERHEAD + WORDPRESS + MYSQL + KUMA)) is None


def test_says_how_much_is_too_much_and_what_would_help(desk: Desk) -> None:
    all_of_it = OVERHEAD + WORDPRESS + MYSQL + KUMA
    capacity = Footprint(all_of_it.memory_mib - 100, all_of_it.cpu_milli, all_of_it.disk_gib - 2)

    found = plan_overflow(desk.environment(), plan(capacity))

    assert found is not None
    assert (found.used, found.capacity, found.excess) == (all_of_it, capacity, Footprint(100, 0, 2))
    assert [(each.application, each.title, each.footprint) for each in found.applications] == [
        ("wordpress", "WordPress", WORDPRESS + MYSQL),
        ("uptime-kuma", "Uptime Kuma", KUMA),
    ]


def test_counts_without_what_goes_at_the_same_time(desk: Desk) -> None:
    small = plan(OVERHEAD + KUMA)

    assert plan_overflow(desk.environment(), small) is not None
    assert plan_overflow(desk.environment(), small, without=["wordpress"]) is None


def test_what_is_removed_takes_no_place(desk: Desk) -> None:
    desk.tell("changed", 20, remove=["wordpress"])

    assert plan_overflow(desk.environment(), plan(OVERHEAD + KUMA)) is None
