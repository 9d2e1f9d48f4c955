"""What a version would do to what runs, asked before it is listed: which locks of the Sovereign would take it.

A lock is what stands in one Environment. Each is solved again with the candidate beside what its Organization may
install today; ranges that people gave, dependents and ``upgrades`` all have their say. Whoever publishes reads counts,
and names of the own Organizations only. Source: blueprints.md §5 (10) of the design.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Final

from django.db.models import QuerySet

from marketplace.models import Application, Blueprint, BlueprintVersion
from marketplace.selectors.blueprint_index import NEARNESS, candidate_of, index_of
from marketplace.selectors.offer import load_offer
from marketplace.selectors.resolver import (
    Budget,
    BudgetExceeded,
    Candidate,
    Index,
    Lock,
    Obstacle,
    Unresolvable,
    find_obstacle,
)
from marketplace.selectors.upgrade_question import solve_upgrade
from marketplace.selectors.version_ranges import is_allowed, parse_version
from marketplace.selectors.why import requesters_of
from tenancy.models import Organization
from tenancy.selectors.sovereign import get_sovereign

#: Steps of the resolver for one lock, and for all of them: about 50 ms and 5 s at the most.
STEPS_OF_A_LOCK: Final = 10_000
STEPS: Final = 1_000_000


class Verdict(StrEnum):
    """What becomes of one lock; the later one counts where its Applications differ."""

    #: It runs this version, or a later one.
    AHEAD = "ahead"
    ACCEPTS = "accepts"
    #: It takes the version, and others must move with it.
    MOVES_OTHERS = "moves_others"
    CANNOT = "cannot"
    #: The search was ended before it knew.
    UNDECIDED = "undecided"


class Hindrance(StrEnum):
    """Why a lock cannot take the version."""

    #: The Organization has a Blueprint of its own under this name.
    SHADOWED = "shadowed"
    #: ``upgrades.blocks`` of the version, and what ``upgrades.from`` leaves out.
    BLOCKED = "blocked"
    RECREATE = "recreate"
    #: A person asked for another range; an Application that needs it does.
    OWN_RANGE = "own_range"
    NEEDED = "needed"
    #: What the version itself needs does not go together with what runs.
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Affected:
    """One Application of an Organization whose names the reader may see. ``hindrance`` is empty unless it cannot."""

    organization: str
    environment: str
    application: str
    version: str
    verdict: str
    hindrance: str


@dataclass(frozen=True, slots=True)
class Impact:
    """Locks by verdict, those that cannot also by what hinders them; ``named`` are the reader's own Applications."""

    organizations: int = 0
    locks: Mapping[str, int] = field(default_factory=dict)
    hindrances: Mapping[str, int] = field(default_factory=dict)
    named: tuple[Affected, ...] = ()

    @property
    def total(self) -> int:
        return sum(self.locks.values())


def impact_of(version: BlueprintVersion, *, now: datetime, own: Collection[int] = ()) -> Impact:
    """Return what becomes of every lock that has this Blueprint if the version is listed; writes nothing.

    ``own`` are the ids of the Organizations whose Applications may be named to the reader.
    """
    candidate = candidate_of(version)
    rows = list(_locks_with(version.blueprint))
    indexes = _Indexes({row.organization_id for row in rows}, candidate, now)
    left = Budget(STEPS)
    verdicts: Counter[str] = Counter()
    hindrances: Counter[str] = Counter()
    named: list[Affected] = []
    for _environment, lock in groupby(rows, key=lambda row: row.environment_id):
        standing = list(lock)
        index = indexes.of(standing[0].organization)
        found = list(_judge(standing, version, candidate, index, left))
        verdict, hindrance = max((each[1:] for each in found), key=lambda each: list(Verdict).index(each[0]))
        verdicts[verdict.value] += 1
        if hindrance:
            hindrances[hindrance] += 1
        if standing[0].organization_id in own:
            named += [_affected(*each) for each in found]
    organizations = len({row.organization_id for row in rows})
    return Impact(organizations, dict(verdicts), dict(hindrances), tuple(named))


def _locks_with(blueprint: Blueprint) -> QuerySet[Application]:
    """Return all that stands in every Environment that has this Blueprint, Environment after Environment."""
    current = Application.objects.filter(removed_by=None)
    having = current.filter(blueprint_version__blueprint=blueprint).values("environment")
    rows = current.filter(environment__in=having).select_related(
        "blueprint_version__blueprint", "organization", "environment"
    )
    unused = [f"blueprint_version__blueprint__{name}" for name in ("icon", "description_en", "description_ar")]
    return rows.defer("blueprint_version__files", *unused).order_by("environment_id", "slug")


