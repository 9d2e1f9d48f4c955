"""Why there is no solution, and what one step would give one.

The ranges that the failed search rested on are taken out one by one, each time with a new search: what can be left out
is left out. What remains is irreducible: without any one of these ranges there would be a solution. It need not be the
shortest such set. A trial that runs out of steps counts as "still needed".

Source: blueprints.md §5.8 of the design; "deletion filter" of Chinneck and Dravnieks (1991).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from marketplace.selectors.resolver.graph import (
    Budget,
    Choice,
    Index,
    Lock,
    LockEntry,
    Options,
    OutOfSteps,
    Root,
    Unresolvable,
)
from marketplace.selectors.resolver.problem import Demand, Problem
from marketplace.selectors.resolver.search import Search, Wall

#: Most ways out that are tried.
_MOST_TRIALS = 40


@dataclass(frozen=True, slots=True)
class Relaxation:
    """One step that makes it solvable.

    ``kind``: ``range`` (the person's wish for ``application`` dropped), ``unlock`` (the locked one may move), ``own``
    (its dependency ``alias`` becomes dedicated). ``version`` is what ``application`` would have then.
    """

    kind: str
    application: str
    alias: str
    blueprint: str
    version: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """``demands`` is irreducible unless the budget ended (``is_minimal`` False)."""

    demands: tuple[Demand, ...]
    walls: tuple[Wall, ...]
    relaxations: tuple[Relaxation, ...]
    is_minimal: bool


@dataclass(frozen=True, slots=True)
class Question:
    """The arguments of one ``solve``."""

    index: Index
    roots: tuple[Root, ...]
    locked: Lock
    options: Options

    def problem(self, budget: Budget, demands: frozenset[Demand] | None = None) -> Problem:
        return Problem(
            index=self.index,
            roots=self.roots,
            locked=self.locked,
            options=self.options,
            budget=budget,
            demands=demands,
        )


def explain(question: Question, failed: Search, budget: Budget) -> Explanation:
    """Explain a failed search within what is left of the budget."""
    needed, last, is_minimal = _reduce(question, failed, budget)
    relaxations: list[Relaxation] = []
    try:
        relaxations += _ways_out(question, needed, budget)
    except OutOfSteps:
        is_minimal = False
    walls = tuple(sorted(last.walls))
    return Explanation(tuple(sorted(needed)), walls, tuple(relaxations), is_minimal)


def _reduce(question: Question, failed: Search, budget: Budget) -> tuple[frozenset[Demand], Search, bool]:
    needed, last = frozenset(failed.used), failed
    try:
        for demand in sorted(needed):
            if demand in needed:
                trial = Search(question.problem(budget, needed - {demand}))
                if trial.run() is None:
                    needed, last = frozenset(trial.used), trial
    except OutOfSteps:
        return needed, last, False
    return needed, last, True


def _ways_out(question: Question, demands: Iterable[Demand], budget: Budget) -> Iterator[Relaxation]:
    for number, (kind, demand, relaxed) in enumerate(_relaxed(question, sorted(demands))):
        if number >= _MOST_TRIALS:
            return
        lock = Search(relaxed.problem(budget)).run()
        if lock is not None:
            version = next(
                (entry.candidate.version for entry in lock.entries if entry.application == demand.application), ""
            )
            yield Relaxation(kind, demand.application, demand.alias, demand.blueprint, version)


def _relaxed(question: Question, demands: list[Demand]) -> Iterator[tuple[str, Demand, Question]]:
    """Give every question that differs in one step."""
    entries = {entry.application: entry for entry in question.locked.entries}
    asked = {root.application for root in question.roots}
    for demand in demands:
        if not demand.alias:
            roots = tuple(
                replace(root, range="") if root.application == demand.application else root for root in question.roots
            )
            yield "range", demand, replace(question, roots=roots)
    for entry in _held(question, demands, entries):
        options = replace(question.options, unlocked=question.options.unlocked | {entry.application})
        demand = Demand(entry.application, "", entry.candidate.blueprint, "", "")
        yield "unlock", demand, replace(question, options=options)
    decided = {(choice.application, choice.alias) for choice in question.options.choices}
    edges = {(demand.application, demand.alias): demand for demand in demands if demand.alias}
    for edge, demand in edges.items():
        is_new = demand.application in asked or demand.application not in entries
        if is_new and edge not in decided:
            choices = (*question.options.choices, Choice(*edge))
            yield "own", demand, replace(question, options=replace(question.options, choices=choices))


def _held(question: Question, demands: list[Demand], entries: dict[str, LockEntry]) -> list[LockEntry]:
    """Return the locked Applications that the demands touch and that may not move."""
    named = {demand.application for demand in demands}
    blueprints = {demand.blueprint for demand in demands}
    return [
        entry
        for name, entry in sorted(entries.items())
        if not question.options.may_move(name) and (name in named or entry.candidate.blueprint in blueprints)
    ]


class Conflict(Unresolvable):
    """There is no solution; ``explanation`` says why, the message says it in words."""

    def __init__(self, explanation: Explanation, message: str) -> None:
        self.explanation = explanation
        requirements = [
            {"application": each.application, "blueprint": each.blueprint, "range": each.range}
            for each in explanation.demands
        ]
        ways = [
            {"kind": each.kind, "application": each.application, "alias": each.alias, "version": each.version}
            for each in explanation.relaxations
        ]
        super().__init__(message, extra={"requirements": requirements, "relaxations": ways})
