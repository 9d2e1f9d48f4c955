"""Prices a selection: what a customer chose becomes frozen lines, or a refusal that names the line.

The only place where list prices become lines. One SQL statement whatever the size of the selection.

Source: catalog.md §1, §3, §4 and §9 of the design.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.money import round_up
from marketplace.models import AddOn
from marketplace.selectors import bundles as bundle_rules
from marketplace.selectors.blueprint_index import index_of
from marketplace.selectors.capacity import Footprint, smallest_fitting, used_by
from marketplace.selectors.dependencies import Lock, Root, resolve
from marketplace.selectors.offer import AddOnRow, BundleRow, Offer, PlanRow, load_offer
from tenancy.models import Organization

#: So many selections are remembered for one price list.
_MOST_LOCKS = 500


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
    #: By the Blueprint's name: what each chosen one can be told, as a configSchema.
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def price_selection(
    *,
    plan: str,
    blueprints: Iterable[str],
    addons: Iterable[str],
    bundle: str,
    currency: str,
    at: datetime,
    config: Mapping[str, Any] | None = None,
    organization: Organization | None = None,
) -> PricedSelection:
    """Validate and price a selection: ``blueprints`` by name (``bp-…``), the rest by slug, ``bundle`` may be empty.

    ``config`` is what was set, by the Blueprint's name: it decides what else is installed, hence what fits.
    A Bundle adds its members of today. Duplicates count once. Amounts are minor units of ``currency``, VAT included.

    :raises LineUnavailable: with a pointer to the first part of the request that cannot be bought.
    :raises CapacityExceeded: the Plan is too small for the Applications with their backing services.
    :raises Unresolvable: a dependency cannot be met.
    """
    offer = load_offer(organization, currency=currency, at=at)
    chosen_plan = _chosen_plan(offer, plan)
    chosen, applied = _chosen_blueprints(offer, blueprints, bundle)
    monthly = _monthly_lines(offer, chosen_plan, chosen, addons)
    lines = (*monthly, *_discount(offer, applied, chosen_plan))
    lock = lock_selection(offer, tuple(chosen), config or {})
    used = used_by(lock.footprints())
    _check_capacity(offer, used, chosen_plan)
    return PricedSelection(
        plan=plan,
        bundle=applied.slug if applied else "",
        currency=currency,
        lines=lines,
        total_minor=sum(line.amount_minor() for line in lines),
        monthly_minor=sum(line.amount_minor() for line in monthly),
        lock=lock,
        used=used,
        capacity=chosen_plan.capacity(),
        settings=settings_of(offer, lock, chosen),
    )


def settings_of(offer: Offer, lock: Lock, names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Return the configSchema of each of these Blueprints, in the version that the Lock installs."""
    wanted = set(names)
    bought = [entry.candidate for entry in lock.entries if not entry.requested_by]
    return {
        each.blueprint: offer.listings[each.blueprint].settings.get(each.version, {})
        for each in bought
        if each.blueprint in wanted
    }


def lock_selection(offer: Offer, chosen: tuple[str, ...], config: Mapping[str, Any]) -> Lock:
    """Return what a selection installs into an empty Environment; asked again of the same Offer it is remembered.

    :raises Unresolvable: a dependency cannot be met.
    """
    given = {name: dict(config[name]) for name in chosen if config.get(name) and _has_conditions(offer, name)}
    key = (chosen, json.dumps(given, sort_keys=True))
    known = offer.locks.get(key)
    if known is not None:
        return known
    roots = [Root(name.removeprefix("bp-"), name) for name in chosen]
    said = {root.application: given[root.blueprint] for root in roots if root.blueprint in given}
    lock = resolve(index=index_of(offer.listings), roots=roots, config=said)
    if len(offer.locks) < _MOST_LOCKS:
        offer.locks[key] = lock
    return lock


def _has_conditions(offer: Offer, name: str) -> bool:
    """Tell whether what is set decides what else is installed; else it is of no concern here."""
    return any(edge.when for candidate in offer.listings[name].candidates for edge in candidate.depends)


def _chosen_plan(offer: Offer, slug: str) -> PlanRow:
    for row in offer.plans:
        if row.slug == slug and row.is_sold():
            return row
    raise _unavailable(slug, "/plan")


