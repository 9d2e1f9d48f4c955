"""What a card subscription is billed for at the processor follows what it consists of here.

The intent names the items that are wanted and commits with the decision. The call that makes it so begins with a look:
items that are right already need none, so a repetition at any moment is harmless. Proration is off, because the rest of
a period is sold by an order of ours. Source: Stripe API reference, "Update a subscription".
"""

import hashlib
from collections import Counter
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from billing.models import PspCall, Subscription
from billing.services import psp_calls
from billing.services.change_items import Item
from billing.services.psp import Processor, ProcessorRejected
from billing.services.psp_errors import ALREADY_EXISTS
from catalyst.core.errors import DomainError
from catalyst.core.failpoints import fp
from catalyst.core.incidents import open_incident

_OP = "subscription.update"
_PREFIX = "change:"
#: Calls that this module drives.
_MINE = Q(op=_OP, idempotency_key__startswith=_PREFIX)


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
    waiting = PspCall.objects.undecided().filter(_MINE, params__subscription=subscription.psp_subscription_id)
    waiting.exclude(idempotency_key=key).update(state="voided", resolved_at=Now())
    params = {
        "subscription": subscription.psp_subscription_id,
        "currency": subscription.currency_id,
        "items": [item for item in items if item["unit_minor"]],
    }
    psp_calls.record_intent(organization_id=subscription.organization_id, op=_OP, key=key, params=params)


def send_items(*, organization_id: int) -> None:
    """Make the processor bill what one Organization wants, now; what gets no answer is the sweep's."""
    mine = PspCall.objects.undecided().filter(_MINE, organization_id=organization_id)
    psp_calls.drive_now(mine.order_by("next_action_at"), _send)


def sweep_items() -> int:
    """Make the processor bill what is wanted, for every intent that is due; return how many were tried."""
    due = PspCall.objects.undecided().filter(_MINE, next_action_at__lte=Now())
    return psp_calls.drive(due.order_by("next_action_at"), _send)


def _send(processor: Processor, call: PspCall) -> None:
    wanted, key = call.params["items"], call.idempotency_key
    found = processor.retrieve_subscription(call.params["subscription"])
    if found.get("status") in ("canceled", "incomplete_expired"):
        psp_calls.resolve(key=key, state="voided")
        return
    present = (found.get("items") or {}).get("data") or []
    update = _update(call, present)
    if update is not None:
        try:
            for item in wanted:
                ensure_product(processor, product_of(item), item["title"])
            fp("change.items.before_call")
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


def ensure_product(processor: Processor, product: str, title: str) -> None:
    """Make an item's product; one that exists is the one we made before, perhaps under an older title.

    :raises ProcessorRejected: refused for another reason. :raises ProcessorUnavailable: outcome unknown.
    """
    # The processor refuses a key that comes with other parameters than before.
    digest = hashlib.sha256(title.encode()).hexdigest()[:16]
    try:
        processor.create("product.create", {"id": product, "name": title}, key=f"product:{product}:{digest}")
    except ProcessorRejected as refusal:
        if refusal.extra.get("processor_code") != ALREADY_EXISTS:
            raise


def _give_up(call: PspCall, error: DomainError) -> None:
    """The processor will not have it: the next invoice would be wrong, so a person must look before."""
    psp_calls.resolve(key=call.idempotency_key, state="rejected")
    subject = f"subscription:{call.params['subscription']}"
    open_incident(kind="subscription_items_rejected", subject=subject, detail=str(error.extra or error.code))
