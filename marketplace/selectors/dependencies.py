"""Which Applications an installation needs: what runs stays exactly as it is, the rest is resolved around it.

Source: blueprints.md §5 of the design.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from marketplace.selectors.resolver import (
    Candidate,
    Edge,
    Index,
    Lock,
    LockEntry,
    Moves,
    Options,
    Root,
    Unresolvable,
    solve,
)
from marketplace.selectors.resolver.problem import name_taken

__all__ = ["Candidate", "Edge", "Index", "Lock", "LockEntry", "Root", "Unresolvable", "resolve"]


def resolve(
    *,
    index: Index,
    roots: Iterable[Root],
    existing: Lock | None = None,
    config: Mapping[str, Mapping[str, Any]] | None = None,
) -> Lock:
    """Return the closure of the roots together with what the Environment already runs, whose versions stay.

    ``config`` maps Applications to what people set: it decides conditional dependencies, the defaults do otherwise.

    :raises Unresolvable: there is no solution, and why; or none was found in time; or a name is taken.
    """
    asked = tuple(roots)
    running = set(existing.applications()) if existing else set()
    for root in asked:
        if root.application in running:
            raise Unresolvable(name_taken(root.application))
    options = Options(moves=Moves.NONE, config=config or {})
    return solve(index=index, roots=asked, locked=existing, options=options)
