"""What a payment leaves behind: subscription, invoice, payment intent, charge."""

import calendar
from datetime import UTC, datetime, timedelta

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.listing import list_object
from catalyst.local.sandbox_stripe.wire import Json


def period_end(start: int, interval: str, count: int) -> int:
    """Return the end of a billing period; a month that lacks the day ends on its last one."""
    moment = datetime.fromtimestamp(start, UTC)
    if interval in ("day", "week"):
        return int((moment + timedelta(days=count * (7 if interval == "week" else 1))).timestamp())
    months = moment.year * 12 + moment.month - 1 + count * (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return int(moment.replace(year=year, month=month + 1, day=day).timestamp())


def create_customer_for(account: Account, session: Json) -> str:
    """Return the session's customer, made on the spot when the session has none."""
    if session["customer"]:
        return str(session["customer"])
    thing = account.create(
        "customer", account.new_id("cus"), email=session["customer_email"], metadata={}, balance=0, name=None
    )
    account.emit("customer.created", thing)
    return str(thing["id"])


def create_intent(account: Account, session: Json, customer: str, *, is_paid: bool) -> Json:
    """Create payment intent and charge for the session's total; unpaid ones are still processing."""
    total, currency, intent_id = session["amount_total"], session["currency"], account.new_id("pi")
    method = account.create(
        "payment_method",
        account.new_id("pm"),
        billing_details=_nobody(),
        customer=customer,
        metadata={},
        type="card" if is_paid else "sepa_debit",
    )
    charge = _create_charge(account, session, intent_id, method, is_paid=is_paid)
    return account.create(
        "payment_intent",
        intent_id,
        amount=total,
        amount_capturable=0,
        amount_received=total if is_paid else 0,
        canceled_at=None,
        capture_method="automatic",
        client_secret=None,
        currency=currency,
        customer=customer,
        description=session["_payment_intent_data"].get("description"),
        last_payment_error=None,
        latest_charge=charge["id"],
        metadata=session["_payment_intent_data"].get("metadata", {}),
        next_action=None,
        payment_method=method["id"],
        payment_method_types=session["payment_method_types"],
        status="succeeded" if is_paid else "processing",
    )


def _create_charge(account: Account, session: Json, intent_id: str, method: Json, *, is_paid: bool) -> Json:
    return account.create(
        "charge",
        account.new_id("ch" if is_paid else "py"),
        amount=session["amount_total"],
        amount_captured=session["amount_total"] if is_paid else 0,
        amount_refunded=0,
        balance_transaction=None,
        billing_details=_nobody(),
        captured=True,
        currency=session["currency"],
        customer=method["customer"],
        description=None,
        disputed=False,
        failure_code=None,
        failure_message=None,
        metadata={},
        paid=is_paid,
        payment_intent=intent_id,
        payment_method=method["id"],
        refunded=False,
        status="succeeded" if is_paid else "pending",
    )


def create_subscription(account: Account, session: Json, customer: str) -> Json:
    """Create the subscription to the session's recurring lines."""
    now, id_ = account.clock.now(), account.new_id("sub")
    lines = [line for line in session["_line_items"] if line["price"]["recurring"]]
    items = _subscription_items(account, lines, id_)
    nothing = ("cancel_at", "canceled_at", "days_until_due", "ended_at", "latest_invoice", "pause_collection")
    later = ("default_payment_method", "pending_setup_intent", "pending_update", "schedule", "trial_end", "trial_start")
    return account.create(
        "subscription",
        id_,
        **dict.fromkeys((*nothing, *later)),
        automatic_tax={"disabled_reason": None, "enabled": False, "liability": None},
        billing_cycle_anchor=now,
        billing_mode=session["_subscription_data"].get("billing_mode", {"type": "flexible"}),
        billing_schedules=[],
        cancel_at_period_end=False,
        collection_method="charge_automatically",
        currency=session["currency"],
        customer=customer,
        description=session["_subscription_data"].get("description"),
        discounts=[],
        invoice_settings={"account_tax_ids": None, "issuer": {"type": "self"}},
        items=list_object(items, f"/v1/subscription_items?subscription={id_}"),
        metadata=session["_subscription_data"].get("metadata", {}),
        start_date=now,
        status="active",
    )


def _subscription_items(account: Account, lines: list[Json], subscription_id: str) -> list[Json]:
    now, every = account.clock.now(), lines[0]["price"]["recurring"]
    end = period_end(now, every["interval"], every["interval_count"])
    return [
        {
            "id": account.new_id("si"),
            "object": "subscription_item",
            "created": now,
            "current_period_end": end,
            "current_period_start": now,
            "discounts": [],
            "metadata": {},
            "price": line["price"],
            "quantity": line["quantity"],
            "subscription": subscription_id,
        }
        for line in lines
    ]


def create_invoice(account: Account, session: Json, subscription: Json, intent: Json | None) -> Json:
    """Create the first invoice of a subscription, paid when its payment is."""
    now, id_, total = account.clock.now(), account.new_id("in"), session["amount_total"]
    is_paid = intent is None or intent["status"] == "succeeded"
    paid = total if is_paid else 0
    end = subscription["items"]["data"][0]["current_period_end"]
    zero = ("amount_overpaid", "amount_paid_off_stripe", "amount_shipping", "post_payment_credit_notes_amount")
    zero_too = ("pre_payment_credit_notes_amount", "starting_balance")
    invoice = account.create(
        "invoice",
        id_,
        **dict.fromkeys((*zero, *zero_too), 0),
        amount_due=total,
        amount_paid=paid,
        amount_remaining=total - paid,
        attempt_count=1,
        attempted=True,
        auto_advance=False,
        automatic_tax={"disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None},
        billing_reason="subscription_create",
        collection_method="charge_automatically",
        currency=session["currency"],
        customer=subscription["customer"],
        default_tax_rates=[],
        discounts=[],
        issuer={"type": "self"},
        lines=list_object(_invoice_lines(account, session, id_, now, end), f"/v1/invoices/{id_}/lines"),
        metadata={},
        parent=_parent(subscription),
        payment_settings=dict.fromkeys(("default_mandate", "payment_method_options", "payment_method_types")),
        period_end=now,
        period_start=now,
        status="paid" if is_paid else "open",
        status_transitions=_moments(now, is_paid=is_paid),
        subtotal=session["amount_subtotal"],
        total=total,
    )
    if intent is not None:
        _create_invoice_payment(account, invoice, intent, is_paid=is_paid)
    return invoice


def _parent(subscription: Json) -> Json:
    details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    return {"quote_details": None, "subscription_details": details, "type": "subscription_details"}


def _moments(now: int, *, is_paid: bool) -> Json:
    moments: Json = dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at"))
    return {**moments, "finalized_at": now, "paid_at": now if is_paid else None}


def _create_invoice_payment(account: Account, invoice: Json, intent: Json, *, is_paid: bool) -> None:
    account.create(
        "invoice_payment",
        account.new_id("inpay"),
        amount_paid=intent["amount"] if is_paid else None,
        amount_requested=intent["amount"],
        currency=intent["currency"],
        invoice=invoice["id"],
        is_default=True,
        payment={"payment_intent": intent["id"], "type": "payment_intent"},
        status="paid" if is_paid else "open",
        status_transitions={"canceled_at": None, "paid_at": account.clock.now() if is_paid else None},
    )


def _invoice_lines(account: Account, session: Json, invoice_id: str, start: int, end: int) -> list[Json]:
    return [
        {
            "id": account.new_id("il"),
            "object": "line_item",
            # Discounts stand apart, as on Stripe's invoices: the amount is the undiscounted one.
            "amount": line["amount_subtotal"],
            "currency": line["currency"],
            "description": line["description"],
            "discountable": True,
            "discounts": [],
            "invoice": invoice_id,
            "livemode": False,
            "metadata": {},
            "period": {"end": end if line["price"]["recurring"] else start, "start": start},
            "quantity": line["quantity"],
            "subtotal": line["amount_subtotal"],
        }
        for line in session["_line_items"]
    ]


def _nobody() -> Json:
    return {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}
