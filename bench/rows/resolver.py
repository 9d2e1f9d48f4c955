"""resolver: how long versions take to choose, in an ordinary catalogue, a large one, and where there is no answer."""

import json

from bench.report import Row, Target
from bench.shoppers import Shoppers
from bench.stack import Stack, run_inside

NAMES = ("resolver",)
_SMALL_MS, _LARGE_MS, _WORST_MS = 20.0, 500.0, 2000.0


def measure(stack: Stack, wanted: frozenset[str], shoppers: Shoppers, *, rounds: int, seconds: float) -> list[Row]:
    """Processor time: other load on the machine takes no part. The floor of each is what must hold."""
    taken = json.loads(run_inside("bench.resolver_time", stack.environment))
    decided = f"1,000 Blueprints × 20 versions; {taken['decided']} of {taken['asked']} decided"
    return [
        _row("resolver", taken["small"], _SMALL_MS, "60 Blueprints × 6 versions"),
        _row("resolver_large", taken["large"], _LARGE_MS, decided),
        _row("resolver_budget", taken["worst"], _WORST_MS, "the worst of 11 that end undecided or too large"),
    ]


def _row(name: str, taken: float, most: float, note: str) -> Row:
    return Row(name, taken, most, "ms", Target(most, at_most=True, on="value"), note)
