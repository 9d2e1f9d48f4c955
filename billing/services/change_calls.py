"""What a card subscription is billed for at the processor follows what it consists of here.

The intent names the items that are wanted and commits with the decision. The call that makes it so begins with a look:
items that are right already need none, so a repetition at any moment is harmless. Proration is off, because the rest of
a period is sold by an order of ours. Source: Stripe API reference, "Update a subscription".
"""

from collections import Counter
from datetime import datetime
from typing import Any

import structlog
from django.db.models import Q
from django.db.models.functions import Now

from billing.models import PspCall, Subscription
from billing.services import psp_calls
from billing.services.psp import (
    Processor,
    ProcessorNotConfigured,
    ProcessorRejected,
    ProcessorUnavailable,
    get_processor,
)
from catalyst.core.errors import DomainError
from catalyst.core.failpoints import fp
from catalyst.core.incidents import open_incident

log = structlog.get_logger(__name__)

_OP = "subscription.update"
_PREFIX = "change:"
_BATCH = 50
_WAIT_SECONDS = 60
#: Calls that this module drives; the cleaner of other calls leaves them alone.
MINE = Q(op=_OP, idempotency_key__startswith=_PREFIX)

Item = dict[str, Any]


def product_of(item: Item) -> str:
    """Return the processor's product of an item: an id of our own, so that making it twice makes one."""
    return f"{item['kind']}_{item['reference']}".replace(".", "_")


def price_data(item: Item, currency: str) -> dict[str, Any]:
    """Return one monthly price of an item, as the processor takes it."""
    return {
        "quantity": item["quantity"],
        "price_data": {
            "currency": currency.lower(),
            "product": product_of(item),
            "unit_amount": item["unit_minor"],
            "recurring": {"interval": "month"},
        },
    }


def intend_items(subscription: Subscription, *, items: list[Item], key: str) -> None:
    """Write down what the processor has to bill from the next period on; a step. Nothing for one paid from credit.

    An older intent that is not done is void: sent late, it would undo this one.
    """
    if not subscription.psp_subscription_id:
        return
    waiting = PspCall.objects.filter(
        MINE, params__subscription=subscription.psp_subscription_id, state__in=["requested", "unknown"]
    )
    waiting.exclude(idempotency_key=key).update(state="voided", resolved_at=Now())
    params = {
        "subscription": subscription.psp_subscription_id,
        "currency": subscription.currency_id,
        "items": [item for item in items if item["unit_minor"]],
    }
    psp_calls.record_intent(organization_id=subscription.organization_id, op=_OP, key=key, params=params)


def send_items(*, now: datetime, organization_id: int | None = None) -> int:
    """Make the processor bill what is wanted, for every intent that is due; return how many were looked at.

    With an Organization all of its own are due: right after the commit nobody needs to wait for the sweep.
    """
    mine = PspCall.objects.filter(MINE, state__in=["requested", "unknown"])
    mine = mine.filter(organization_id=organization_id) if organization_id else mine.filter(next_action_at__lte=Now())
    due = list(mine.order_by("next_action_at")[:_BATCH])
    if not due:
        return 0
    try:
        processor = get_processor()
    except ProcessorNotConfigured:
        return 0
    for call in due:
        try:
            _send(processor, call)
        except DomainError as error:
            log.warning("items_not_moved", call=call.pk, reason=error.code)
            psp_calls.mark_unknown(key=call.idempotency_key, next_in_seconds=_WAIT_SECONDS)
        except Exception:
            # One row that nobody foresaw must not stop the others.
            log.exception("items_not_moved", call=call.pk, alarm=True)
            psp_calls.postpone(key=call.idempotency_key, seconds=_WAIT_SECONDS)
    return len(due)


def _send(processor: Processor, call: PspCall) -> None:
    wanted, key = call.params["items"], call.idempotency_key
    found = processor.retrieve_subscription(call.params["subscription"])
    if found.get("status") in ("canceled", "incomplete_expired"):
        psp_calls.resolve(key=key, state="voided")
        return
    present = (found.get("items") or {}).get("data") or []
    update = _update(call, present)
    if update is not None:
        for item in wanted:
            ensure_product(processor, item)
        fp("change.items.before_call")
        try:
            processor.create(_OP, update, key=key)
        except ProcessorRejected as error:
            _give_up(call, error)
            return
        fp("change.items.after_call_before_record")
    psp_calls.resolve(key=key, state="succeeded", object_id=call.params["subscription"])


def _update(call: PspCall, present: list[Item]) -> dict[str, Any] | None:
    """Return the update that makes the processor's items the wanted ones, or None when they are."""
    wanted = Counter({_wanted_key(item): item["quantity"] for item in call.params["items"]})
    changes: list[dict[str, Any]] = []
    for row in present:
        key = _present_key(row)
        if wanted.get(key) == row.get("quantity"):
            del wanted[key]
        else:
            changes.append({"id": row["id"], "deleted": True})
    currency = call.params["currency"]
    changes += [price_data(item, currency) for item in call.params["items"] if _wanted_key(item) in wanted]
    if not changes:
        return None
    return {"subscription": call.params["subscription"], "items": changes, "proration_behavior": "none"}


def _wanted_key(item: Item) -> tuple[str, int]:
    return product_of(item), item["unit_minor"]


def _present_key(row: dict[str, Any]) -> tuple[str, int]:
    price = row.get("price") or {}
    product = price.get("product")
    return str(product.get("id") if isinstance(product, dict) else product), int(price.get("unit_amount") or 0)


def ensure_product(processor: Processor, item: Item) -> None:
    """Make the item's product; one that exists is the one we made before."""
    product = product_of(item)
    try:
        processor.create("product.create", {"id": product, "name": item["title"]}, key=f"product:{product}")
    except ProcessorRejected:
        log.info("product_exists", product=product)


def _give_up(call: PspCall, error: DomainError) -> None:
    """The processor will not have it: the next invoice would be wrong, so a person must look before."""
    psp_calls.resolve(key=call.idempotency_key, state="rejected")
    subject = f"subscription:{call.params['subscription']}"
    open_incident(kind="subscription_items_rejected", subject=subject, detail=str(error.extra or error.code))


__all__ = [
    "MINE",
    "ProcessorUnavailable",
    "intend_items",
    "price_data",
    "product_of",
    "send_items",
]
