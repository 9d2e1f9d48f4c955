"""sync: taking a registry of signed Blueprints into the catalogue, the first time and when nothing is new."""

import json
import os

from bench.report import Row, Target
from bench.shoppers import Shoppers
from bench.stack import HOME, Stack, run_inside

NAMES = ("sync_first", "sync_unchanged", "sync_tags")
_BLUEPRINTS, _VERSIONS = 1000, 20
#: Without an index each version is asked for, and judged; where all its manifests are new, it is rendered too.
_TAGS_BLUEPRINTS = 5
_FIRST_SECONDS, _UNCHANGED_SECONDS, _TAGS_MS = 60.0, 3.0, 500.0


def measure(stack: Stack, wanted: frozenset[str], shoppers: Shoppers, *, rounds: int, seconds: float) -> list[Row]:
    """Seconds for the whole catalogue by its index, and milliseconds for one version by its tag."""
    rows: list[Row] = []
    if wanted & {"sync_first", "sync_unchanged"}:
        taken = _run(stack, _BLUEPRINTS, "index")
        load = f"{_BLUEPRINTS} × {_VERSIONS}, all different; load {os.getloadavg()[0]:.1f}"
        busy = f"{taken['processor']:.0f} and {taken['second']:.0f} s of its two processes"
        note = f"{load}; {busy}, {taken['memory']:.0f} MiB"
        rows.append(_row("sync_first", taken["first"], taken["blobs"], "s", _FIRST_SECONDS, note))
        rows.append(_row("sync_unchanged", taken["unchanged"], taken["one"], "s", _UNCHANGED_SECONDS, load))
    if "sync_tags" in wanted:
        taken, count = _run(stack, _TAGS_BLUEPRINTS, "tags"), _TAGS_BLUEPRINTS * _VERSIONS
        each, floor, note = taken["first"] / count, taken["blobs"] / count, f"{count} versions, all different"
        rows.append(_row("sync_tags", each * 1000, floor * 1000, "ms each", _TAGS_MS, note))
    return rows


def _run(stack: Stack, blueprints: int, way: str) -> dict[str, float]:
    asked = (str(HOME / "registry"), str(blueprints), str(_VERSIONS), "images", way)
    taken: dict[str, float] = json.loads(run_inside("bench.sync_time", stack.environment, *asked))
    return taken


def _row(name: str, taken: float, floor: float, unit: str, most: float, note: str) -> Row:
    return Row(name, taken, floor, unit, Target(most, at_most=True, on="value"), note)
