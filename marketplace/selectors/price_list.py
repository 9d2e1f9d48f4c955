"""The price list: Plans, Add-ons, Bundles and business types with what can be bought today.

Prices are monthly, VAT included, in minor units; None means that there is none to show.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marketplace.models import AddOn, Availability, Bundle, Category, Industry, Plan
from marketplace.selectors import bundles as bundle_rules
from marketplace.selectors.blueprint_index import current_price, index_of
from marketplace.selectors.capacity import Footprint, plan_footprint, smallest_fitting, used_by
from marketplace.selectors.dependencies import Root, Unresolvable, resolve
from marketplace.selectors.offer import load_offer


@dataclass(frozen=True, slots=True)
class PlanOffer:
    slug: str
    title_en: str
    title_ar: str
    audience_en: str
    audience_ar: str
    capacity: Footprint
    is_popular: bool
    state: str
    price_minor: int | None


@dataclass(frozen=True, slots=True)
class AddOnOffer:
    """``included_from`` is a Plan's slug, ``every``, or empty."""

    slug: str
    title_en: str
    title_ar: str
    category: str
    state: str
    included_from: str
    price_minor: int | None


@dataclass(frozen=True, slots=True)
class BundleOffer:
    """``members`` and ``members_today`` name Blueprints; ``fits`` is the smallest Plan for today's, or empty."""

    slug: str
    title_en: str
    title_ar: str
    discount_percent: int
    members: tuple[str, ...]
    members_today: tuple[str, ...]
    recommended_plan: str
    fits: str
    state: str


@dataclass(frozen=True, slots=True)
class IndustryOffer:
    """``suggested`` names Blueprints in display order, ``available`` those that can be bought, ``fits`` their Plan."""

    slug: str
    title_en: str
    title_ar: str
    suggested: tuple[str, ...]
    available: tuple[str, ...]
    bundle: str
    fits: str


def list_plans(*, currency: str, at: datetime) -> list[PlanOffer]:
    """List Plans in display order."""
    price = current_price("plan", reference="slug", currency=currency, at=at)
    rows: Iterable[Any] = Plan.objects.filter(retired_at=None).annotate(price_minor=price).order_by("position")
    return [
        PlanOffer(
            slug=row.slug,
            title_en=row.title_en,
            title_ar=row.title_ar,
            audience_en=row.audience_en,
            audience_ar=row.audience_ar,
            capacity=plan_footprint(row),
            is_popular=row.popular,
            state=row.state,
            price_minor=row.price_minor,
        )
        for row in rows
    ]


def list_addons(*, currency: str, at: datetime) -> list[AddOnOffer]:
    """List Add-ons in display order."""
    price = current_price("addon", reference="slug", currency=currency, at=at)
    rows: Iterable[Any] = AddOn.objects.filter(retired_at=None).annotate(price_minor=price).order_by("position")
    return [
        AddOnOffer(row.slug, row.title_en, row.title_ar, row.category, row.state, row.included_from, row.price_minor)
        for row in rows
    ]


def list_bundles(*, currency: str, at: datetime) -> list[BundleOffer]:
    """List Bundles in display order; what they install today, and whether they can be bought, is computed."""
    shelf = _Shelf(currency=currency, at=at)
    offers = []
    for row in Bundle.objects.filter(retired_at=None).order_by("position"):
        today = bundle_rules.members_today(row, shelf.for_sale)
        state = Availability.NOW if bundle_rules.is_for_sale(row, shelf.for_sale) else Availability.SOON
        offers.append(
            BundleOffer(
                slug=row.slug,
                title_en=row.title_en,
                title_ar=row.title_ar,
                discount_percent=row.discount_percent,
                members=tuple(f"bp-{slug}" for slug in row.members),
                members_today=today,
                recommended_plan=row.recommended_plan,
                fits=shelf.smallest_plan(today),
                state=state,
            )
        )
    return offers


def list_industries(*, currency: str, at: datetime) -> list[IndustryOffer]:
    """List business types in display order with what can be chosen today."""
    shelf = _Shelf(currency=currency, at=at)
    offers = []
    for row in Industry.objects.filter(retired_at=None).order_by("position"):
        suggested = tuple(f"bp-{slug}" for slug in row.suggested)
        available = tuple(name for name in suggested if name in shelf.for_sale)
        fits = shelf.smallest_plan(available)
        offers.append(IndustryOffer(row.slug, row.title_en, row.title_ar, suggested, available, row.bundle, fits))
    return offers


def list_categories() -> list[Category]:
    """List categories in display order."""
    return list(Category.objects.filter(retired_at=None).order_by("position"))


class _Shelf:
    """What anyone can buy today, and which Plan holds it: one query."""

    def __init__(self, *, currency: str, at: datetime) -> None:
        offer = load_offer(None, currency=currency, at=at)
        self.for_sale = offer.for_sale
        self._index = index_of(offer.listings)
        self._plans = [(plan.slug, plan.capacity()) for plan in offer.plans if plan.is_sold()]

    def smallest_plan(self, names: tuple[str, ...]) -> str:
        """Return the smallest Plan that holds these with their backing services, or an empty text."""
        if not names:
            return ""
        roots = [Root(name.removeprefix("bp-"), name) for name in names]
        try:
            lock = resolve(index=self._index, roots=roots)
        except Unresolvable:
            return ""
        return smallest_fitting(used_by(lock.footprints()), self._plans) or ""
