"""Which versions run together: a pure search over ranges, and an explanation when there is none.

How versions are chosen: docs/blueprints.md.
"""

from marketplace.selectors.resolver.explain import Conflict, Explanation, Relaxation
from marketplace.selectors.resolver.graph import (
    MAX_DEPTH,
    MAX_NODES,
    Budget,
    BudgetExceeded,
    Candidate,
    Choice,
    Edge,
    Index,
    Lock,
    LockEntry,
    Moves,
    Options,
    Root,
    Unresolvable,
)
from marketplace.selectors.resolver.obstacles import Obstacle, find_obstacle
from marketplace.selectors.resolver.problem import Demand, ranked
from marketplace.selectors.resolver.search import Wall
from marketplace.selectors.resolver.solve import solve

__all__ = [
    "MAX_DEPTH",
    "MAX_NODES",
    "Budget",
    "BudgetExceeded",
    "Candidate",
    "Choice",
    "Conflict",
    "Demand",
    "Edge",
    "Explanation",
    "Index",
    "Lock",
    "LockEntry",
    "Moves",
    "Obstacle",
    "Options",
    "Relaxation",
    "Root",
    "Unresolvable",
    "Wall",
    "find_obstacle",
    "ranked",
    "solve",
]
