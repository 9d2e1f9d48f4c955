"""A world on the shop's own database, clock and processor."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests import factories
from tests.billing.conftest import shop, shop_without_processor
from tests.billing.shop import Shop
from tests.clock import MovableClock
from tests.life.chaos import Chaos
from tests.life.world import PLANS, World
from tests.stripe_standin import StripeStandIn

__all__ = ["shop", "shop_without_processor"]


@pytest.fixture
def make_world(
    transactional_db: None,
    catalyst_home: Path,
    shop: Shop,
    stripe_standin: StripeStandIn,
    clock: MovableClock,
    no_bell: None,
) -> Callable[..., World]:
    """Make the world of one seed."""
    for slug, amount in PLANS.items():
        if slug != "m":
            factories.PlanFactory.create(slug=slug, title_en=slug.upper(), title_ar=slug.upper(), memory_mib=16_384)
            factories.PriceFactory.create(kind="plan", reference=slug, amount_minor=amount)

    def make(*, seed: int, customers: int, within_days: int, haste: float = 1.0) -> World:
        world = World(shop, stripe_standin, clock, Chaos(Random(seed), stripe_standin, 1.0), haste)
        world.settle_in(customers, within_days=within_days)
        return world

    return make
