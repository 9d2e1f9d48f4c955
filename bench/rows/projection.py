"""commit_growth, keyset, rebuild, projection_lag: what long histories and many Applications cost."""

import json
import os

from bench.report import Row, Target
from bench.shoppers import Shoppers
from bench.stack import HOME, Stack, run_inside

NAMES = ("commit_growth", "commit_5000", "keyset", "rebuild", "projection_lag")
_MOST_GROWTH, _MOST_MS, _REBUILD_SECONDS, _LAG_MS = 2.0, 10.0, 60.0, 2000.0


def measure(stack: Stack, wanted: frozenset[str], shoppers: Shoppers, *, rounds: int, seconds: float) -> list[Row]:
    """Commits into a repository of their own, then 10,000 Applications in the read tables."""
    load = f"load {os.getloadavg()[0]:.1f}"
    rows: list[Row] = []
    if wanted & {"commit_growth", "commit_5000"}:
        taken = json.loads(run_inside("bench.commit_time", stack.environment, str(HOME / "commits")))
        few, many = taken["500"], taken["5000"]
        rows.append(Row("commit_growth", many, few, "ms", Target(_MOST_GROWTH, at_most=True), f"floor: at 500; {load}"))
        target = Target(_MOST_MS, 3.0, at_most=True, on="value")
        rows.append(Row("commit_5000", many, _MOST_MS, "ms", target, f"the disk is waited for; {load}"))
    if wanted & {"keyset", "rebuild", "projection_lag"}:
        found = json.loads(run_inside("bench.projection_time", {**stack.environment, "CATALYST_DB_ROLE": ""}))
        # As speeds: the last page must be at least so fast as 90 % of the first.
        target = Target(0.9)
        rows.append(
            Row("keyset", 1000 / found["last"], 1000 / found["first"], "pages/s", target, f"10,000 rows; {load}")
        )
        target = Target(_REBUILD_SECONDS, at_most=True, on="value")
        rows.append(Row("rebuild", found["rebuild"], _REBUILD_SECONDS, "s", target, f"10,000 Applications; {load}"))
        target = Target(_LAG_MS, at_most=True, on="value")
        rows.append(Row("projection_lag", found["lag"], _LAG_MS, "ms, p95", target, f"relay and fold; {load}"))
    return [row for row in rows if row.name in wanted]
