"""Fixture ``stripe_standin``: a fresh stand-in per test (``pytest_plugins = ["tests.stripe_standin.plugin"]``)."""

from collections.abc import Iterator

import pytest

from tests.stripe_standin.standin import StripeStandIn


@pytest.fixture
def stripe_standin() -> Iterator[StripeStandIn]:
    """Serve a fresh stand-in, and fail the test when a request or reply broke Stripe's published shapes.

    A test that sends a wrong call on purpose clears ``stripe_standin.violations``.
    """
    with StripeStandIn() as standin:
        yield standin
        assert standin.violations == []
