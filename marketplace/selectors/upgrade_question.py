"""What the resolver is asked when something that runs is to move.

Source: docs/blueprints.md, "How versions are chosen".
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from marketplace.models import Application
from marketplace.selectors.blueprint_index import candidate_of, index_of
from marketplace.selectors.offer import load_offer
from marketplace.selectors.resolver import Budget, Index, Lock, LockEntry, Moves, Options, Root, solve
from marketplace.selectors.version_ranges import is_allowed
from tenancy.models import Organization
from tenancy.selectors.sovereign import get_sovereign


def index_for(organization: Organization, *, now: datetime) -> Index:
    """Return what the Organization may install."""
    offer = load_offer(organization, currency=str(get_sovereign().currency_id), at=now)
    return index_of(offer.listings)


def lock_of(rows: Iterable[Application]) -> Lock:
    """Return what is installed, as the resolver sees it."""
    entries = (
        LockEntry(row.slug, candidate_of(row.blueprint_version), tuple(row.requested_by), row.bindings) for row in rows
    )
    return Lock(tuple(entries))


def solve_upgrade(
    rows: Iterable[Application],
    ranges: Mapping[str, str],
    *,
    index: Index,
    moves: Moves = Moves.MINIMAL,
    budget: Budget | None = None,
) -> Lock:
    """Return what would run if these Applications took the newest version that their range allows.

    ``ranges`` maps the names that are asked for to ranges, empty for the one that stands.

    :raises Unresolvable: that cannot be, or was not found out.
    """
    asked = list(rows)
    options = Options(moves=moves, upgrade=frozenset(ranges), config={row.slug: row.config for row in asked})
    return solve(index=index, roots=roots_of(asked, ranges), locked=lock_of(asked), options=options, budget=budget)


def roots_of(rows: Iterable[Application], ranges: Mapping[str, str]) -> list[Root]:
    """Return the ranges that people gave: what was bought stays in its own, unless another one is asked for."""
    roots = []
    for row in rows:
        wanted = ranges.get(row.slug, "")
        if not wanted and not row.requested_by:
            running = row.blueprint_version.version
            is_inside = is_allowed(running, row.version_range)
            wanted = row.version_range if is_inside else f"{row.version_range} || {running}"
        if wanted:
            roots.append(Root(row.slug, row.blueprint_version.blueprint.name, wanted))
    return roots
