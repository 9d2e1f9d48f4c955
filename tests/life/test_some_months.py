"""A few customers in a hurry, some weeks, trouble on every side; then all books agree. The long run: ``make soak``."""

from collections.abc import Callable

import pytest

from tests.life.books import assert_books
from tests.life.world import World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

_SEED, _CUSTOMERS, _DAYS, _HASTE = 1, 6, 45, 5
#: So many attempts are not all cut off by a death or a fault: an act that never goes through is broken.
_OFTEN = 5


def test_some_weeks_of_trouble_end_in_equal_books(make_world: Callable[..., World]) -> None:
    world = make_world(seed=_SEED, customers=_CUSTOMERS, within_days=5, haste=_HASTE)

    for number in range(_DAYS):
        world.day(number)
    world.quiet()

    found = assert_books(world.standin)
    assert found.sales > 0
    assert found.captured > 0
    assert found.renewals > 0
    assert world.chaos.crashes.total() > 0
    assert world.chaos.faults.total() > 0
    assert world.done["buy"] >= _CUSTOMERS
    assert world.done["redeem"] > 0
    tried = {name.removesuffix(", in vain") for name in world.done}
    assert len(tried) > 6
    assert [act for act in tried if not world.done[act] and world.done[f"{act}, in vain"] >= _OFTEN] == []
