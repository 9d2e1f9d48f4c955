"""What a subscription consists of after a change: items are added, replaced and taken out; nothing is written.

What is kept keeps the price at which it was sold; what is new has today's list price. Amounts are minor units.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from billing.models import Subscription
from marketplace.models import Application
from marketplace.selectors.offer import AddOnRow, Offer, PlanRow
from marketplace.selectors.selection import LineUnavailable, is_included

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChangeSelection:
    """What a customer wants to be different. An empty ``plan`` keeps it; new Blueprints by name (``bp-…``),
    Applications that go by their own name, Add-ons by slug. ``config`` is for the new ones, by Blueprint."""

    plan: str = ""
    add_blueprints: tuple[str, ...] = ()
    add_addons: tuple[str, ...] = ()
    remove_applications: tuple[str, ...] = ()
    remove_addons: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)


def items_after(subscription: Subscription, selection: ChangeSelection, offer: Offer) -> list[Item]:
    """Return the items as they are after the change.

    :raises LineUnavailable: a part cannot be bought, or is not there to be removed; with a pointer.
    """
    items = [dict(item) for item in subscription.items]
    _remove_applications(items, subscription, selection.remove_applications)
    plan = _plan_row(offer, selection.plan) if selection.plan not in ("", subscription.plan) else None
    if plan is not None:
        items = [_item("plan", plan, plan.price_minor or 0), *(item for item in items if item["kind"] != "plan")]
        items = _addons_of_plan(items, offer, plan)
    _remove_addons(items, selection.remove_addons)
    for position, name in enumerate(dict.fromkeys(selection.add_blueprints)):
        _add(items, _blueprint_item(offer, name, f"/add/blueprints/{position}"))
    for position, slug in enumerate(dict.fromkeys(selection.add_addons)):
        item = _addon_item(offer, slug, f"/add/addons/{position}")
        if not any(place_of(each) == place_of(item) for each in items):
            items.append(item)
    return items


def bought_applications(subscription: Subscription) -> dict[str, str]:
    """Return the Applications that were bought for the subscription's Environment and may go: name to Blueprint.

    What another one needs is not among them.
    """
    rows = Application.objects.filter(
        organization_id=subscription.organization_id,
        environment__env_type=subscription.env_type,
        requested_by=[],
        removed_by=None,
    )
    return dict(rows.values_list("slug", "blueprint_version__blueprint__name"))


def difference(before: list[Item], after: list[Item]) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Return what comes and what goes, as items with the quantity that differs."""
    had, has = _counted(before), _counted(after)
    named = {_identity(item): item for item in (*before, *after)}
    gained = tuple({**named[key], "quantity": count} for key, count in (has - had).items())
    lost = tuple({**named[key], "quantity": count} for key, count in (had - has).items())
    return gained, lost


def lost_for_good(lost: Iterable[Item], gained: Iterable[Item]) -> list[Item]:
    """Return what goes without being replaced: another Plan replaces the Plan, another price the same Add-on."""
    replaced = {place_of(item) for item in gained}
    return [item for item in lost if place_of(item) not in replaced]


def total_of(items: Iterable[Item]) -> int:
    """Return what the items cost a month."""
    return sum(item["quantity"] * item["unit_minor"] for item in items)


def place_of(item: Item) -> tuple[str, str]:
    """Return what an item stands for: there is one Plan, whatever it is called."""
    return (item["kind"], "" if item["kind"] == "plan" else item["reference"])


def _remove_applications(items: list[Item], subscription: Subscription, names: Iterable[str]) -> None:
    wanted = list(dict.fromkeys(names))
    present = bought_applications(subscription) if wanted else {}
    for position, name in enumerate(wanted):
        if name not in present:
            raise _unavailable(name, f"/remove/applications/{position}")
        for item in reversed(items):
            is_copy = item["kind"] == "blueprint" and item["reference"] == present[name]
            # A copy at another price is an item of its own, and may be used up already.
            if is_copy and item["quantity"]:
                item["quantity"] -= 1
                break
    items[:] = [item for item in items if item["quantity"]]


def _remove_addons(items: list[Item], slugs: Iterable[str]) -> None:
    for position, slug in enumerate(slugs):
        kept = [item for item in items if (item["kind"], item["reference"]) != ("addon", slug)]
        if len(kept) == len(items):
            raise _unavailable(slug, f"/remove/addons/{position}")
        items[:] = kept


def _addons_of_plan(items: list[Item], offer: Offer, plan: PlanRow) -> list[Item]:
    """Return the items as another Plan includes its Add-ons: included ones cost nothing, others stop being free."""
    included = {row.slug: row for row in offer.addons if is_included(row, plan, offer.plans)}
    kept: list[Item] = []
    for item in items:
        if item["kind"] != "addon":
            kept.append(item)
        elif item["reference"] in included:
            kept.append({**item, "unit_minor": 0})
        elif item["unit_minor"]:
            kept.append(item)
    present = {item["reference"] for item in kept if item["kind"] == "addon"}
    return kept + [_item("addon", row, 0) for slug, row in included.items() if slug not in present]


def _add(items: list[Item], new: Item) -> None:
    for item in items:
        if place_of(item) == place_of(new) and item["unit_minor"] == new["unit_minor"]:
            item["quantity"] += 1
            return
    items.append(new)


def _plan_row(offer: Offer, slug: str) -> PlanRow:
    for row in offer.plans:
        if row.slug == slug and row.is_sold():
            return row
    raise _unavailable(slug, "/plan")


def _blueprint_item(offer: Offer, name: str, pointer: str) -> Item:
    listing = offer.listings.get(name)
    if listing is None or name not in offer.for_sale:
        raise _unavailable(listing.title if listing else name, pointer)
    return _named("blueprint", name, listing.title, listing.title, listing.price_minor)


def _addon_item(offer: Offer, slug: str, pointer: str) -> Item:
    for row in offer.addons:
        if row.slug == slug and row.price_minor is not None:
            return _item("addon", row, row.price_minor)
    raise _unavailable(slug, pointer)


def _item(kind: str, row: PlanRow | AddOnRow, unit_minor: int) -> Item:
    return _named(kind, row.slug, row.title_en, row.title_ar, unit_minor)


def _named(kind: str, reference: str, title: str, title_ar: str, unit_minor: int) -> Item:
    return {
        "kind": kind,
        "reference": reference,
        "title": title,
        "title_ar": title_ar,
        "quantity": 1,
        "unit_minor": unit_minor,
    }


def _identity(item: Item) -> tuple[str, str, int]:
    return item["kind"], item["reference"], item["unit_minor"]


def _counted(items: list[Item]) -> Counter[tuple[str, str, int]]:
    counts: Counter[tuple[str, str, int]] = Counter()
    for item in items:
        counts[_identity(item)] += item["quantity"]
    return counts


def _unavailable(what: str, pointer: str) -> LineUnavailable:
    return LineUnavailable(_("%(what)s is not available.") % {"what": what[:80]}, pointer=pointer)
