"""The stand-in's fixture, and its official client with an order worth paying."""

from collections.abc import Iterator
from threading import Thread

import pytest
import stripe

from tests.stripe.shop import Shop
from tests.stripe_standin import StripeStandIn
from tests.stripe_standin.plugin import stripe_standin

__all__ = ["stripe_standin"]


@pytest.fixture
def client(stripe_standin: StripeStandIn) -> stripe.StripeClient:
    """Return the official client."""
    return stripe_standin.client()


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Serve a webhook endpoint."""
    with Shop() as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()
