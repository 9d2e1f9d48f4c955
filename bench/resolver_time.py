"""Resolves made-up catalogues, ordinary, large and hopeless ones, and prints milliseconds of processor time."""

import json
from statistics import median
from time import process_time

from bench.resolver_worlds import hopeless, layered
from marketplace.selectors.resolver import BudgetExceeded, Index, Root, Unresolvable, solve

_SEEDS = range(8)


def main() -> None:
    """Print ``{"small": median, "large": median, "asked": …, "decided": …, "worst": maximum}``."""
    small = [_timed(*layered(60, 6, 12, seed=seed))[0] for seed in _SEEDS]
    large = [_timed(*layered(1000, 20, 4, seed=seed)) for seed in _SEEDS]
    hard = [_timed(*hopeless(birds))[0] for birds in (12, 30, 45)]
    hard += [_timed(*layered(1000, 20, 12, seed=seed, is_cyclic=True))[0] for seed in _SEEDS]
    print(
        json.dumps(
            {
                "small": median(small),
                "large": median(taken for taken, _ in large),
                "asked": len(large),
                "decided": sum(is_decided for _, is_decided in large),
                "worst": max(hard),
            }
        )
    )


def _timed(index: Index, roots: list[Root]) -> tuple[float, bool]:
    started = process_time()
    try:
        solve(index=index, roots=roots)
    except BudgetExceeded:
        is_decided = False
    except Unresolvable:
        is_decided = True
    else:
        is_decided = True
    return (process_time() - started) * 1000, is_decided
