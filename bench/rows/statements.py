"""statements: how many SQL statements one credit-only checkout sends, BEGIN and COMMIT included."""

from bench.report import Row, Target
from bench.shoppers import Shoppers
from bench.stack import Stack, run_inside

NAMES = ("statements",)


def measure(stack: Stack, wanted: frozenset[str], shoppers: Shoppers, *, rounds: int, seconds: float) -> list[Row]:
    """Count once: the number does not vary."""
    count = int(run_inside("bench.statement_count", stack.environment))
    target = Target(25, 12, at_most=True, on="value")
    return [Row("statements", count, 25, "statements", target, "floor: the most that is allowed")]
