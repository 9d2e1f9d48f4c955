"""What a search knows before it starts: the candidates of each Application in order of preference, and what each needs.

Everything is computed when it is first asked for and kept: an index may hold thousands of versions, a search sees few.
Sets of candidates are integers, one bit per candidate in order of preference.

Source: blueprints.md §5 of the design.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from marketplace.selectors.resolver.conditions import parse_condition
from marketplace.selectors.resolver.graph import (
    MAX_DEPTH,
    Budget,
    Candidate,
    Edge,
    Index,
    Lock,
    LockEntry,
    Options,
    Root,
    Unresolvable,
)
from marketplace.selectors.resolver.obstacles import find_obstacle
from marketplace.selectors.version_ranges import is_allowed, parse_version


@dataclass(frozen=True, slots=True, order=True)
class Demand:
    """One reason to refuse versions: an Application wants this range. An empty ``alias`` is a person's wish.

    ``by`` is the Blueprint of the Application that wants it: versions of one may need different ones under one alias.
    """

    application: str
    alias: str
    blueprint: str
    range: str
    by: str


@dataclass(frozen=True, slots=True)
class Need:
    """One dependency of one candidate. ``tie`` says how the target may be found.

    ``kept``: recorded in the lock. ``bound``: chosen by a person. ``own``: nobody else may have it. ``shared``: joined.
    ``stays``: the one that needs it is locked and stays. ``fact`` numbers it: versions with equal needs share the fact.
    """

    demand: Demand
    target: str
    sharing: str
    tie: str
    stays: bool = False
    fact: int = -1


@dataclass(eq=False, slots=True)
class Pool:
    """The candidates of one Application, best first. ``stay`` is the bit of the locked one."""

    candidates: tuple[Candidate, ...]
    stay: int = 0
    masks: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def all(self) -> int:
        return (1 << len(self.candidates)) - 1


class Problem:
    """The facts of one resolution. With ``demands`` only those ranges count, every other one holds any version."""

    def __init__(
        self,
        *,
        index: Index,
        roots: Iterable[Root],
        locked: Lock,
        options: Options,
        budget: Budget,
        demands: frozenset[Demand] | None = None,
    ) -> None:
        self.index = index
        self.roots = sorted(roots, key=lambda root: (root.application, root.blueprint, root.range))
        self.locked: Mapping[str, LockEntry] = {entry.application: entry for entry in locked.entries}
        self.options = options
        self.budget = budget
        self.demands = demands
        self._choices = {(choice.application, choice.alias): choice for choice in options.choices}
        self._pools: dict[tuple[str, str], Pool] = {}
        self._needs: dict[tuple[str, str, str, bool], tuple[Need, ...]] = {}
        self._singletons: dict[str, bool] = {}
        self._facts: dict[Hashable, int] = {}
        #: The Application that each fact is about.
        self.owners: list[str] = []
        self._check_roots()

    def pool(self, application: str, blueprint: str) -> Pool:
        """Return the candidates of an Application: of a new one what is not deprecated, of a locked one where it may
        move to."""
        entry = self.locked.get(application)
        key = (application, "") if entry else ("", blueprint)
        if key not in self._pools:
            known = self.index.get(blueprint, ())
            self.budget.spend(len(known))
            new = [each for each in known if not each.is_deprecated]
            self._pools[key] = self._pool_of_locked(entry) if entry else Pool(tuple(ranked(new)))
        return self._pools[key]

    def mask(self, pool: Pool, need: Need) -> int:
        """Return the candidates that meet a need."""
        wanted = need.demand.range if self.counts(need.demand) else ""
        key = (wanted, "" if need.tie in {"bound", "kept"} else need.sharing)
        if key not in pool.masks:
            self.budget.spend(len(pool.candidates))
            pool.masks[key] = sum(1 << place for place, each in enumerate(pool.candidates) if self._meets(each, *key))
        return pool.masks[key]

    def counts(self, demand: Demand) -> bool:
        return self.demands is None or demand in self.demands

    def needs(self, application: str, candidate: Candidate) -> tuple[Need, ...]:
        """Return what an Application needs at this version: the conditions are decided, the names are known."""
        entry = self.locked.get(application)
        stays = entry is not None and entry.candidate == candidate
        key = (application, candidate.blueprint, candidate.version, stays)
        if key not in self._needs:
            edges = sorted(candidate.depends, key=lambda edge: edge.alias)
            self.budget.spend(len(edges))
            if stays and entry is not None and application not in self.options.configured:
                edges = [edge for edge in edges if edge.alias in entry.bindings]
            else:
                edges = [edge for edge in edges if self._is_active(application, candidate, edge)]
            known = entry.bindings if stays and entry is not None else {}
            self._needs[key] = tuple(
                self._need(application, candidate, edge, stays=edge.alias in known) for edge in edges
            )
        return self._needs[key]

    def fact(self, what: Hashable, owner: str) -> int:
        """Number what may be true during a search: a need, or (Application, Blueprint, place) for a choice."""
        if what not in self._facts:
            self._facts[what] = len(self.owners)
            self.owners.append(owner)
        return self._facts[what]

    def is_singleton(self, blueprint: str) -> bool:
        """Tell whether an Environment may have at most one of it: any version that says so binds all."""
        if blueprint not in self._singletons:
            running = [entry.candidate for entry in self.locked.values() if entry.candidate.blueprint == blueprint]
            known = (*self.index.get(blueprint, ()), *running)
            self._singletons[blueprint] = any("singleton" in each.sharing for each in known)
        return self._singletons[blueprint]

    def is_shallow(self) -> bool:
        """Tell whether no choice of versions can make a cycle or a path that is too deep; most catalogues are so."""
        running = [entry.candidate for entry in self.locked.values()]
        names = {root.blueprint for root in self.roots} | {each.blueprint for each in running}
        below = {name: {edge.blueprint for each in self.index.get(name, ()) for edge in each.depends} for name in names}
        for each in running:
            below[each.blueprint] |= {edge.blueprint for edge in each.depends}
        for _step in range(MAX_DEPTH):
            names = {needed for name in names for needed in below[name]}
            for name in names - set(below):
                known = self.index.get(name, ())
                self.budget.spend(len(known))
                below[name] = {edge.blueprint for each in known for edge in each.depends}
        return not names

    def _check_roots(self) -> None:
        seen: dict[str, str] = {name: entry.candidate.blueprint for name, entry in self.locked.items()}
        asked: set[str] = set()
        for root in self.roots:
            if root.application in asked or seen.get(root.application, root.blueprint) != root.blueprint:
                raise Unresolvable(name_taken(root.application))
            asked.add(root.application)
            copies = sorted(name for name, blueprint in seen.items() if blueprint == root.blueprint)
            if root.application not in seen and copies and self.is_singleton(root.blueprint):
                words = _("An Environment has at most one %(blueprint)s, and %(application)s is it already.")
                raise Unresolvable(words % {"blueprint": root.blueprint, "application": copies[0]})
            seen[root.application] = root.blueprint

    def _pool_of_locked(self, entry: LockEntry) -> Pool:
        """A locked Application keeps its source and moves forward only, to versions that do not block the move."""
        locked = entry.candidate
        newer: list[Candidate] = []
        if self.options.may_move(entry.application):
            newer = [each for each in self.index.get(locked.blueprint, ()) if not find_obstacle(locked, each)]
        if self.options.prefers_newest(entry.application):
            candidates = ranked([*newer, locked])
        else:
            candidates = [locked, *ranked(newer)]
        return Pool(tuple(candidates), stay=1 << candidates.index(locked))

    def _is_active(self, application: str, candidate: Candidate, edge: Edge) -> bool:
        if not edge.when:
            return True
        given = self.options.config.get(application, {})
        return parse_condition(edge.when).holds({**candidate.defaults, **given})

    def _need(self, application: str, candidate: Candidate, edge: Edge, *, stays: bool) -> Need:
        target, tie = self._target(application, edge, stays=stays)
        sharing = "dedicated" if tie == "own" else edge.sharing
        demand = Demand(application, edge.alias, edge.blueprint, edge.range, candidate.blueprint)
        fact = self.fact((demand, target, sharing, tie, stays), application)
        return Need(demand, target, sharing, tie, stays, fact)

    def _target(self, application: str, edge: Edge, *, stays: bool) -> tuple[str, str]:
        entry = self.locked.get(application)
        recorded = entry.bindings.get(edge.alias, "") if entry else ""
        if recorded and (stays or self._runs(recorded, edge.blueprint)):
            return recorded, "kept"
        choice = self._choices.get((application, edge.alias))
        if choice and choice.bind:
            return choice.bind, "bound"
        if choice or edge.sharing == "dedicated":
            own = f"{application}-{edge.alias}"
            # It came for this very Application before, and was left where it is when that needed it no more.
            is_back = self._runs(own, edge.blueprint) and application in self.locked[own].requested_by
            return own, "kept" if is_back else "own"
        return self._shared(edge.blueprint), "shared"

    def _runs(self, application: str, blueprint: str) -> bool:
        return application in self.locked and self.locked[application].candidate.blueprint == blueprint

    def _shared(self, blueprint: str) -> str:
        if self.is_singleton(blueprint):
            running = [name for name, entry in self.locked.items() if entry.candidate.blueprint == blueprint]
            asked = [root.application for root in self.roots if root.blueprint == blueprint]
            if running or asked:
                return min(running or asked)
        return f"shared-{blueprint.removeprefix('bp-')}"

    def _meets(self, candidate: Candidate, wanted: str, sharing: str) -> bool:
        if wanted and not is_allowed(candidate.version, wanted):
            return False
        if not sharing:
            return True
        if self.is_singleton(candidate.blueprint):
            return sharing != "dedicated"
        return sharing in candidate.sharing


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return them best first: releases before pre-releases, newer before older."""

    def key(each: Candidate) -> tuple[bool, object, str]:
        version = parse_version(each.version)
        return not version.prerelease, version, each.digest

    return sorted(candidates, key=key, reverse=True)


def name_taken(application: str) -> str:
    return _("An Application named %(application)s exists already.") % {"application": application}
