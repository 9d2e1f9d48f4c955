"""checkout_spread, checkout_hot, checkout_64: HTTP checkouts that credit covers, against the floor."""

from statistics import median

from bench.floor import Floor
from bench.report import Row, Target
from bench.seed_facts import SCARCE_CAP
from bench.shoppers import LoadFailed, Shoppers
from bench.stack import Stack, refresh_statistics, run_inside

FEW, MANY = 8, 64
NAMES = ("checkout_spread", "checkout_hot", "checkout_64")


def measure(stack: Stack, wanted: frozenset[str], shoppers: Shoppers, *, rounds: int, seconds: float) -> list[Row]:
    """Interleave floor and product, round by round, so that a change of the machine's mood meets both."""
    floor = Floor(stack, rounds=rounds)
    shoppers.buy("spread", connections=FEW, seconds=3)  # both workers have loaded everything
    has_hot, has_many = "checkout_hot" in wanted, "checkout_64" in wanted
    seen: dict[str, list[float]] = {name: [] for name in ("floor", "spread", "hot_floor", "hot", "many")}
    for _ in range(rounds):
        refresh_statistics(stack)
        seen["floor"].append(floor.measure("spread", seconds=seconds))
        seen["spread"].append(shoppers.buy("spread", connections=FEW, seconds=seconds).rate)
        if has_hot:
            seen["hot_floor"].append(floor.measure("hot", seconds=seconds))
            seen["hot"].append(shoppers.buy("hot", connections=FEW, seconds=seconds).rate)
        if has_many:
            seen["many"].append(shoppers.buy("spread", connections=MANY, seconds=seconds).rate)
    if has_many:
        _check_scarcity(shoppers)
    print(run_inside("bench.exactness", stack.environment))
    return _rows({name: median(numbers) for name, numbers in seen.items() if numbers}, wanted)


def _rows(medians: dict[str, float], wanted: frozenset[str]) -> list[Row]:
    spread = medians["spread"]
    rows = [Row("checkout_spread", spread, medians["floor"], "checkouts/s", Target(0.15, 0.30), "floor: pgbench")]
    if "hot" in medians:
        hot = medians["hot"]
        rows.append(Row("checkout_hot", hot, medians["hot_floor"], "checkouts/s", Target(0.30, 0.60), "floor: pgbench"))
        rows.append(Row("checkout_hot_vs_spread", hot, spread, "checkouts/s", Target(0.80), "floor: checkout_spread"))
    if "many" in medians:
        rows.append(Row("checkout_64", medians["many"], spread, "checkouts/s", Target(0.80), "floor: 8 connections"))
    return [row for row in rows if row.name.removesuffix("_vs_spread") in wanted]


def _check_scarcity(shoppers: Shoppers) -> None:
    """Let more Organizations want a voucher than it has places: exactly the places are taken.

    :raises LoadFailed: more or fewer were sold, or somebody got another answer than "used up" or "busy".
    """
    statuses = shoppers.buy("scarce", connections=MANY, seconds=60, requests=2 * SCARCE_CAP).statuses
    if statuses.get("201") != SCARCE_CAP or set(statuses) - {"201", "409", "410"}:
        raise LoadFailed(f"A voucher with {SCARCE_CAP} places was answered {statuses}.")