def _chosen_blueprints(offer: Offer, names: Iterable[str], bundle: str) -> tuple[list[str], BundleRow | None]:
    """Return what is installed, and the one Bundle whose discount applies: the named one, else the best."""
    chosen: dict[str, None] = {}
    for position, name in enumerate(names):
        if name not in offer.for_sale:
            listing = offer.listings.get(name)
            raise _unavailable(listing.title if listing else name, f"/blueprints/{position}")
        chosen[name] = None
    if not bundle:
        return list(chosen), bundle_rules.best_bundle(offer.bundles, chosen=chosen, for_sale=offer.for_sale)
    for row in offer.bundles:
        if row.slug == bundle and bundle_rules.is_for_sale(row, offer.for_sale):
            return list(chosen | dict.fromkeys(bundle_rules.members_today(row, offer.for_sale))), row
    raise _unavailable(bundle, "/bundle")


def _monthly_lines(offer: Offer, plan: PlanRow, chosen: Iterable[str], addons: Iterable[str]) -> list[PricedLine]:
    listings = [offer.listings[name] for name in chosen]
    return [
        _line("plan", plan, plan.price_minor or 0),
        *[PricedLine("blueprint", each.name, each.title, each.title, 1, each.price_minor) for each in listings],
        *_addon_lines(offer, addons, plan),
    ]


def _addon_lines(offer: Offer, addons: Iterable[str], plan: PlanRow) -> list[PricedLine]:
    """Price the chosen Add-ons, and add a line of 0 for each one that the Plan includes."""
    wanted = list(addons)
    rows = {row.slug: row for row in offer.addons}
    for position, slug in enumerate(wanted):
        if slug not in rows:
            raise _unavailable(slug, f"/addons/{position}")
    lines = []
    for slug, row in rows.items():
        if is_included(row, plan, offer.plans):
            lines.append(_line("addon", row, 0))
        elif slug in wanted:
            if row.price_minor is None:
                raise _unavailable(slug, f"/addons/{wanted.index(slug)}")
            lines.append(_line("addon", row, row.price_minor))
    return lines


def is_included(addon: AddOnRow, plan: PlanRow, plans: Sequence[PlanRow]) -> bool:
    """Tell whether the Plan, or one before it in the list, includes this Add-on."""
    if addon.included_from == AddOn.EVERY_PLAN:
        return True
    order = [row.slug for row in plans]
    return addon.included_from in order and order.index(plan.slug) >= order.index(addon.included_from)


def _line(kind: str, row: PlanRow | AddOnRow | BundleRow, unit_minor: int) -> PricedLine:
    return PricedLine(kind, row.slug, row.title_en, row.title_ar, 1, unit_minor)


def _discount(offer: Offer, bundle: BundleRow | None, plan: PlanRow) -> list[PricedLine]:
    """Take the percentage off the Plan line, rounded up to the billing step in the customer's favor."""
    price = plan.price_minor or 0
    if bundle is None or not price:
        return []
    exact = -(-price * bundle.discount_percent // 100)
    return [_line("discount", bundle, -min(round_up(exact, offer.price_step), price))]


def _check_capacity(offer: Offer, used: Footprint, plan: PlanRow) -> None:
    if used.fits(plan.capacity()):
        return
    smallest = smallest_fitting(used, [(row.slug, row.capacity()) for row in offer.plans if row.is_sold()])
    if smallest is None:
        message = _("This is too large for every Plan. Talk to us, or remove an app.")
    else:
        titles = {row.slug: row.title_en for row in offer.plans}
        words = {"plan": plan.title_en, "larger": titles[smallest]}
        message = _("Too large for Plan %(plan)s. Upgrade to %(larger)s or remove an app.") % words
    extra = {"smallest_plan": smallest, "used": used.as_json(), "capacity": plan.capacity().as_json()}
    raise CapacityExceeded(message, pointer="/plan", extra=extra)


def _unavailable(what: str, pointer: str) -> LineUnavailable:
    return LineUnavailable(_("%(what)s is not available.") % {"what": what[:80]}, pointer=pointer)
