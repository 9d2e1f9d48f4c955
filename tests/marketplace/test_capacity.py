"""One sizing arithmetic: the gauge, the check and the smallest Plan agree."""

import pytest

from marketplace.selectors.capacity import OVERHEAD, Footprint, smallest_fitting, used_by

PLANS = [("m", Footprint(8192, 4000, 50)), ("s", Footprint(4096, 2000, 25)), ("l", Footprint(16384, 8000, 100))]


def test_counts_the_overhead_of_an_empty_environment() -> None:
    assert used_by([]) == OVERHEAD == Footprint(500, 250, 3)


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (Footprint(4096, 2000, 25), "s"),
        (Footprint(4097, 2000, 25), "m"),
        (Footprint(1, 2001, 1), "m"),
        (Footprint(1, 1, 51), "l"),
        (Footprint(1, 1, 101), None),
    ],
)
def test_names_the_smallest_plan_that_holds_all_three(used: Footprint, expected: str | None) -> None:
    assert smallest_fitting(used, PLANS) == expected


@pytest.mark.parametrize(
    ("used", "percent"),
    [(Footprint(4096, 1000, 1), 100), (Footprint(1024, 1001, 5), 51), (Footprint(4100, 1, 1), 101)],
)
def test_gauge_shows_the_fullest_axis(used: Footprint, percent: int) -> None:
    assert used.percent_of(Footprint(4096, 2000, 25)) == percent


def test_no_capacity_counts_as_full() -> None:
    assert Footprint(0, 0, 0).percent_of(Footprint(0, 0, 0)) == 101
