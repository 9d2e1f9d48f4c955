"""``python -m bench [--rows a,b]`` (or ``make bench ROWS=a,b``): measure, print a table, write the numbers down.

Everything is a ratio to a floor of the same run on the same machine. What each row must reach: docs/performance.md.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from bench import report
from bench.rows import checkout, ledger, lint, oscar, projection, resolver, statements, sync, webhook
from bench.shoppers import Shoppers
from bench.stack import ROOT, running_stack

RESULTS = ROOT / "bench" / "results" / "latest.json"
#: Rows that share a run stand in one module.
_GROUPS: Sequence[tuple[Sequence[str], Callable[..., list[report.Row]]]] = (
    (statements.NAMES, statements.measure),
    (checkout.NAMES, checkout.measure),
    (oscar.NAMES, oscar.measure),
    (webhook.NAMES, webhook.measure),
    (resolver.NAMES, resolver.measure),
    (lint.NAMES, lint.measure),
    (sync.NAMES, sync.measure),
    (projection.NAMES, projection.measure),
    (ledger.NAMES, ledger.measure),
)


def main() -> int:
    """Return 0 when every row reaches what it must."""
    known = [name for names, _ in _GROUPS for name in names]
    options = _options(known)
    wanted = frozenset(options.rows.split(",")) if options.rows else frozenset(known)
    if wanted - set(known):
        print(f"Unknown rows: {', '.join(sorted(wanted - set(known)))}. There are: {', '.join(known)}.")
        return 2
    rows: list[report.Row] = []
    with running_stack() as stack:
        shoppers = Shoppers(stack.port)
        for names, measure in _GROUPS:
            if wanted.intersection(names):
                rows += measure(stack, wanted, shoppers, rounds=options.rounds, seconds=options.seconds)
    print(report.table(rows))
    report.write(rows, RESULTS)
    return 0 if all(row.reaches(row.target.must) for row in rows) else 1


def _options(known: Sequence[str]) -> Any:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure against the floor.")
    parser.add_argument("--rows", default=os.environ.get("ROWS", ""), help=f"some of: {', '.join(known)}")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds; medians are reported")
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement in a round")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
