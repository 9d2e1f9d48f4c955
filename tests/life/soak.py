"""The long run, ``make soak``: a year of 200 Organizations with crashes and faults, then every book agrees.

Not in the suite, which collects ``test_*.py``. ``CATALYST_SOAK=organizations,days,seed`` makes it smaller or another.
"""

import os
import sys
import time
from collections.abc import Callable

import pytest

from catalyst.core.invariants import check_invariants
from tests.life.books import assert_books, double_effects
from tests.life.world import World

pytestmark = pytest.mark.django_db(transaction=True)

_DEFAULT = "200,365,2026"
_LOOK_EVERY = 7


@pytest.mark.timeout(0)
def test_a_year(make_world: Callable[..., World]) -> None:
    customers, days, seed = map(int, os.environ.get("CATALYST_SOAK", _DEFAULT).split(","))
    world = make_world(seed=seed, customers=customers, within_days=min(days // 2, 120))
    began = time.monotonic()

    for number in range(days):
        world.day(number)
        if number % _LOOK_EVERY == 0:
            # Liveness has no meaning in the middle of trouble; safety has.
            broken = [str(each) for each in check_invariants() if each.id < "I25"]
            assert broken == []
            assert double_effects(world.standin) == {}
            _say(f"day {number}: {time.monotonic() - began:.0f} s, {sum(world.done.values())} acts")
    world.quiet()

    found = assert_books(world.standin)
    _say(f"seed {seed}: {found}")
    chaos = world.chaos
    _say(f"{chaos.crashes.total()} crashes at {len(chaos.crashes)} points, {chaos.faults.total()} faults")
    for name, count in sorted(world.done.items()):
        _say(f"  {name}: {count}")


def _say(line: str) -> None:
    print(line, file=sys.__stdout__, flush=True)
