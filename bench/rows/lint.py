"""lint: how long the worst of what an attacker sends keeps the linter busy."""

import json

from bench.report import Row, Target
from bench.shoppers import Shoppers
from bench.stack import Stack, run_inside

NAMES = ("lint_refuse",)
_MOST_MS = 200.0


def measure(stack: Stack, wanted: frozenset[str], shoppers: Shoppers, *, rounds: int, seconds: float) -> list[Row]:
    """Processor time of the worst refusal; what must hold stands in place of the floor."""
    taken = json.loads(run_inside("bench.lint_time", stack.environment))
    note = f"the worst of {taken['count']} hostile inputs: {taken['name']}"
    return [Row("lint_refuse", taken["worst"], _MOST_MS, "ms", Target(_MOST_MS, at_most=True, on="value"), note)]
