"""Subscriptions: what a new one looks like, and when the sandbox must look at it again."""

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.listing import list_object
from catalyst.local.sandbox_stripe.periods import next_end
from catalyst.local.sandbox_stripe.wire import Json

#: Seconds in which the first payment of a subscription made over the API must succeed.
_FIRST_PAYMENT = 23 * 60 * 60
_NOTHING = ("cancel_at", "canceled_at", "days_until_due", "ended_at", "latest_invoice", "pause_collection", "schedule")
_NOTHING_YET = ("default_payment_method", "description", "pending_setup_intent", "pending_update")


def create_subscription(account: Account, customer: str, lines: list[Json], **members: object) -> Json:
    """Create a subscription to recurring lines ({price, quantity}).

    ``trial_end`` gives a free period that ends with an ordinary one, a ``billing_cycle_anchor`` ahead one without any
    invoice; otherwise the first period starts now and is invoiced by the caller.
    """
    now, id_ = account.clock.now(), account.new_id("sub")
    trial_end = members.get("trial_end")
    anchor = trial_end or members.get("billing_cycle_anchor") or now
    subscription: Json = {
        **dict.fromkeys((*_NOTHING, *_NOTHING_YET)),
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_mode": {"type": "flexible"},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "collection_method": "charge_automatically",
        "currency": lines[0]["price"]["currency"],
        "customer": customer,
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": list_object([], f"/v1/subscription_items?subscription={id_}"),
        "metadata": {},
        "start_date": now,
        "status": "trialing" if trial_end else "active",
        "trial_end": None,
        "trial_start": now if trial_end else None,
        **members,
        "billing_cycle_anchor": anchor,
    }
    every = lines[0]["price"]["recurring"]
    end = anchor if isinstance(anchor, int) and anchor > now else next_end(now, every, now)
    subscription["items"]["data"] = [create_item(account, id_, line, now, end) for line in lines]
    schedule(subscription)
    return account.create("subscription", id_, **subscription)


def create_item(account: Account, subscription: str, line: Json, start: int, end: int) -> Json:
    """Return one item of a subscription for the period from ``start`` to ``end``."""
    return {
        "id": account.new_id("si"),
        "object": "subscription_item",
        "created": account.clock.now(),
        "current_period_end": end,
        "current_period_start": start,
        "discounts": [],
        "metadata": line.get("metadata", {}),
        "price": line["price"],
        "quantity": line["quantity"],
        "subscription": subscription,
    }


def save_subscription(account: Account, subscription: Json, **changes: object) -> Json:
    """Apply changes, save, and set the moment of the next look."""
    subscription.update(changes)
    schedule(subscription)
    return account.save(subscription)


def schedule(subscription: Json) -> None:
    """Note when something happens by itself: the end of the period, or of the wait for the first payment."""
    due_at = None
    if subscription["status"] in ("active", "trialing", "past_due"):
        due_at = subscription["items"]["data"][0]["current_period_end"]
    elif subscription["status"] == "incomplete":
        due_at = subscription["start_date"] + _FIRST_PAYMENT
    subscription["_due_at"] = due_at
