"""Changes that bring something to buy: what they cost, the purchase from credit, and the money back when they fail.

``marketplace`` asks through its ports and knows nothing of orders. Rules: docs/changes.md. Amounts are minor units.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from billing.models import CreditNote, Order, Subscription, SubscriptionChange
from billing.services import change_calls
from billing.services.change_items import ChangeSelection, place_of
from billing.services.change_pricing import NothingChanges, Proposal, price_change
from billing.services.checkout_types import (
    CheckoutOutcome,
    CheckoutRequest,
    QuoteChanged,
    ReturnAddresses,
    Selection,
)
from billing.services.code_attempts import Guesser
from billing.services.quotes import quote_priced
from billing.services.refunds import refund_failed_delivery
from billing.services.subscription_changes import ChangeCommand, request_change
from billing.services.subscriptions import lock_with_account, move
from catalyst.core import idempotency
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, PermissionRefused
from catalyst.core.failpoints import fp
from marketplace.models import Change
from marketplace.selectors.change_costs import Cost, register_cost, register_purchase
from marketplace.selectors.selection import LineUnavailable
from marketplace.services.change_previews import InsufficientCredit
from tenancy.models import Environment, User
from tenancy.selectors.permissions import can
from tenancy.selectors.sovereign import get_sovereign

_CARTS = uuid.UUID("1b8a1ad2-6cbb-4c0e-8f1e-2ac6a8b7c2d9")
_RIGHT = "subscription.change"


class PlanNeeded(DomainError):
    """Nothing is installed in an Environment without a Plan."""

    code = "plan_needed"
    status = HTTPStatus.PAYMENT_REQUIRED


@register_cost
def cost_of_change(
    environment: Environment, added: Collection[str], removed: Collection[str], now: datetime
) -> Cost | None:
    """Return what it costs to add these Blueprints; what goes is paid until the subscription is changed too."""
    currency = str(get_sovereign().currency_id)
    subscription = _live_subscription(environment)
    if subscription is None:
        text = _("%(environment)s has no Plan yet. Choose one first.") % {"environment": environment.name}
        return Cost(currency, 0, 0, 0, is_sale=bool(added), note=text)
    monthly = subscription.monthly_minor
    note = ""
    if removed:
        text = _("Your subscription still holds %(names)s. Take it out there, and it ends with the period.")
        note = text % {"names": ", ".join(sorted(removed))}
    if not added:
        return Cost(currency, monthly, monthly, 0, is_sale=False, note=note)
    try:
        proposal = _proposal(environment, subscription, {name: {} for name in added}, now=now)
    except (LineUnavailable, NothingChanges) as error:
        return Cost(currency, monthly, monthly, 0, is_sale=True, note=error.message)
    return Cost(currency, monthly, proposal.priced.monthly_minor, proposal.price_minor, is_sale=True, note=note)


@register_purchase
def buy_change(
    environment: Environment, preview_id: str, blueprints: Mapping[str, Mapping[str, Any]], actor: User, now: datetime
) -> str:
    """Buy what a preview brings from the Organization's credit and return the order's number; once for one preview.

    :raises PermissionRefused: the actor may not buy. :raises PlanNeeded: the Environment has no Plan.
    :raises InsufficientCredit: there is less credit than it costs; nothing was bought.
    :raises DomainError: every refusal of ``request_change``.
    """
    if not can(actor, _RIGHT, environment.organization):
        raise PermissionRefused(
            _("This has to be bought. Ask an administrator or a billing administrator to apply it.")
        )
    subscription = _live_subscription(environment)
    if subscription is None:
        text = _("%(environment)s has no Plan yet. Choose one first.") % {"environment": environment.name}
        raise PlanNeeded(text)
    selection = ChangeSelection(add_blueprints=tuple(sorted(blueprints)), config=dict(blueprints))
    request = _request(environment, subscription, preview_id, actor)
    command = ChangeCommand(subscription=subscription, selection=selection, checkout=request)
    stored = idempotency.find(scope=request.scope, key=request.key, fingerprint=request.fingerprint)
    if stored is None:
        quote_hash = _affordable(environment, subscription, blueprints, now=now)
        command = ChangeCommand(subscription, selection, _accepting(request, quote_hash))
    try:
        outcome = request_change(command=command, now=now)
    except QuoteChanged as error:
        raise InsufficientCredit(
            _("Your credit or the price has changed. Look at it again."), extra=error.extra
        ) from None
    assert isinstance(outcome, CheckoutOutcome)
    return outcome.order_number


def _live_subscription(environment: Environment) -> Subscription | None:
    live = Subscription.objects.filter(organization_id=environment.organization_id, env_type=environment.env_type)
    return live.exclude(state=Subscription.State.CANCELED).select_related("order", "organization").first()


def _proposal(
    environment: Environment,
    subscription: Subscription,
    blueprints: Mapping[str, Mapping[str, Any]],
    *,
    now: datetime,
) -> Proposal:
    selection = ChangeSelection(add_blueprints=tuple(sorted(blueprints)), config=dict(blueprints))
    return price_change(subscription=subscription, selection=selection, organization=environment.organization, now=now)


def _affordable(
    environment: Environment, subscription: Subscription, blueprints: Mapping[str, Mapping[str, Any]], *, now: datetime
) -> str:
    """Return the hash of the quote when credit covers it.

    :raises InsufficientCredit: it does not.
    """
    proposal = _proposal(environment, subscription, blueprints, now=now)
    quote = quote_priced(
        priced=proposal.priced,
        organization=environment.organization,
        sovereign=get_sovereign(),
        voucher_code="",
        guesser=Guesser(None, None, ""),
        env_type=environment.env_type,
        now=now,
    )
    if quote.split.charge_minor:
        text = _("Your credit does not cover this. Add a voucher, or buy it in the marketplace with a card.")
        missing = {"amount": quote.split.charge_minor, "currency": quote.currency}
        raise InsufficientCredit(text, extra={"missing": missing})
    return quote.hash


def _request(environment: Environment, subscription: Subscription, preview_id: str, actor: User) -> CheckoutRequest:
    key = f"preview-{preview_id}"
    return CheckoutRequest(
        organization=environment.organization,
        sovereign=get_sovereign(),
        buyer=actor,
        selection=Selection(plan=subscription.plan),
        preview=preview_id,
        voucher_code="",
        env_type=environment.env_type,
        accepted_quote="",
        cart_id=uuid.uuid5(_CARTS, f"{environment.pk}/{actor.pk}/{preview_id}"),
        key=key,
        fingerprint=idempotency.fingerprint(method="POST", path=environment.name, body={"preview": preview_id}),
        returns=ReturnAddresses(success="", cancel=""),
    )


def _accepting(request: CheckoutRequest, quote_hash: str) -> CheckoutRequest:
    """Return the request with the quote that credit covers: a rival who takes the credit first makes it refused."""
    return replace(request, accepted_quote=quote_hash)


def give_back(*, change_id: uuid.UUID, now: datetime) -> CreditNote | None:
    """Give the money of a previewed Change back that ended without a commit, and take out what it had brought; once.

    Nothing happens for a Change that was saved after all, that nobody paid for, or that was given back before.
    """
    change = Change.objects.filter(pk=change_id).select_related("organization").first()
    if change is None or change.commit or not change.order_number or change.preview_id is None:
        return None
    ended = (Change.State.FAILED, Change.State.SUPERSEDED, Change.State.CANCELLED)
    if change.state not in ended:
        return None
    order = Order.objects.select_related("checkout").get(number=change.order_number)
    _take_out(order, now=now)
    fp("change.give_back.after_items")
    if not order.total_minor:
        return None
    reason = f"Change {change.pk} was not saved: {change.status_reason or change.state}"
    return refund_failed_delivery(order_number=order.number, reason=reason[:500], actor="system", now=now)


@use_case
def _take_out(order: Order, *, now: datetime) -> None:
    """Take what an order of a change brought out of its subscription, once."""
    if order.checkout.change_id is None:
        return
    wish = SubscriptionChange.objects.get(pk=order.checkout.change_id)
    _account, subscription = lock_with_account(wish.subscription_id)
    reason = f"given back: {order.number}"
    if subscription.state != Subscription.State.ACTIVE or subscription.history.filter(reason=reason).exists():
        return
    items = [dict(item) for item in subscription.items]
    for line in order.lines.filter(kind="blueprint"):
        for item in reversed(items):
            if place_of(item) == ("blueprint", line.reference) and item["quantity"]:
                item["quantity"] -= 1
                break
    kept = [item for item in items if item["quantity"]]
    move(subscription, Subscription.State.ACTIVE, actor="system", reason=reason, now=now, told={}, items=kept)
    change_calls.intend_items(subscription, items=kept, key=f"change:{wish.pk}:given-back")
