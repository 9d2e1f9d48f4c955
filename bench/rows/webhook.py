"""webhook: signed events verified and stored, and forged ones refused, per second over HTTP."""

from statistics import median

from bench.report import Row, Target
from bench.rows.checkout import FEW
from bench.shoppers import Shoppers
from bench.stack import Stack

NAMES = ("webhook",)
_STORED, _REFUSED = 100.0, 1000.0


def measure(stack: Stack, wanted: frozenset[str], shoppers: Shoppers, *, rounds: int, seconds: float) -> list[Row]:
    """Both kinds interleaved; the floor of each is the rate that must be reached."""
    stored, refused = [], []
    for _ in range(rounds):
        stored.append(shoppers.send("webhook", connections=FEW, seconds=seconds, expected="200").rate)
        refused.append(shoppers.send("forged", connections=FEW, seconds=seconds, expected="400").rate)
    return [
        Row("webhook", median(stored), _STORED, "events/s", Target(1.0), "verified and stored"),
        Row("webhook_refused", median(refused), _REFUSED, "refusals/s", Target(1.0), "bad signature"),
    ]
