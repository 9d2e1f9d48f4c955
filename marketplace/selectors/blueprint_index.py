"""The index a resolver works on: what one reader may install, in one query, the nearest source winning per name.

Source: blueprints.md §1 (shadowing) and §5 of the design.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, FilteredRelation, OuterRef, Q, Subquery

from marketplace.models import Availability, Blueprint, Price
from marketplace.selectors.capacity import Footprint
from marketplace.selectors.dependencies import Candidate, Edge, Index
from tenancy.models import Organization

#: Nearest first.
NEARNESS: Mapping[str, int] = {Blueprint.Source.ORG: 0, Blueprint.Source.SOVEREIGN: 1, Blueprint.Source.PUBLIC: 2}


@dataclass(frozen=True, slots=True)
class Listing:
    """What one name means to one reader. ``price_minor`` is None while there is no price in the currency asked for."""

    name: str
    slug: str
    title: str
    is_for_sale: bool
    price_minor: int | None
    candidates: tuple[Candidate, ...]


def current_price(kind: str, *, reference: str, currency: str, at: datetime) -> Subquery:
    """Return the price expression of one row: the newest version valid at ``at``, in minor units."""
    versions = Price.objects.filter(
        kind=kind, reference=OuterRef(reference), currency_id=currency, valid_from__lte=at
    ).order_by("-valid_from")
    return Subquery(versions.values("amount_minor")[:1])


def load_listings(organization: Organization | None, *, currency: str, at: datetime) -> dict[str, Listing]:
    """Read every name this reader may know, with its installable versions and price, in one query."""
    rows_of: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(organization, currency=currency, at=at):
        rows_of.setdefault(row["name"], []).append(row)
    return {name: _listing(_nearest(rows)) for name, rows in rows_of.items()}


def index_of(listings: Mapping[str, Listing]) -> Index:
    """Return the resolver's view."""
    return {name: listing.candidates for name, listing in listings.items()}


def _rows(organization: Organization | None, *, currency: str, at: datetime) -> Iterable[dict[str, Any]]:
    rows: Iterable[dict[str, Any]] = (
        Blueprint.objects.visible_to(organization)
        .annotate(
            live=FilteredRelation("versions", condition=Q(versions__yanked_at=None)),
            price_minor=current_price("blueprint", reference="name", currency=currency, at=at),
            version=F("live__version"),
            digest=F("live__digest"),
            depends=F("live__contract__spec__depends"),
            exposes=F("live__contract__spec__exposes"),
            needed=F("live__contract__spec__footprint"),
        )
        .values(
            *("name", "slug", "title", "kind", "source", "visibility", "state", "retired_at", "price_minor"),
            *("version", "digest", "depends", "exposes", "needed"),
        )
    )
    return rows


def _nearest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    nearest = min(NEARNESS[row["source"]] for row in rows)
    return [row for row in rows if NEARNESS[row["source"]] == nearest]


def _listing(rows: list[dict[str, Any]]) -> Listing:
    first = rows[0]
    candidates = tuple(_candidate(row) for row in rows if row["version"] is not None)
    has_card = first["visibility"] == Blueprint.Visibility.LISTED or first["source"] == Blueprint.Source.ORG
    is_offered = first["kind"] != Blueprint.Kind.SERVICE and first["retired_at"] is None
    return Listing(
        name=first["name"],
        slug=first["slug"],
        title=first["title"],
        is_for_sale=has_card and is_offered and first["state"] == Availability.NOW and bool(candidates),
        price_minor=first["price_minor"],
        candidates=candidates,
    )


def _candidate(row: dict[str, Any]) -> Candidate:
    needed = row["needed"] or {}
    exposes = row["exposes"] or {}
    return Candidate(
        blueprint=row["name"],
        version=row["version"],
        digest=row["digest"],
        source=row["source"],
        kind=row["kind"],
        footprint=Footprint(needed.get("memoryMiB", 0), needed.get("cpuMilli", 0), needed.get("diskGiB", 0)),
        depends=tuple(
            Edge(edge["blueprint"], edge["version"], edge["alias"], edge.get("sharing", "shared"))
            for edge in row["depends"] or ()
        ),
        sharing=tuple(exposes.get("sharing", ("shared", "dedicated"))),
    )
