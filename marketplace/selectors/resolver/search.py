"""The search: depth first, the Application with the fewest candidates next, jumping back to a cause.

Each Application takes its best candidate that leaves every other one at least one; Applications that failed before come
earlier, and what a person wants to upgrade comes first. When an Application has none left, the search returns to the
latest decision that had a part in it, skips those that had none, and remembers the facts that cannot be true together.
None of this loses a solution. So in the answer no single Application could have a better version with all others as
they are.

Source: blueprints.md §5 of the design. Jumping back: P. Prosser, "Hybrid algorithms for the constraint satisfaction
problem" (1993). Order: F. Boussemart and others, "Boosting systematic search by weighting constraints" (2004).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

from marketplace.selectors.resolver.graph import MAX_NODES, Candidate, Lock, LockEntry, TooLarge
from marketplace.selectors.resolver.paths import find_fault
from marketplace.selectors.resolver.problem import Demand, Need, Pool, Problem

#: Lessons of more facts than this come up too seldom to be kept.
_LONGEST_LESSON = 12


@dataclass(frozen=True, slots=True, order=True)
class Wall:
    """Something other than a range that stands in the way.

    ``kind`` is ``absent`` (nothing that may come anew; ``detail`` is the range), ``sharing`` (``path``: the versions
    that offer it), ``name`` (taken by something else), ``binding`` (no such Application), ``cycle`` or ``deep``
    (``path``: the Blueprints on the way).
    """

    kind: str
    application: str
    blueprint: str
    detail: str = ""
    path: tuple[str, ...] = ()


@dataclass(slots=True)
class _Ask:
    need: Need
    mask: int
    before: int


@dataclass(slots=True)
class _Step:
    """What one placement changed, to be taken back."""

    facts: set[int] = field(default_factory=set)
    narrowed: list["_Node"] = field(default_factory=list)
    opened: list["_Node"] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class _Node:
    name: str
    blueprint: str
    pool: Pool
    domain: int
    is_given: bool
    is_own: bool = False
    chosen: int = -1
    asks: list[_Ask] = field(default_factory=list)

    @property
    def candidate(self) -> Candidate:
        return self.pool.candidates[self.chosen]

    def asked(self) -> set[int]:
        """Return the facts that opened it and took candidates from it."""
        return {ask.need.fact for ask in self.asks if ask.need.fact >= 0}


class Search:
    """One search over one problem. After a failure ``used`` and ``walls`` hold what the proof of it rests on."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.used: set[Demand] = set()
        self.walls: set[Wall] = set()
        self._nodes: dict[str, _Node] = {}
        self._failures: Counter[str] = Counter()
        self._true: set[int] = set()
        self._learned: dict[int, list[frozenset[int]]] = {}
        self._is_shallow = problem.is_shallow()

    def run(self) -> Lock | None:
        """Return the Lock, or None when there is none.

        :raises OutOfSteps: the budget ended first, or it grew too large.
        """
        for entry in self.problem.locked.values():
            self._open(entry.application, entry.candidate.blueprint, is_given=True)
        for root in self.problem.roots:
            node = self._nodes.get(root.application) or self._open(root.application, root.blueprint, is_given=True)
            if root.range:
                demand = Demand(root.application, "", root.blueprint, root.range, "")
                self._narrow(node, Need(demand, root.application, "", "bound"))
        return self._lock() if self._solve() is None else None

    def _solve(self) -> set[int] | None:
        """Decide everything that is open; return None when done, or else facts that cannot be true together."""
        node = self._next()
        if node is None:
            return None
        blamed = node.asked()
        for place in _places(node.domain):
            self.problem.budget.spend(1)
            step = _Step()
            causes = self._place(node, place, step)
            if causes is None:
                causes = self._solve()
                if causes is None:
                    return None
            self._undo(node, step)
            others = {fact for fact in causes if self.problem.owners[fact] != node.name}
            if len(others) == len(causes):
                return causes
            blamed |= others
        self._note(node)
        self._learn(blamed)
        return blamed

    def _next(self) -> _Node | None:
        waiting = [node for node in self._nodes.values() if node.chosen < 0]
        self.problem.budget.spend(1 + len(self._nodes) // 10)
        failures, upgrade = self._failures, self.problem.options.upgrade

        def turn(node: _Node) -> tuple[int, float, str]:
            rank = self._rank(node.name) if upgrade else 0
            return rank, node.domain.bit_count() / (1 + failures[node.name]), node.name

        return min(waiting, key=turn, default=None)

    def _rank(self, application: str) -> int:
        """Let what a person wants to upgrade choose first, and what was bought before what came along with it."""
        if application not in self.problem.options.upgrade:
            return 2
        return int(self._came_along(application))

    def _place(self, node: _Node, place: int, step: _Step) -> set[int] | None:
        """Choose one candidate and put its needs; return None, or the facts for which it cannot be."""
        node.chosen = place
        needs = self.problem.needs(node.name, node.candidate)
        step.facts = {self._choice(node), *(need.fact for need in needs)}
        self._true |= step.facts
        known = self._recall(step.facts)
        if known is not None:
            return known
        for need in needs:
            self.problem.budget.spend(1)
            causes = self._ask(node, need, step)
            if causes is not None:
                return causes
        return None if self._is_shallow else self._check_paths()

    def _ask(self, node: _Node, need: Need, step: _Step) -> set[int] | None:
        """Put one need to its target, which is opened when it is new; return the facts for which that fails."""
        target = self._nodes.get(need.target)
        if need.tie == "kept" and (target is None or target.blueprint != need.demand.blueprint):
            return None  # The lock says so, whatever it means: nothing here depends on it.
        if target is None:
            if need.tie == "bound":
                self.walls.add(Wall("binding", node.name, need.demand.blueprint, need.target))
                return {need.fact}
            target = self._open(need.target, need.demand.blueprint, is_given=False)
            target.is_own = need.tie == "own"
            step.opened.append(target)
        elif self._is_misfit(target, need):
            self.walls.add(Wall("name", node.name, need.demand.blueprint, need.target))
            return target.asked() | {need.fact}
        self._narrow(target, need)
        step.narrowed.append(target)
        if target.domain if target.chosen < 0 else target.domain >> target.chosen & 1:
            return None
        self._note(target)
        return target.asked() if target.chosen < 0 else {need.fact, self._choice(target)}

    def _choice(self, node: _Node) -> int:
        return self.problem.fact((node.name, node.blueprint, node.chosen), node.name)

    def _learn(self, facts: set[int]) -> None:
        """Remember facts that cannot be true together, so that no other branch finds it out again."""
        if len(facts) <= _LONGEST_LESSON:
            lesson = frozenset(facts)
            for fact in facts:
                self._learned.setdefault(fact, []).append(lesson)

    def _recall(self, facts: set[int]) -> set[int] | None:
        """Return a lesson that these new facts would break."""
        for fact in facts:
            lessons = self._learned.get(fact, ())
            self.problem.budget.spend(len(lessons) // 8)
            for lesson in lessons:
                if lesson <= self._true:
                    return set(lesson)
        return None

    def _is_misfit(self, target: _Node, need: Need) -> bool:
        if target.blueprint != need.demand.blueprint:
            return True
        if need.tie == "kept":
            return False
        if need.tie == "bound":
            return not target.is_given
        return need.tie == "own" or target.is_own

    def _open(self, application: str, blueprint: str, *, is_given: bool) -> _Node:
        if len(self._nodes) >= MAX_NODES:
            raise TooLarge
        pool = self.problem.pool(application, blueprint)
        node = self._nodes[application] = _Node(application, blueprint, pool, pool.all, is_given)
        return node

    def _narrow(self, node: _Node, need: Need) -> None:
        mask = self.problem.mask(node.pool, need)
        if need.stays:
            mask |= node.pool.stay  # Two locked Applications that both stay: what binds them is not judged again.
        node.asks.append(_Ask(need, mask, node.domain))
        node.domain &= mask

    def _undo(self, node: _Node, step: _Step) -> None:
        node.chosen = -1
        self._true -= step.facts
        for target in reversed(step.narrowed):
            target.domain = target.asks.pop().before
        for target in step.opened:
            del self._nodes[target.name]

    def _note(self, node: _Node) -> None:
        """Remember what took candidates from an Application that has none left, and that it was the one."""
        self._failures[node.name] += 1
        if not node.pool.candidates:
            first = min((ask.need.demand for ask in node.asks), default=Demand("", "", "", "", ""))
            self.walls.add(Wall("absent", first.application if first.alias else "", node.blueprint, first.range))
        for ask in node.asks:
            if ask.mask != node.pool.all and self.problem.counts(ask.need.demand):
                self.used.add(ask.need.demand)
            if ask.need.tie in {"own", "shared"} and node.pool.candidates:
                self._note_sharing(node, ask.need)

    def _note_sharing(self, node: _Node, need: Need) -> None:
        offered = self.problem.mask(node.pool, replace(need, demand=replace(need.demand, range="")))
        if offered != node.pool.all:
            versions = tuple(node.pool.candidates[place].version for place in _places(offered))
            self.walls.add(Wall("sharing", need.demand.application, node.blueprint, need.sharing, versions))

    def _check_paths(self) -> set[int] | None:
        placed = [each for each in self._nodes.values() if each.chosen >= 0]
        edges = {each.name: self._targets(each) for each in placed}
        self.problem.budget.spend(len(self._nodes))
        fault = find_fault(edges, {each.name: each.blueprint for each in self._nodes.values()})
        if fault is None:
            return None
        path = tuple(self._nodes[name].blueprint for name in fault.path)
        self.walls.add(Wall(fault.kind, fault.path[0], path[0], path=path))
        steps = set(pairwise(fault.path))
        asks = [ask.need for each in self._nodes.values() for ask in each.asks]
        return {need.fact for need in asks if (need.demand.application, need.target) in steps}

    def _targets(self, node: _Node) -> tuple[str, ...]:
        return tuple(need.target for need in self.problem.needs(node.name, node.candidate))

    def _lock(self) -> Lock:
        users = {name: self._users(node) for name, node in self._nodes.items()}
        bought = {name for name, node in self._nodes.items() if node.is_given and not self._came_along(name)}
        dropped = _unneeded(users, bought)
        entries = [
            LockEntry(name, node.candidate, tuple(sorted(users[name] - dropped)), self._bindings(node))
            for name, node in self._nodes.items()
            if name not in dropped
        ]
        return Lock(tuple(in_order(entries)))

    def _came_along(self, application: str) -> bool:
        entry = self.problem.locked.get(application)
        return entry is not None and bool(entry.requested_by)

    def _users(self, node: _Node) -> set[str]:
        """Return who needs it: as recorded, without those that moved away, with those that came."""
        entry = self.problem.locked.get(node.name)
        recorded = {name for name in entry.requested_by if not self._has_moved(name)} if entry else set()
        asks = [ask.need for ask in node.asks if ask.need.demand.alias]
        came = {need.demand.application for need in asks if need.tie != "kept"}
        stayed = {need.demand.application for need in asks if need.tie == "kept"}
        return recorded | came | {name for name in stayed if self._has_moved(name)}

    def _has_moved(self, application: str) -> bool:
        """Tell whether what it needs was decided anew: by another version, or by another configuration."""
        node = self._nodes.get(application)
        if node is None:
            return False
        return application in self.problem.options.configured or not node.pool.stay >> node.chosen & 1

    def _bindings(self, node: _Node) -> dict[str, str]:
        entry = self.problem.locked.get(node.name)
        if entry and not self._has_moved(node.name):
            return dict(sorted(entry.bindings.items()))
        return {need.demand.alias: need.target for need in self.problem.needs(node.name, node.candidate)}


def in_order(entries: Iterable[LockEntry]) -> list[LockEntry]:
    """Order for installation: dependencies first, then by name."""
    waiting = {entry.application: entry for entry in entries}
    placed: list[LockEntry] = []
    while waiting:
        ready = sorted(name for name, entry in waiting.items() if not set(entry.bindings.values()) & set(waiting))
        # Only a lock that was broken before can hold a circle: it stays as it is.
        placed += [waiting.pop(name) for name in ready or sorted(waiting)]
    return placed


def _unneeded(users: dict[str, set[str]], bought: set[str]) -> set[str]:
    """Return what had come along for Applications that need it no more."""
    gone: set[str] = set()
    while more := {name for name in users if name not in bought and not users[name] - gone} - gone:
        gone |= more
    return gone


def _places(domain: int) -> Iterator[int]:
    while domain:
        lowest = domain & -domain
        yield lowest.bit_length() - 1
        domain ^= lowest
