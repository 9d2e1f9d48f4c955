"""sync: taking a registry of signed Blueprints into the catalogue, the first time and when nothing is new."""

import json

from bench.report import Row, Target
from bench.shoppers import Shoppers
from bench.stack import HOME, Stack, run_inside

NAMES = ("sync_first", "sync_unchanged")
_BLUEPRINTS, _VERSIONS = 20, 20
#: What the catalogue of 1,000 Blueprints with 20 versions may take, as a share for one version and one list.
_FIRST_MS, _UNCHANGED_MS = 3.0, 3.0


def measure(stack: Stack, wanted: frozenset[str], shoppers: Shoppers, *, rounds: int, seconds: float) -> list[Row]:
    """Milliseconds for each version and each repository; the floor is one bare request for each in the same run."""
    asked = (str(HOME / "registry"), str(_BLUEPRINTS), str(_VERSIONS), "same")
    taken = json.loads(run_inside("bench.sync_time", stack.environment, *asked))
    versions, note = _BLUEPRINTS * _VERSIONS, f"{_BLUEPRINTS} Blueprints × {_VERSIONS} versions"
    return [
        _row("sync_first", taken["first"] / versions, taken["manifests"] / versions, _FIRST_MS, note),
        _row("sync_unchanged", taken["unchanged"] / _BLUEPRINTS, taken["lists"] / _BLUEPRINTS, _UNCHANGED_MS, note),
    ]


def _row(name: str, taken: float, floor: float, most: float, note: str) -> Row:
    return Row(name, taken * 1000, floor * 1000, "ms each", Target(most, at_most=True, on="value"), note)
