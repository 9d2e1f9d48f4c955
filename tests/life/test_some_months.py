"""A few customers, some months, trouble on every side; then all books agree. ``make soak`` is the long run."""

from collections.abc import Callable

import pytest

from tests.life.books import assert_books
from tests.life.world import World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

_CUSTOMERS, _DAYS = 6, 70


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
def test_some_months_of_trouble_end_in_equal_books(make_world: Callable[..., World], seed: int) -> None:
    world = make_world(seed=seed, customers=_CUSTOMERS, within_days=5)

    for number in range(_DAYS):
        world.day(number)
    world.quiet()

    found = assert_books(world.standin)
    assert found.sales > 0
    assert found.renewals > 0
    assert world.chaos.crashes.total() > 0
    assert world.chaos.faults.total() > 0
