"""What a change of a subscription costs and when it happens: reads and arithmetic, nothing is written.

Amounts are minor units. Rules: docs/subscriptions.md, "Changes".
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import override

from billing.models import Subscription
from billing.services.change_items import (
    ChangeSelection,
    Item,
    difference,
    items_after,
    lost_for_good,
    place_of,
    total_of,
)
from catalyst.core.errors import DomainError
from catalyst.core.models import Currency
from marketplace.models import Plan
from marketplace.selectors.blueprint_index import index_of
from marketplace.selectors.capacity import Footprint, installed_fits, plan_footprint, smallest_fitting, used_by
from marketplace.selectors.dependencies import Lock, Root, resolve
from marketplace.selectors.installed import running_applications
from marketplace.selectors.offer import Offer, load_offer
from marketplace.selectors.selection import CapacityExceeded, PricedLine, PricedSelection, settings_of
from tenancy.models import Environment, Organization

_HOUR = 3600


class NothingChanges(DomainError):
    code = "nothing_changes"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Proposal:
    """A priced change of one subscription as it stood at ``version``.

    ``kind`` is ``now`` (paid for the rest of the period, then it happens) or ``period_end``. ``lost`` are the items
    that go. ``overflow`` is set when the contents do not fit the Plan.
    """

    subscription: Subscription
    version: int
    kind: str
    effective_at: datetime
    items: list[Item]
    install: tuple[str, ...]
    remove: tuple[str, ...]
    config: Mapping[str, Any]
    lost: tuple[Item, ...]
    gained: tuple[Item, ...]
    priced: PricedSelection
    overflow: CapacityExceeded | None

    @property
    def price_minor(self) -> int:
        return self.priced.total_minor

    @property
    def lost_for_good(self) -> list[Item]:
        return lost_for_good(self.lost, self.gained)


def price_change(
    *, subscription: Subscription, selection: ChangeSelection, organization: Organization, now: datetime
) -> Proposal:
    """Validate and price a change; what does not fit the Plan is told, not refused.

    :raises LineUnavailable: a part cannot be bought, or is not there to be removed; with a pointer.
    :raises NothingChanges: the subscription is already like that.
    :raises Unresolvable: a dependency of something new cannot be met.
    """
    currency = Currency.objects.get(pk=subscription.currency_id)
    offer = load_offer(organization, currency=currency.code, at=now)
    items = items_after(subscription, selection, offer)
    gained, lost = difference(subscription.items, items)
    if not gained and not lost:
        raise NothingChanges(_("Your subscription is like that already. Choose something else."))
    extra = total_of(items) - subscription.monthly_minor
    at_end = bool(lost_for_good(lost, gained)) or extra < 0
    price = 0 if at_end else price_of_rest(extra, subscription, currency, now=now)
    running = running_applications(subscription.organization_id, subscription.env_type)
    owed = {*running.values(), *_bought(subscription.items)}
    priced = _priced(items, offer, currency, price=price, owed=owed)
    priced = replace(priced, settings=settings_of(offer, priced.lock, selection.add_blueprints))
    fits = priced.used.fits(priced.capacity) and _runs_within(
        subscription, priced.capacity, selection.remove_applications
    )
    return Proposal(
        subscription=subscription,
        version=subscription.version,
        kind="period_end" if at_end else "now",
        effective_at=subscription.current_period.upper if at_end else now,
        items=items,
        install=selection.add_blueprints,
        remove=selection.remove_applications,
        config=selection.config,
        lost=lost,
        gained=gained,
        priced=priced if at_end else replace(priced, lines=_lines(gained, lost, price, step=currency.psp_step)),
        overflow=None if fits else _overflow(offer, priced),
    )


def _priced(
    items: list[Item], offer: Offer, currency: Currency, *, price: int, owed: Collection[str]
) -> PricedSelection:
    """Return what an order of the change is made of, its lines apart."""
    lock, plan = _resolved(items, offer, owed), _plan_of(items)
    return PricedSelection(
        plan=plan,
        bundle="",
        currency=currency.code,
        lines=(),
        total_minor=price,
        monthly_minor=total_of(items),
        lock=lock,
        used=used_by(lock.footprints()),
        capacity=_capacity(offer, plan),
    )


def price_of_rest(difference_minor: int, subscription: Subscription, currency: Currency, *, now: datetime) -> int:
    """Return the price of the rest of the current period for a monthly difference.

    The rest is counted in whole hours and the price rounded down to what the processor can bill, both in the customer's
    favor; below the processor's minimum it is free. Whole hours keep a quote valid while it is being read.
    """
    period = subscription.current_period
    whole = int((period.upper - period.lower).total_seconds())
    rest = max(int((period.upper - now).total_seconds()), 0) // _HOUR * _HOUR
    exact = max(difference_minor, 0) * min(rest, whole) // whole
    price = exact - exact % currency.psp_step
    return price if price >= currency.psp_min_minor else 0


def _lines(gained: tuple[Item, ...], lost: tuple[Item, ...], price_minor: int, *, step: int) -> tuple[PricedLine, ...]:
    """Return the order's lines: what comes, each with its part of the price; they sum to it exactly.

    Parts are in proportion to the monthly difference, rounded down to the step; the largest takes what is left.
    """
    before = Counter({place_of(item): total_of([item]) for item in lost})
    shares = [max(total_of([item]) - before[place_of(item)], 0) for item in gained]
    whole = sum(shares)
    parts = [price_minor * share // whole // step * step if whole else 0 for share in shares]
    if parts:
        parts[shares.index(max(shares))] += price_minor - sum(parts)
    return tuple(_line(item, part) for item, part in zip(gained, parts, strict=True))


def _line(item: Item, part_minor: int) -> PricedLine:
    with override("en"):
        title = _rest(item["title"], item)
    with override("ar"):
        title_ar = _rest(item["title_ar"], item)
    return PricedLine(item["kind"], item["reference"], title, title_ar, 1, part_minor)


def _rest(title: str, item: Item) -> str:
    return _("%(title)s, for the rest of the period") % {"title": title} if item["unit_minor"] else title


def _bought(items: Iterable[Item]) -> set[str]:
    return {str(item["reference"]) for item in items if item["kind"] == "blueprint"}


def _resolved(items: list[Item], offer: Offer, owed: Collection[str]) -> Lock:
    """Return everything that runs for these items. What the catalogue no longer has takes no part: it runs already."""
    roots: list[Root] = []
    for item in items:
        if item["kind"] == "blueprint" and (listing := offer.listings.get(item["reference"])) and listing.candidates:
            stem = item["reference"].removeprefix("bp-")
            copies = [root for root in roots if root.blueprint == item["reference"]]
            first = len(copies) + 1
            roots += [
                Root(stem if number == 1 else f"{stem}-{number}", item["reference"])
                for number in range(first, first + item["quantity"])
            ]
    return resolve(index=index_of(offer.listings, owed=owed), roots=roots)


def _plan_of(items: list[Item]) -> str:
    return next((str(item["reference"]) for item in items if item["kind"] == "plan"), "")


def _capacity(offer: Offer, plan: str) -> Footprint:
    """Return what the Plan gives; one that is no longer in the list gives what it always did."""
    for row in offer.plans:
        if row.slug == plan:
            return row.capacity()
    return plan_footprint(Plan.objects.get(slug=plan))


def _runs_within(subscription: Subscription, capacity: Footprint, without: Iterable[str]) -> bool:
    """Tell whether what is installed, in the versions that are installed, fits once these are gone."""
    owner = subscription.organization_id
    environment = Environment.objects.filter(organization_id=owner, env_type=subscription.env_type).first()
    if environment is None:
        return True
    return installed_fits(environment, capacity, without=tuple(without))


def _overflow(offer: Offer, priced: PricedSelection) -> CapacityExceeded:
    """Return the refusal that names what needs room, and the smallest Plan that has it."""
    sold = [(row.slug, row.capacity()) for row in offer.plans if row.is_sold()]
    entries = priced.lock.entries
    return CapacityExceeded(
        _("What runs here does not fit this Plan. Choose a larger Plan, or remove applications in the same change."),
        pointer="/plan",
        extra={
            "smallest_plan": smallest_fitting(priced.used, sold),
            "used": priced.used.as_json(),
            "capacity": priced.capacity.as_json(),
            "applications": [{"name": each.application, **each.candidate.footprint.as_json()} for each in entries],
        },
    )
