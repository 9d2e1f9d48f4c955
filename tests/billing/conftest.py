"""Fixtures of the money tests."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tenancy.models import Organization, Sovereign, User
from tests.billing.shop import Shop, open_shop
from tests.clock import MovableClock
from tests.crash.client import CrashServer
from tests.stripe_standin import StripeStandIn


@pytest.fixture
def shop_without_processor(sovereign: Sovereign, organization: Organization, org_admin: User) -> Shop:
    """A shop whose administrator has stored no processor keys."""
    return open_shop(sovereign, organization, org_admin)


@pytest.fixture
def shop(shop_without_processor: Shop, stripe_standin: StripeStandIn, settings: Any) -> Shop:
    """A shop that takes cards through the stand-in."""
    settings.STRIPE_API_BASE = stripe_standin.url
    shop_without_processor.standin = stripe_standin
    shop_without_processor.configure_processor()
    return shop_without_processor


@pytest.fixture
def one_window(clock: MovableClock) -> timedelta:
    """Begin at least seven minutes before the next window in which wrong codes are counted; return a person's window.

    That of an address is four of them, so it cannot end earlier.
    """
    window = timedelta(minutes=15)
    past = timedelta(seconds=clock.now.timestamp() % window.total_seconds())
    clock.advance(window - past if past > timedelta(minutes=8) else timedelta())
    return window


@pytest.fixture(scope="session")
def crash_server(django_db_setup: None) -> Iterator[CrashServer]:
    """The process that lends children to die, for the whole run: it takes seconds to start and a child none."""
    with CrashServer() as server:
        yield server
