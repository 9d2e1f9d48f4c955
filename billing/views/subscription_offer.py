"""What the change page of the console offers: Plans side by side, what is there, what could come."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from billing.models import Checkout, Subscription, SubscriptionChange
from billing.services.change_items import bought_applications
from billing.services.subscription_changes import find_open_change
from billing.services.subscription_outlook import NextCharge, grace_end, next_charge
from marketplace.models import Blueprint, Plan
from marketplace.selectors.catalogue import BlueprintCard, list_cards
from marketplace.selectors.price_list import AddOnOffer, PlanOffer, list_addons, list_plans
from tenancy.models import Organization


@dataclass(frozen=True, slots=True)
class Offer:
    """``own`` maps the names of Applications that may go to their titles, ``bought`` are Blueprints that are there.

    Add-ons that the Plan includes never go.
    """

    plans: list[PlanOffer]
    own: dict[str, str]
    own_addons: list[dict[str, Any]]
    bought: set[str]
    cards: list[BlueprintCard]
    addons: list[AddOnOffer]


@dataclass(frozen=True, slots=True)
class Panel:
    """One subscription on the billing page. ``pay_address`` is the card page of a change that waits for its payment."""

    row: Subscription
    plan: Plan | None
    charge: NextCharge | None
    change: SubscriptionChange | None
    change_plan: Plan | None
    pay_address: str
    grace_end: datetime | None


def offer_of(subscription: Subscription, organization: Organization) -> Offer:
    """Return what can be chosen for one subscription."""
    currency, now = subscription.currency_id, timezone.now()
    plans = [
        each for each in list_plans(currency=currency, at=now) if each.state == "now" and each.price_minor is not None
    ]
    bought = bought_applications(subscription)
    titles = dict(Blueprint.objects.filter(name__in=set(bought.values())).values_list("name", "title"))
    addons = [item for item in subscription.items if item["kind"] == "addon"]
    present = {item["reference"] for item in addons}
    offers = list_addons(currency=currency, at=now)
    cards = list_cards(organization, currency=currency, at=now, language="en")
    return Offer(
        plans=plans,
        own={name: titles.get(blueprint, name) for name, blueprint in sorted(bought.items())},
        own_addons=[item for item in addons if item["unit_minor"]],
        bought={item["reference"] for item in subscription.items if item["kind"] == "blueprint"},
        cards=[card for card in cards if card.is_installable],
        addons=[
            each for each in offers if each.state == "now" and each.price_minor is not None and each.slug not in present
        ],
    )


def panels_of(organization: Organization) -> list[Panel]:
    """Return the live subscriptions of an Organization with what comes next for each."""
    live = Subscription.objects.filter(organization_id=organization.pk).exclude(state=Subscription.State.CANCELED)
    rows = list(live.select_related("order", "organization__organization").order_by("env_type"))
    waiting = {row.pk: find_open_change(row) for row in rows}
    slugs = {row.plan for row in rows} | {change.plan for change in waiting.values() if change}
    plans = {plan.slug: plan for plan in Plan.objects.filter(slug__in=slugs)}
    return [
        Panel(
            row=row,
            plan=plans.get(row.plan),
            charge=next_charge(row),
            change=waiting[row.pk],
            change_plan=plans.get(change.plan) if (change := waiting[row.pk]) else None,
            pay_address=_pay_address(waiting[row.pk]),
            grace_end=grace_end(row),
        )
        for row in rows
    ]


def _pay_address(change: SubscriptionChange | None) -> str:
    """Return the card page that is still open, or nothing."""
    if change is None or change.state != SubscriptionChange.State.PENDING:
        return ""
    waiting = Checkout.objects.filter(change=change, state=Checkout.State.AWAITING_PAYMENT)
    return waiting.values_list("psp_session_url", flat=True).first() or ""
