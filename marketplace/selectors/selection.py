"""Prices a selection: what a customer chose becomes frozen lines, or a refusal that names the line.

The only place where list prices become lines. Four SQL statements whatever the size of the selection.

Source: catalog.md §1, §3, §4 and §9 of the design.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.db.models import Subquery
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.models import Currency
from catalyst.core.money import round_up
from marketplace.models import AddOn, Availability, Bundle, Plan
from marketplace.selectors import bundles as bundle_rules
from marketplace.selectors.blueprint_index import Listing, current_price, index_of, load_listings
from marketplace.selectors.capacity import Footprint, smallest_fitting, used_by
from marketplace.selectors.dependencies import Lock, Root, resolve
from tenancy.models import Organization


class LineUnavailable(DomainError):
    """A Plan, Blueprint, Add-on or Bundle is unknown or cannot be bought; all look the same."""

    code = "line_unavailable"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class CapacityExceeded(DomainError):
    """The selection does not fit the Plan; ``extra["smallest_plan"]`` names the one that fits, or is None."""

    code = "capacity_exceeded"
    status = HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class PricedLine:
    """One frozen row. ``kind`` is plan, blueprint, addon or discount; a discount's ``unit_minor`` is negative."""

    kind: str
    reference: str
    title_en: str
    title_ar: str
    quantity: int
    unit_minor: int

    def amount_minor(self) -> int:
        return self.quantity * self.unit_minor


@dataclass(frozen=True, slots=True)
class PricedSelection:
    """Lines of the first month, what each later month costs, and what will be installed on how much capacity."""

    plan: str
    bundle: str
    currency: str
    lines: tuple[PricedLine, ...]
    total_minor: int
    monthly_minor: int
    lock: Lock
    used: Footprint
    capacity: Footprint


def price_selection(
    *,
    plan: str,
    blueprints: Iterable[str],
    addons: Iterable[str],
    bundle: str,
    currency: str,
    at: datetime,
    organization: Organization | None = None,
) -> PricedSelection:
    """Validate and price a selection: ``blueprints`` by name (``bp-…``), the rest by slug, ``bundle`` may be empty.

    A Bundle adds its members of today. Duplicates count once. Amounts are minor units of ``currency``, VAT included.

    :raises LineUnavailable: with a pointer to the first part of the request that cannot be bought.
    :raises CapacityExceeded: the Plan is too small for the Applications with their backing services.
    :raises Unresolvable: a dependency cannot be met.
    """
    offer = _Offer(organization, currency=currency, at=at)
    chosen_plan = offer.plan(plan)
    chosen, applied = offer.blueprints_and_bundle(blueprints, bundle)
    monthly = [
        _line("plan", chosen_plan, chosen_plan.price_minor),
        *[_blueprint_line(offer.listings[name]) for name in chosen],
        *_addon_lines(addons, chosen_plan, offer.plans, currency=currency, at=at),
    ]
    lines = (*monthly, *_discount(applied, chosen_plan))
    lock = resolve(index=index_of(offer.listings), roots=[Root(name.removeprefix("bp-"), name) for name in chosen])
    used = used_by(lock.footprints())
    _check_capacity(used, chosen_plan, offer.plans)
    return PricedSelection(
        plan=plan,
        bundle=applied.slug if applied else "",
        currency=currency,
        lines=lines,
        total_minor=sum(line.amount_minor() for line in lines),
        monthly_minor=sum(line.amount_minor() for line in monthly),
        lock=lock,
        used=used,
        capacity=capacity_of(chosen_plan),
    )


def capacity_of(plan: Plan) -> Footprint:
    """Return what a Plan gives one Environment."""
    return Footprint(plan.memory_mib, plan.vcpu_milli, plan.disk_gib)


