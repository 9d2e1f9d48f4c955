"""What readers see of the catalogue: cards, one Blueprint, Plans, Add-ons, Bundles, business types.

Who may see what is part of these reads, never a filter in a page. Prices come from the database or are None.

Source: surfaces.md §11 and blueprints.md §1 of the design.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BigIntegerField, Case, OuterRef, QuerySet, Subquery, Value, When

from catalyst.core.errors import NotFound
from marketplace.models import Availability, Blueprint, BlueprintVersion
from marketplace.selectors.blueprint_index import current_price, nearest_rows
from marketplace.selectors.capacity import Footprint
from marketplace.selectors.releases import Release, releases_of
from marketplace.selectors.text_search import is_match
from tenancy.models import Organization


@dataclass(frozen=True, slots=True)
class BlueprintCard:
    """One card. ``is_installable`` is the only thing that permits *Add*; ``price_minor`` is per month, VAT included.

    ``shadows`` says that the same name exists farther away, where this reader does not see it any more.
    """

    name: str
    slug: str
    kind: str
    source: str
    title: str
    tagline_en: str
    tagline_ar: str
    category: str
    category_en: str
    category_ar: str
    color: str
    icon: str
    tags: tuple[str, ...]
    related: tuple[str, ...]
    is_featured: bool
    is_popular: bool
    state: str
    is_installable: bool
    latest_version: str | None
    price_minor: int | None
    footprint: Footprint
    minimum_plan: str
    recommended_plan: str
    license: str
    documentation: str
    shadows: bool

    @property
    def is_private(self) -> bool:
        """Tell whether only the members of one Organization see it."""
        return self.source == Blueprint.Source.ORG


@dataclass(frozen=True, slots=True)
class BlueprintDetail:
    """One Blueprint. ``config_schema``, ``depends``, ``placement`` and ``deprecated`` are those of the newest version,
    else empty."""

    card: BlueprintCard
    description_en: str
    description_ar: str
    versions: tuple[Release, ...]
    config_schema: dict[str, Any]
    depends: tuple[dict[str, Any], ...]
    placement: dict[str, Any]
    deprecated: dict[str, Any]


def list_cards(
    viewer_organization: Organization | None = None,
    *,
    currency: str,
    at: datetime,
    search: str = "",
    category: str = "",
    tag: str = "",
    language: str = "en",
) -> list[BlueprintCard]:
    """List what this reader may see, what can be bought first; with ``language="ar"`` only what speaks Arabic."""
    rows = _nearest(_visible(viewer_organization, currency=currency, at=at))
    shown = [
        row
        for row in rows
        if row.has_card()
        and (not category or row.category.slug == category)
        and (not tag or tag in row.tags)
        and (language != "ar" or row.has_arabic())
        and is_match(search, _words(row))
    ]
    shown.sort(key=lambda row: (row.state != Availability.NOW, not row.featured, not row.popular, row.position))
    return [_card(row) for row in shown]


def get_card(
    name_or_slug: str, viewer_organization: Organization | None = None, *, currency: str, at: datetime
) -> BlueprintCard:
    """Find one Blueprint by exact name or slug; unlisted ones are found this way.

    :raises NotFound: missing, retired, or not this reader's.
    """
    return _card(_find(name_or_slug, viewer_organization, currency=currency, at=at))


def get_blueprint(
    name_or_slug: str, viewer_organization: Organization | None = None, *, currency: str, at: datetime
) -> BlueprintDetail:
    """Find one Blueprint with its versions and the contract of its newest one.

    :raises NotFound: missing, retired, or not this reader's.
    """
    row = _find(name_or_slug, viewer_organization, currency=currency, at=at)
    newest = row.versions.filter(version=row.latest_version).values_list("contract", flat=True).first()
    spec: dict[str, Any] = (newest or {}).get("spec", {})
    return BlueprintDetail(
        card=_card(row),
        description_en=row.description_en,
        description_ar=row.description_ar,
        versions=releases_of(row.pk),
        config_schema=spec.get("configSchema", {}),
        depends=tuple(spec.get("depends", ())),
        placement=spec.get("placementSchema", {}),
        deprecated=spec.get("deprecated") or {},
    )


def _visible(viewer: Organization | None, *, currency: str, at: datetime) -> QuerySet[Any]:
    newest = (
        BlueprintVersion.objects.installable()
        .filter(blueprint=OuterRef("pk"), prerelease="")
        .order_by("-major", "-minor", "-patch")
    )
    return (
        Blueprint.objects.visible_to(viewer)
        .select_related("category")
        .annotate(
            latest_version=Subquery(newest.values("version")[:1]),
            deprecated=Subquery(newest.values("contract__spec__deprecated")[:1]),
            # An Organization pays nothing for its own; a price of the same name is that of somebody else's.
            price_minor=Case(
                When(source=Blueprint.Source.ORG, then=Value(0)),
                default=current_price("blueprint", reference="name", currency=currency, at=at),
                output_field=BigIntegerField(),
            ),
        )
    )


def _nearest(rows: Iterable[Any]) -> list[Any]:
    """Keep one row per name, and let it know whether it hides another one."""
    named: dict[str, list[Any]] = {}
    for row in rows:
        named.setdefault(row.name, []).append(row)
    kept = []
    for same in named.values():
        [row] = nearest_rows(same, lambda each: each.source)
        row.shadows = len(same) > 1
        kept.append(row)
    return kept


def _find(name_or_slug: str, viewer: Organization | None, *, currency: str, at: datetime) -> Any:
    name = name_or_slug if name_or_slug.startswith("bp-") else f"bp-{name_or_slug}"
    rows = _nearest(_visible(viewer, currency=currency, at=at).filter(name=name))
    if not rows or rows[0].is_retired() or _is_draft(rows[0]):
        raise NotFound("There is no such Blueprint.")
    return rows[0]


def _is_draft(row: Any) -> bool:
    """Tell whether nothing of it was published yet, and nothing announces it either."""
    return row.latest_version is None and row.visibility == Blueprint.Visibility.UNLISTED


def _words(row: Any) -> str:
    return " ".join([row.title, row.tagline_en, row.tagline_ar, row.slug, *row.tags])


def _card(row: Any) -> BlueprintCard:
    is_sold = row.has_card() and row.state == Availability.NOW and row.price_minor is not None
    return BlueprintCard(
        name=row.name,
        slug=row.slug,
        kind=row.kind,
        source=row.source,
        title=row.title,
        tagline_en=row.tagline_en,
        tagline_ar=row.tagline_ar,
        category=row.category.slug,
        category_en=row.category.title_en,
        category_ar=row.category.title_ar,
        color=row.color,
        icon=row.icon,
        tags=tuple(row.tags),
        related=tuple(row.related),
        is_featured=row.featured,
        is_popular=row.popular,
        state=row.state,
        is_installable=is_sold and row.latest_version is not None and not row.deprecated,
        latest_version=row.latest_version,
        price_minor=row.price_minor,
        footprint=Footprint(row.memory_mib, row.cpu_milli, row.disk_gib),
        minimum_plan=row.minimum_plan,
        recommended_plan=row.recommended_plan,
        license=row.license,
        documentation=row.documentation,
        shadows=row.shadows,
    )
