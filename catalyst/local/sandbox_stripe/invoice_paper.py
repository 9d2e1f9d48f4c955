"""Invoices as documents: lines and totals of a draft, and the items that wait for the next one."""

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.listing import list_object
from catalyst.local.sandbox_stripe.wire import Json

_ZERO = ("amount_due", "amount_overpaid", "amount_paid", "amount_paid_off_stripe", "amount_remaining", "attempt_count")
_ZERO_TOO = ("amount_shipping", "post_payment_credit_notes_amount", "pre_payment_credit_notes_amount")
_SUMS = ("starting_balance", "subtotal", "total")
_NOTHING = ("default_payment_method", "effective_at", "ending_balance", "next_payment_attempt", "number")


def draft_invoice(
    account: Account, subscription: Json, lines: list[Json], reason: str, *, discount: int = 0, since: int | None = None
) -> Json:
    """Create a draft of a subscription.

    The invoice's own period is the one that has passed (from ``since`` to now); what is billed stands on the lines.
    A positive ``discount`` comes off the sum.
    """
    now, id_ = account.clock.now(), account.new_id("in")
    for line in lines:
        line["invoice"] = id_
    invoice: Json = {
        **_blank(subscription),
        "billing_reason": reason,
        "lines": list_object(lines, f"/v1/invoices/{id_}/lines"),
        "period_end": now,
        "period_start": now if since is None else since,
        "_discount": discount,
    }
    _add_up(invoice)
    return account.create("invoice", id_, **invoice)


def _blank(subscription: Json) -> Json:
    """Return what every new draft of a subscription says."""
    return {
        **dict.fromkeys((*_ZERO, *_ZERO_TOO, *_SUMS), 0),
        **dict.fromkeys(_NOTHING),
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": {
            **dict.fromkeys(("disabled_reason", "liability", "provider", "status")),
            "enabled": False,
        },
        "collection_method": "charge_automatically",
        "currency": subscription["currency"],
        "customer": subscription["customer"],
        "default_tax_rates": [],
        "discounts": [],
        "issuer": {"type": "self"},
        "metadata": {},
        "parent": {
            "quote_details": None,
            "subscription_details": {"metadata": subscription["metadata"], "subscription": subscription["id"]},
            "type": "subscription_details",
        },
        "payment_settings": dict.fromkeys(("default_mandate", "payment_method_options", "payment_method_types")),
        "status": "draft",
        "status_transitions": dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")),
    }


def item_lines(account: Account, subscription: Json) -> list[Json]:
    """Return a line for every item of a subscription, for its current period."""
    lines = []
    for item in subscription["items"]["data"]:
        product = account.find("product", item["price"]["product"])
        period = {"end": item["current_period_end"], "start": item["current_period_start"]}
        amount = item["price"]["unit_amount"] * item["quantity"]
        line = _line(account, amount, subscription["currency"], product["name"], period, item["quantity"])
        details = {"proration": False, "subscription": subscription["id"], "subscription_item": item["id"]}
        line["parent"] = {"subscription_item_details": details, "type": "subscription_item_details"}
        line["pricing"] = _pricing(item["price"])
        lines.append(line)
    return lines


def single_line(account: Account, sold: Json) -> Json:
    """Return the line of something that a session sold once."""
    now = account.clock.now()
    period = {"end": now, "start": now}
    line = _line(account, sold["amount_subtotal"], sold["currency"], sold["description"], period, sold["quantity"])
    return {**line, "pricing": _pricing(sold["price"])}


def take_waiting_items(account: Account, subscription: Json) -> list[Json]:
    """Return a line for every invoice item of the customer that no invoice has taken yet."""
    waiting = [
        item
        for item in reversed(account.store.newest_first("invoiceitem"))
        if item["customer"] == subscription["customer"]
        and item["invoice"] is None
        and (item["parent"] is None or item["parent"]["subscription_details"]["subscription"] == subscription["id"])
    ]
    return [_line_of_item(account, item) for item in waiting]


def add_item(account: Account, invoice: Json, item: Json) -> None:
    """Put an invoice item on a draft and add the sum up again."""
    line = _line_of_item(account, item)
    line["invoice"] = invoice["id"]
    invoice["lines"]["data"].append(line)
    _add_up(invoice)
    account.save(invoice)
    account.save(item, invoice=invoice["id"])


def own_items(account: Account, invoice: Json) -> None:
    """Note on the waiting items which invoice took them."""
    for line in invoice["lines"]["data"]:
        details = (line.get("parent") or {}).get("invoice_item_details")
        if details:
            account.save(account.find("invoiceitem", details["invoice_item"]), invoice=invoice["id"])


def _line_of_item(account: Account, item: Json) -> Json:
    line = _line(account, item["amount"], item["currency"], item["description"], item["period"], item["quantity"])
    details = {"invoice_item": item["id"], "proration": False}
    line["parent"] = {"invoice_item_details": details, "type": "invoice_item_details"}
    return {**line, "discountable": item["discountable"], "metadata": item["metadata"]}


def _line(account: Account, amount: int, currency: str, description: str | None, period: Json, quantity: int) -> Json:
    # Discounts stand apart, as on Stripe's invoices: the amount is the undiscounted one.
    return {
        "id": account.new_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": currency,
        "description": description,
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "parent": None,
        "period": period,
        "pricing": None,
        "quantity": quantity,
        "subtotal": amount,
    }


def _pricing(price: Json) -> Json:
    details = {"price": price["id"], "product": price["product"]}
    return {"price_details": details, "type": "price_details", "unit_amount_decimal": price["unit_amount_decimal"]}


def _add_up(invoice: Json) -> None:
    invoice["subtotal"] = sum(line["amount"] for line in invoice["lines"]["data"])
    invoice["total"] = invoice["subtotal"] - invoice["_discount"]
    invoice["amount_due"] = invoice["amount_remaining"] = max(invoice["total"], 0)
