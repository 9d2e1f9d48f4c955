"""The nouns of a resolution: what may be installed, what is asked for, and the Lock that answers.

Source: blueprints.md §5 of the design.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from catalyst.core.errors import DomainError
from marketplace.selectors.capacity import Footprint

#: Most Blueprints on one path of dependencies.
MAX_DEPTH = 8
#: Most Applications in one Environment.
MAX_NODES = 100


class Unresolvable(DomainError):
    """The dependencies cannot be met; the message says which and why."""

    code = "unresolvable"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class BudgetExceeded(Unresolvable):
    """The search was stopped before it knew: nothing is said about whether a solution exists."""

    code = "resolution_undecided"


@dataclass(frozen=True, slots=True)
class Edge:
    """One entry of ``spec.depends``. ``sharing`` is ``shared``, ``dedicated`` or ``singleton``.

    ``when`` is a condition on the configuration; empty means always.
    """

    blueprint: str
    range: str
    alias: str
    sharing: str
    when: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One published version that the reader may install.

    ``blocks`` are ranges of versions that may never move here, ``accepts`` of those that may (empty: any other);
    ``defaults`` is the configuration nobody gave. ``is_deprecated``: what runs may move to it, nothing new may have it.
    """

    blueprint: str
    version: str
    digest: str
    source: str
    kind: str
    footprint: Footprint
    depends: tuple[Edge, ...] = ()
    sharing: tuple[str, ...] = ("shared", "dedicated")
    blocks: tuple[str, ...] = ()
    accepts: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    is_deprecated: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Root:
    """An Application somebody asks for. An empty ``range`` means any version, the newest release first."""

    application: str
    blueprint: str
    range: str = ""


@dataclass(frozen=True, slots=True)
class LockEntry:
    """One Application. ``requested_by`` names Applications (empty for a root), ``bindings`` maps alias to name."""

    application: str
    candidate: Candidate
    requested_by: tuple[str, ...]
    bindings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Lock:
    """Entries in the order of installation: dependencies first, ties by name."""

    entries: tuple[LockEntry, ...] = ()

    def applications(self) -> tuple[str, ...]:
        return tuple(entry.application for entry in self.entries)

    def footprints(self) -> tuple[Footprint, ...]:
        return tuple(entry.candidate.footprint for entry in self.entries)


#: Blueprint name → its candidates, in any order.
Index = Mapping[str, tuple[Candidate, ...]]


class Moves(StrEnum):
    """Which locked versions may change."""

    #: None of them.
    NONE = "none"
    #: Only those that something else forces.
    MINIMAL = "minimal"
    #: All of them, to the newest that is allowed.
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person decided about one dependency: bind it to an Application, or (empty ``bind``) give it its own."""

    application: str
    alias: str
    bind: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """How to resolve.

    ``upgrade`` names locked Applications that take the newest version allowed, ``unlocked`` those that may move when
    something forces it, both also with ``Moves.NONE``. ``config`` maps Applications to what people set; ``configured``
    names locked ones whose conditions are decided anew by it.
    """

    moves: Moves = Moves.MINIMAL
    upgrade: frozenset[str] = frozenset()
    unlocked: frozenset[str] = frozenset()
    configured: frozenset[str] = frozenset()
    choices: tuple[Choice, ...] = ()
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)

    def may_move(self, application: str) -> bool:
        return self.moves != Moves.NONE or application in self.upgrade or application in self.unlocked

    def prefers_newest(self, application: str) -> bool:
        return self.moves == Moves.LATEST or application in self.upgrade


@dataclass(slots=True)
class Budget:
    """How much work a resolution may do, in steps: no clock takes part, so that the same input ends the same way.

    A step is one version looked at or one requirement placed, about 5 µs.
    """

    steps: int = 100_000
    used: int = 0

    def spend(self, steps: int) -> None:
        """Take steps out.

        :raises OutOfSteps: there are no more.
        """
        self.used += steps
        if self.used > self.steps:
            raise OutOfSteps


class OutOfSteps(Exception):
    """Ends a search; ``solve`` turns it into ``BudgetExceeded``."""


class TooLarge(OutOfSteps):
    """Ends a search that came to more than ``MAX_NODES`` Applications; ``solve`` says so."""