class _Indexes:
    """What each Organization could install if the candidate were listed. Most have nothing of their own: one index."""

    def __init__(self, organizations: Collection[int], candidate: Candidate, now: datetime) -> None:
        own = Blueprint.objects.filter(source=Blueprint.Source.ORG, organization__in=organizations)
        self._with_own = set(own.values_list("organization", flat=True))
        self._candidate = candidate
        self._currency = str(get_sovereign().currency_id)
        self._now = now
        self._known: dict[int, Index | None] = {}

    def of(self, organization: Organization) -> Index | None:
        """Return the index, None where the Organization's own Blueprint has the name."""
        reader = organization if organization.pk in self._with_own else None
        key = reader.pk if reader else 0
        if key not in self._known:
            self._known[key] = self._with_candidate(reader)
        return self._known[key]

    def _with_candidate(self, reader: Organization | None) -> Index | None:
        index = index_of(load_offer(reader, currency=self._currency, at=self._now).listings)
        new = self._candidate
        present = index.get(new.blueprint, ())
        if any(NEARNESS[each.source] < NEARNESS[new.source] for each in present):
            return None
        # Nothing newer is offered: otherwise a lock would take that, and say nothing of this one.
        older = [each for each in present if each.source == new.source and _is_older(each.version, new.version)]
        return {**index, new.blueprint: (new, *older)}


def _judge(
    rows: Sequence[Application], version: BlueprintVersion, candidate: Candidate, index: Index | None, left: Budget
) -> Iterator[tuple[Application, Verdict, str]]:
    """Say of each Application of the Blueprint in one lock what becomes of it."""
    own = [row for row in rows if row.blueprint_version.blueprint_id == version.blueprint_id]
    waiting = []
    for row in own:
        hindrance = _hindrance(row, rows, candidate, index)
        if not _is_older(row.blueprint_version.version, version.version):
            yield row, Verdict.AHEAD, ""
        elif hindrance in (Hindrance.SHADOWED, Hindrance.BLOCKED, Hindrance.RECREATE):
            yield row, Verdict.CANNOT, hindrance
        else:
            waiting.append((row, hindrance))
    if not waiting or index is None:
        return
    lock, is_known = _solve([row for row, _hindrance in waiting], rows, index, left)
    for row, hindrance in waiting:
        if not is_known:
            yield row, Verdict.UNDECIDED, ""
        elif lock is None or _version_in(lock, row.slug) != version.version:
            yield row, Verdict.CANNOT, hindrance or Hindrance.CONFLICT
        else:
            moved = _moved(lock, rows) - {each.slug for each in own}
            yield row, Verdict.MOVES_OTHERS if moved else Verdict.ACCEPTS, ""


def _hindrance(row: Application, rows: Sequence[Application], candidate: Candidate, index: Index | None) -> str:
    """Return what is known to stand in the way before anything is solved, empty when nothing is."""
    if index is None:
        return Hindrance.SHADOWED
    obstacle = find_obstacle(candidate_of(row.blueprint_version), candidate)
    if obstacle in (Obstacle.BLOCKED, Obstacle.RECREATE):
        return Hindrance.BLOCKED if obstacle == Obstacle.BLOCKED else Hindrance.RECREATE
    if not row.requested_by and not is_allowed(candidate.version, row.version_range):
        return Hindrance.OWN_RANGE
    if any(not is_allowed(candidate.version, each.range) for each in requesters_of(row, rows)):
        # They may move along: the search decides.
        return Hindrance.NEEDED
    return ""


def _solve(
    asked: Iterable[Application], rows: Sequence[Application], index: Index, left: Budget
) -> tuple[Lock | None, bool]:
    """Return the lock as it would be, None when there is none, and whether that is known."""
    budget = Budget(min(STEPS_OF_A_LOCK, left.steps - left.used))
    if budget.steps <= 0:
        return None, False
    try:
        return solve_upgrade(rows, dict.fromkeys((row.slug for row in asked), ""), index=index, budget=budget), True
    except BudgetExceeded:
        return None, False
    except Unresolvable:
        return None, True
    finally:
        left.used += budget.used


def _moved(lock: Lock, rows: Iterable[Application]) -> set[str]:
    """Return the names of what would run in another version, or newly."""
    running = {row.slug: row.blueprint_version.version for row in rows}
    return {each.application for each in lock.entries if running.get(each.application) != each.candidate.version}


def _version_in(lock: Lock, application: str) -> str:
    return next((each.candidate.version for each in lock.entries if each.application == application), "")


def _is_older(version: str, other: str) -> bool:
    return bool(parse_version(version) < parse_version(other))


def _affected(row: Application, verdict: Verdict, hindrance: str) -> Affected:
    return Affected(
        organization=row.organization.slug,
        environment=row.environment.name,
        application=row.slug,
        version=row.blueprint_version.version,
        verdict=verdict.value,
        hindrance=str(hindrance),
    )
