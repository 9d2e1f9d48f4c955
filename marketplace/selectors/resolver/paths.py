"""Paths of dependencies: none leads back to the same Blueprint, none is too long.

Source: blueprints.md §5 of the design.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from marketplace.selectors.resolver.graph import MAX_DEPTH


@dataclass(frozen=True, slots=True)
class Fault:
    """``kind`` is ``cycle`` or ``deep``; ``path`` names Applications, in the direction of need."""

    kind: str
    path: tuple[str, ...]


def find_fault(edges: Mapping[str, Sequence[str]], blueprint_of: Mapping[str, str]) -> Fault | None:
    """Return the first path that breaks a rule. Applications without an entry in ``edges`` need nothing (yet)."""
    for start in sorted(edges):
        path = _way_back(start, edges, blueprint_of)
        if path:
            return Fault("cycle", path)
    longest: dict[str, tuple[str, ...]] = {}
    for start in sorted(edges):
        path = _longest(start, edges, longest)
        if len(path) > MAX_DEPTH:
            return Fault("deep", path[: MAX_DEPTH + 1])
    return None


def _way_back(start: str, edges: Mapping[str, Sequence[str]], blueprint_of: Mapping[str, str]) -> tuple[str, ...]:
    """Return the shortest path from an Application to one of the same Blueprint."""
    came_from: dict[str, str] = {}
    waiting = [start]
    for name in waiting:
        for target in edges.get(name, ()):
            if blueprint_of[target] == blueprint_of[start]:
                path = [target, name]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return tuple(reversed(path))
            if target not in came_from:
                came_from[target] = name
                waiting.append(target)
    return ()


def _longest(start: str, edges: Mapping[str, Sequence[str]], known: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the longest path from here; there is no cycle, so this ends."""
    if start not in known:
        below = [_longest(target, edges, known) for target in edges.get(start, ())]
        known[start] = (start, *max(below, key=len, default=()))
    return known[start]
