"""A subscription paid from credit gets a card: from then on the processor bills it.

While its period is paid, billing there begins with the next one. When a period is due, it begins at once: the first
invoice is charged when the subscription is made, or nothing is made at all, and takes the place of our open one.
Source: docs/card-renewals.md; Stripe API reference, "Create a subscription".
"""

import math
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import Q

from billing.models import Invoice, PspCall, Subscription, SubscriptionChange
from billing.selectors.subscriptions import is_moving_to_card
from billing.services import change_calls, psp_calls, subscription_calls
from billing.services.card_credit import has_outlived_key
from billing.services.card_renewals import follow_invoice
from billing.services.change_items import Item
from billing.services.checkout_observe import id_of
from billing.services.invoices import void_invoice
from billing.services.psp import Processor, ProcessorRejected
from billing.services.subscriptions import lock_with_account
from catalyst.core.database import use_case
from catalyst.core.failpoints import fp
from catalyst.core.incidents import open_incident
from tenancy.selectors.sovereign import get_sovereign
from tenancy.services.audit import append_audit, organization_stream

log = structlog.get_logger(__name__)

_OP = "subscription.create"
MINE = Q(op=_OP)
#: Billing cannot begin at a moment that is about to pass; what is left of the paid period is less than that.
_SOONEST = timedelta(minutes=5)


def intend_adoption(subscription: Subscription, *, customer: str, method: str, now: datetime) -> None:
    """Write down that the processor shall bill a subscription; a step, under the locks of account and subscription.

    Nothing for one that ends with its period, costs nothing, is billed there already or is being moved there.
    """
    if subscription.psp_subscription_id or subscription.cancel_at_period_end or not subscription.monthly_minor:
        return
    if subscription.state == Subscription.State.CANCELED:
        return
    if is_moving_to_card(subscription):
        return
    tried = PspCall.objects.filter(MINE, organization_id=subscription.organization_id)
    count = tried.filter(params__metadata__subscription=str(subscription.pk)).count()
    psp_calls.record_intent(
        organization_id=subscription.organization_id,
        op=_OP,
        key=f"sub:{subscription.pk}:adopt" + (f":{count + 1}" if count else ""),
        params=_params(subscription, customer=customer, method=method, now=now),
    )


def adopt(processor: Processor, call: PspCall, *, now: datetime) -> None:
    """Make the processor's subscription and bill through it from now on. Safe to repeat.

    :raises ProcessorUnavailable: the outcome is unknown; the same key is sent again.
    """
    is_old = has_outlived_key(call)
    theirs = _find_made(processor, call) if is_old else _make(processor, call)
    if theirs is None:
        _give_up(call, state="absent" if is_old else "rejected")
        return
    fp("card.adopt.after_call_before_record")
    _record(call=call, psp_subscription_id=str(theirs["id"]), now=now)
    fp("card.adopt.after_commit")
    latest = id_of(theirs.get("latest_invoice"))
    if latest:
        follow_invoice(processor, latest, actor="card", now=now)


def _params(subscription: Subscription, *, customer: str, method: str, now: datetime) -> dict[str, Any]:
    params: dict[str, Any] = {
        "customer": customer,
        "default_payment_method": method,
        "items": _priced(subscription.items, subscription.currency_id),
        "metadata": {"subscription": str(subscription.pk), "sovereign": get_sovereign().domain},
        "off_session": True,
        # A card that does not pay makes nothing: no subscription over there that we do not have here.
        "payment_behavior": "error_if_incomplete",
        "proration_behavior": "none",
    }
    if subscription.state == Subscription.State.ACTIVE:
        # A trial is how the processor says "paid until": a billing cycle's anchor may be a month ahead at most, and the
        # end of a period that began in a short month can be later. Rounded up to its seconds: nothing is billed twice.
        begins = max(subscription.current_period.upper, now + _SOONEST)
        params["trial_end"] = math.ceil(begins.timestamp())
    return params


def _priced(items: list[Item], currency: str) -> list[dict[str, Any]]:
    return [change_calls.price_data(item, currency) for item in items if item["unit_minor"] * item["quantity"]]


def _make(processor: Processor, call: PspCall) -> dict[str, Any] | None:
    subscription = Subscription.objects.get(pk=call.params["metadata"]["subscription"])
    titles = {change_calls.product_of(item): item["title"] for item in subscription.items}
    try:
        for item in call.params["items"]:
            product = str(item["price_data"]["product"])
            # What is not in the subscription any more was replaced since: its title is seen by nobody.
            change_calls.ensure_product(processor, product, titles.get(product, product))
        fp("card.adopt.before_call")
        return processor.create(call.op, call.params, key=call.idempotency_key)
    except ProcessorRejected:
        return None


def _find_made(processor: Processor, call: PspCall) -> dict[str, Any] | None:
    """The key is too old to be sent again: look whether the subscription was made after all."""
    for theirs in processor.list_subscriptions(call.params["customer"]):
        if (theirs.get("metadata") or {}).get("subscription") == call.params["metadata"]["subscription"]:
            return theirs
    return None


def _give_up(call: PspCall, *, state: str) -> None:
    """The card was declined, or nothing was ever made: everything stays as it was, paid from credit."""
    log.warning("card_not_adopted", call=call.pk, state=state)
    psp_calls.resolve(key=call.idempotency_key, state=state)


@use_case
def _record(*, call: PspCall, psp_subscription_id: str, now: datetime) -> None:
    subscription_id = int(call.params["metadata"]["subscription"])
    _account, subscription = lock_with_account(subscription_id)
    if subscription.psp_subscription_id is None:
        _hand_to_processor(subscription, psp_subscription_id, call=call, now=now)
    elif subscription.psp_subscription_id != psp_subscription_id:
        detail = f"{psp_subscription_id} beside {subscription.psp_subscription_id}"
        open_incident(kind="second_card_subscription", subject=f"subscription:{subscription.pk}", detail=detail)
    psp_calls.resolve(key=call.idempotency_key, state="succeeded", object_id=psp_subscription_id)
    fp("card.adopt.in_tx")


def _hand_to_processor(subscription: Subscription, psp_subscription_id: str, *, call: PspCall, now: datetime) -> None:
    subscription.collection = Subscription.Collection.CARD
    subscription.psp_subscription_id = psp_subscription_id
    subscription.save(update_fields=["collection", "psp_subscription_id"])
    if subscription.state == Subscription.State.CANCELED:
        subscription_calls.intend_end(subscription)
        return
    # What was due is billed by the processor now: the same period is not owed twice.
    for owed in Invoice.objects.filter(subscription=subscription, state=Invoice.State.OPEN, psp_invoice_id=None):
        void_invoice(owed, now=now)
    # What it consists of may have changed since the call was written down, or is going to with the next period.
    change = SubscriptionChange.objects.scheduled().filter(subscription=subscription).first()
    items = (change or subscription).items
    if _priced(items, subscription.currency_id) != call.params["items"]:
        change_calls.intend_items(subscription, items=items, key=f"change:adopt:{call.pk}")
    append_audit(
        stream=organization_stream(subscription.organization.organization),
        actor="card",
        action="subscription.card_added",
        target=f"subscription:{subscription.pk}",
        detail={"collection": "card"},
    )
