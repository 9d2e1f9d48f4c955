"""Whether what runs fits a smaller Plan, with and without what goes at the same time."""

from typing import Any

import pytest

from marketplace.selectors.capacity import OVERHEAD, Footprint, installed_fits
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import Desk, open_desk

pytestmark = pytest.mark.django_db(transaction=True)

# As the shipped Blueprints say.
WORDPRESS, MYSQL, KUMA = Footprint(256, 250, 5), Footprint(256, 200, 5), Footprint(128, 100, 1)
ALL = OVERHEAD + WORDPRESS + MYSQL + KUMA


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    desk = open_desk(organization, org_admin)
    desk.deliver(desk.order("OMN-2026-000001", "bp-wordpress", "bp-uptime-kuma"))
    return desk


def test_what_fits_exactly_fits(desk: Desk) -> None:
    assert installed_fits(desk.environment(), ALL)


@pytest.mark.parametrize(("memory", "cpu", "disk"), [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_one_axis_too_small_is_too_small(desk: Desk, memory: int, cpu: int, disk: int) -> None:
    less = Footprint(ALL.memory_mib - memory, ALL.cpu_milli - cpu, ALL.disk_gib - disk)

    assert not installed_fits(desk.environment(), less)


def test_counts_without_what_goes_at_the_same_time(desk: Desk) -> None:
    assert not installed_fits(desk.environment(), OVERHEAD + KUMA)
    assert installed_fits(desk.environment(), OVERHEAD + KUMA, without=["wordpress"])


def test_what_is_removed_takes_no_place(desk: Desk) -> None:
    desk.tell("changed", 20, remove=["wordpress"])

    assert installed_fits(desk.environment(), OVERHEAD + KUMA)
