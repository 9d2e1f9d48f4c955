"""The index a resolver works on: what one reader may install, the nearest source owning each name.

Source: blueprints.md §1 (shadowing) and §5 of the design.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import OuterRef, Subquery

from marketplace.models import Availability, Blueprint, BlueprintVersion, Price
from marketplace.selectors.capacity import Footprint
from marketplace.selectors.dependencies import Candidate, Edge, Index
from marketplace.selectors.resolver.conditions import default_values
from marketplace.selectors.version_ranges import parse_version

Row = TypeVar("Row")

#: Nearest first.
NEARNESS: Mapping[str, int] = {Blueprint.Source.ORG: 0, Blueprint.Source.SOVEREIGN: 1, Blueprint.Source.PUBLIC: 2}


@dataclass(frozen=True, slots=True)
class Listing:
    """What one name means to one reader. ``price_minor`` is 0 when it is not for sale.

    ``settings`` holds the configSchema of each version that has one.
    """

    name: str
    slug: str
    title: str
    is_for_sale: bool
    price_minor: int
    candidates: tuple[Candidate, ...]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_Row = TypeVar("_Row")


def current_price(kind: str, *, reference: str, currency: str, at: datetime) -> Subquery:
    """Return the price expression of one row: the newest version valid at ``at``, in minor units."""
    versions = Price.objects.filter(
        kind=kind, reference=OuterRef(reference), currency_id=currency, valid_from__lte=at
    ).order_by("-valid_from")
    return Subquery(versions.values("amount_minor")[:1])


def listings_of(rows: Iterable[dict[str, Any]]) -> dict[str, Listing]:
    """Fold rows of (Blueprint, version) into one listing per name: that of the nearest source, wholly."""
    rows_of: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        rows_of.setdefault(row["name"], []).append(row)
    return {name: _listing(nearest_rows(named, lambda row: row["source"])) for name, named in rows_of.items()}


def nearest_rows(named: Iterable[_Row], source_of: Callable[[_Row], str]) -> list[_Row]:
    """Keep, of the rows of one name, those of the nearest source: it owns the name wholly."""
    rows = list(named)
    nearest = min((NEARNESS[source_of(row)] for row in rows), default=None)
    return [row for row in rows if NEARNESS[source_of(row)] == nearest]


def index_of(listings: Mapping[str, Listing], *, owed: Container[str] = ()) -> Index:
    """Return the resolver's view.

    ``owed`` names Blueprints that may come anew though they are deprecated: they run already, or were paid for.
    """
    return {name: _owed(each.candidates) if name in owed else each.candidates for name, each in listings.items()}


def accepted_from(version: str, stated: Iterable[str]) -> tuple[str, ...]:
    """Return the ranges of versions that may move to ``version``: what it states, else those of its own major."""
    return tuple(stated) or (f"{parse_version(version).major}.x",)


def candidate_of(version: BlueprintVersion) -> Candidate:
    """Return one stored version as the resolver sees it, whether it may be installed anew or not."""
    spec, blueprint = version.contract.get("spec", {}), version.blueprint
    upgrades = spec.get("upgrades") or {}
    return _candidate(
        {
            "name": blueprint.name,
            "version": version.version,
            "digest": version.digest,
            "source": blueprint.source,
            "kind": blueprint.kind,
            "footprint": spec.get("footprint"),
            "depends": spec.get("depends"),
            "sharing": (spec.get("exposes") or {}).get("sharing"),
            "config_schema": spec.get("configSchema"),
            "blocks": upgrades.get("blocks"),
            "accepts": upgrades.get("from"),
        }
    )


def _listing(rows: list[dict[str, Any]]) -> Listing:
    first = rows[0]
    is_deprecated = _is_deprecated(rows)
    candidates = tuple(
        replace(_candidate(row), is_deprecated=is_deprecated) for row in rows if row["version"] is not None
    )
    has_card = first["visibility"] == Blueprint.Visibility.LISTED or first["source"] == Blueprint.Source.ORG
    is_over = first["is_retired"] or is_deprecated
    is_offered = first["kind"] != Blueprint.Kind.SERVICE and not is_over
    is_ready = first["state"] == Availability.NOW and first["price_minor"] is not None and bool(candidates)
    return Listing(
        name=first["name"],
        slug=first["slug"],
        title=first["title"],
        is_for_sale=has_card and is_offered and is_ready,
        price_minor=first["price_minor"] or 0,
        candidates=candidates,
        settings={row["version"]: row["settings"] for row in rows if row.get("settings")},
    )


def _owed(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    if any(each.is_deprecated for each in candidates):
        return tuple(replace(each, is_deprecated=False) for each in candidates)
    return candidates


def _is_deprecated(rows: Iterable[dict[str, Any]]) -> bool:
    """Tell whether the newest release says that nobody should install it anew."""
    released = [row for row in rows if row["version"] is not None and "-" not in row["version"]]
    newest = max(released, key=lambda row: parse_version(row["version"]), default={})
    return bool(newest.get("is_deprecated"))


def _candidate(row: dict[str, Any]) -> Candidate:
    needed = row["footprint"] or {}
    return Candidate(
        blueprint=row["name"],
        version=row["version"],
        digest=row["digest"],
        source=row["source"],
        kind=row["kind"],
        footprint=Footprint(needed.get("memoryMiB", 0), needed.get("cpuMilli", 0), needed.get("diskGiB", 0)),
        depends=tuple(
            Edge(
                edge["blueprint"],
                edge["version"],
                edge["alias"],
                edge.get("sharing", "shared"),
                edge.get("when", ""),
            )
            for edge in row["depends"] or ()
        ),
        sharing=tuple(row["sharing"] or ("shared", "dedicated")),
        defaults=default_values(row["config_schema"] or {}),
        blocks=tuple(row["blocks"] or ()),
        accepts=accepted_from(row["version"], row["accepts"] or ()),
    )
