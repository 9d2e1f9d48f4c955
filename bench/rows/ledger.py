"""ledger_growth, balance: what years of entries do to a checkout, and to reading a balance."""

from statistics import median

from bench.report import Row, Target
from bench.rows.checkout import FEW
from bench.shoppers import Shoppers
from bench.stack import Stack, refresh_statistics, run_inside

NAMES = ("ledger_growth", "balance")
_MOST_MS = 0.1


def measure(stack: Stack, wanted: frozenset[str], shoppers: Shoppers, *, rounds: int, seconds: float) -> list[Row]:
    """Measure before, grow the ledger to 3 million entries, measure again: growth cannot be interleaved."""
    before = _rate(stack, shoppers, rounds=rounds, seconds=seconds) if "ledger_growth" in wanted else 0.0
    run_inside("bench.grow", {**stack.environment, "CATALYST_DB_ROLE": ""})
    rows = []
    if "ledger_growth" in wanted:
        after = _rate(stack, shoppers, rounds=rounds, seconds=seconds)
        rows.append(
            Row("ledger_growth", after, before, "checkouts/s", Target(0.75, 0.95), "3 M entries; floor: at the start")
        )
    if "balance" in wanted:
        taken = float(run_inside("bench.balance_time", stack.environment))
        target = Target(_MOST_MS, at_most=True, on="value")
        rows.append(Row("balance", taken, _MOST_MS, "ms", target, "100,000 entries, one row read"))
    return rows


def _rate(stack: Stack, shoppers: Shoppers, *, rounds: int, seconds: float) -> float:
    shoppers.buy("spread", connections=FEW, seconds=3)
    rates = []
    for _ in range(rounds):
        refresh_statistics(stack)
        rates.append(shoppers.buy("spread", connections=FEW, seconds=seconds).rate)
    return median(rates)