class _Offer:
    """What this reader can buy now: three statements, and the refusals of what cannot be bought."""

    def __init__(self, organization: Organization | None, *, currency: str, at: datetime) -> None:
        step = Subquery(Currency.objects.filter(code=currency).values("psp_step")[:1])
        price = current_price("plan", reference="slug", currency=currency, at=at)
        plans = Plan.objects.filter(retired_at=None).annotate(price_minor=price, price_step=step)
        self.plans: list[Any] = list(plans.order_by("position"))
        self.listings = load_listings(organization, currency=currency, at=at)
        self._bundles = list(Bundle.objects.filter(retired_at=None))
        self.for_sale = {
            name for name, each in self.listings.items() if each.is_for_sale and each.price_minor is not None
        }

    def plan(self, slug: str) -> Any:
        for row in self.plans:
            if row.slug == slug and row.state == Availability.NOW and row.price_minor is not None:
                return row
        raise _unavailable(slug, "/plan")

    def blueprints_and_bundle(self, names: Iterable[str], slug: str) -> tuple[list[str], Bundle | None]:
        """Return what is installed, and the one Bundle whose discount applies: the named one, else the best."""
        chosen = self._blueprints(names)
        if not slug:
            return chosen, bundle_rules.best_bundle(self._bundles, chosen=chosen, for_sale=self.for_sale)
        for row in self._bundles:
            if row.slug == slug and bundle_rules.is_for_sale(row, self.for_sale):
                return list(dict.fromkeys([*chosen, *bundle_rules.members_today(row, self.for_sale)])), row
        raise _unavailable(slug, "/bundle")

    def _blueprints(self, names: Iterable[str]) -> list[str]:
        """Return the names without duplicates, in the order of choice."""
        chosen = list(names)
        for position, name in enumerate(chosen):
            if name not in self.for_sale:
                listing = self.listings.get(name)
                raise _unavailable(listing.title if listing else name, f"/blueprints/{position}")
        return list(dict.fromkeys(chosen))


def _blueprint_line(listing: Listing) -> PricedLine:
    assert listing.price_minor is not None, "only what has a price is for sale"
    return PricedLine("blueprint", listing.name, listing.title, listing.title, 1, listing.price_minor)


def _addon_lines(
    addons: Iterable[str], plan: Plan, plans: Sequence[Plan], *, currency: str, at: datetime
) -> list[PricedLine]:
    """Price the chosen Add-ons, and add a line of 0 for each one that the Plan includes."""
    wanted = list(addons)
    price = current_price("addon", reference="slug", currency=currency, at=at)
    offered = AddOn.objects.filter(retired_at=None, state=Availability.NOW).annotate(price_minor=price)
    rows: dict[str, Any] = {row.slug: row for row in offered.order_by("position")}
    for position, slug in enumerate(wanted):
        if slug not in rows:
            raise _unavailable(slug, f"/addons/{position}")
    lines = []
    for slug, row in rows.items():
        if is_included(row, plan, plans):
            lines.append(_line("addon", row, 0))
        elif slug in wanted:
            if row.price_minor is None:
                raise _unavailable(slug, f"/addons/{wanted.index(slug)}")
            lines.append(_line("addon", row, row.price_minor))
    return lines


def is_included(addon: AddOn, plan: Plan, plans: Iterable[Plan]) -> bool:
    """Tell whether the Plan, or one before it in the list, includes this Add-on."""
    if addon.included_from == AddOn.EVERY_PLAN:
        return True
    first = next((row.position for row in plans if row.slug == addon.included_from), None)
    return first is not None and plan.position >= first


def _line(kind: str, row: Any, unit_minor: int) -> PricedLine:
    return PricedLine(kind, row.slug, row.title_en, row.title_ar, 1, unit_minor)


def _discount(bundle: Bundle | None, plan: Any) -> list[PricedLine]:
    """Take the percentage off the Plan line, rounded up to the billing step in the customer's favor."""
    if bundle is None:
        return []
    exact = -(-plan.price_minor * bundle.discount_percent // 100)
    amount = min(round_up(exact, plan.price_step), plan.price_minor)
    return [_line("discount", bundle, -amount)] if amount else []


def _check_capacity(used: Footprint, plan: Plan, plans: Iterable[Plan]) -> None:
    capacity = capacity_of(plan)
    if used.fits(capacity):
        return
    sold = [(row.slug, capacity_of(row)) for row in plans if row.state == Availability.NOW]
    smallest = smallest_fitting(used, sold)
    if smallest is None:
        message = _("This is too large for every Plan. Talk to us, or remove an app.")
    else:
        titles = {row.slug: row.title_en for row in plans}
        words = {"plan": plan.title_en, "larger": titles[smallest]}
        message = _("Too large for Plan %(plan)s. Upgrade to %(larger)s or remove an app.") % words
    extra = {"smallest_plan": smallest, "used": used.as_json(), "capacity": capacity.as_json()}
    raise CapacityExceeded(message, pointer="/plan", extra=extra)


def _unavailable(what: str, pointer: str) -> LineUnavailable:
    return LineUnavailable(_("%(what)s is not available.") % {"what": what[:80]}, pointer=pointer)
