"""The life of an invoice: draft, open, paid, void or uncollectible, and the attempts to collect it.

Source: docs.stripe.com/billing/invoices/subscription and docs.stripe.com/invoicing/integration/workflow-transitions.
"""

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.amounts import smallest_charge
from catalyst.local.sandbox_stripe.paperwork import attempt, create_intent, create_method
from catalyst.local.sandbox_stripe.subscribing import save_subscription
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

_DAY = 24 * 60 * 60
#: Days after the first failed attempt at which the card is tried again; then the subscription stays past due.
RETRY_DAYS = (1, 3, 5, 7)
#: Seconds from draft to open, and from an invoice opened by hand to the first attempt.
WAIT = 60 * 60


def finalize_invoice(account: Account, invoice: Json) -> Json:
    """Number and open a draft; one with nothing to collect is paid at once.

    The customer's balance is settled here: a credit is used, a sum below zero becomes a credit, and a sum too small for
    a card is put on the balance until the next invoice.

    :raises StripeRefusal: the invoice is no draft.
    """
    if invoice["status"] != "draft":
        raise StripeRefusal("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    now, customer = account.clock.now(), account.find("customer", invoice["customer"])
    start = customer["balance"]
    owed = invoice["total"] + start
    due, end = (owed, 0) if owed >= smallest_charge(invoice["currency"]) else (0, owed)
    account.save(
        invoice,
        amount_due=due,
        amount_remaining=due,
        effective_at=now,
        ending_balance=end,
        next_payment_attempt=now + WAIT,
        number=account.next_invoice_number(),
        starting_balance=start,
        status="open",
        status_transitions={**invoice["status_transitions"], "finalized_at": now},
        _due_at=now + WAIT,
    )
    if end != start:
        account.save(customer, balance=end)
        account.emit("customer.updated", customer)
    account.emit("invoice.finalized", invoice)
    if due == 0:
        settle_invoice(account, invoice)
    return invoice


def collect_invoice(account: Account, invoice: Json, *, succeeds: bool | None = None, method_id: str = "") -> bool:
    """Try to collect an open invoice and return whether it worked; without ``succeeds`` the customer's card decides."""
    subscription = account.find("subscription", subscription_of(invoice))
    customer = account.find("customer", invoice["customer"])
    settings = customer.get("invoice_settings") or {}
    known = method_id or subscription["default_payment_method"] or settings.get("default_payment_method")
    works = succeeds if succeeds is not None else bool(known) and not customer.get("_declines")
    if works or known:
        method = account.find("payment_method", known) if known else create_method(account, customer["id"])
        _attempt(account, invoice, method, works=works)
    account.save(invoice, attempt_count=invoice["attempt_count"] + 1, attempted=True)
    if works:
        settle_invoice(account, invoice)
    else:
        _plan_retry(account, invoice, subscription)
    return works


def settle_invoice(account: Account, invoice: Json) -> None:
    """Mark an invoice paid; the latest one brings its subscription back to active."""
    moments = {**invoice["status_transitions"], "paid_at": account.clock.now()}
    paid: Json = {"amount_paid": invoice["amount_due"], "amount_remaining": 0, "status": "paid"}
    account.save(invoice, **paid, status_transitions=moments, **_AT_REST)
    account.emit("invoice.paid", invoice)
    account.emit("invoice.payment_succeeded", invoice)
    subscription = account.find("subscription", subscription_of(invoice))
    if subscription["status"] in ("past_due", "incomplete") and _is_latest(account, invoice, subscription["id"]):
        save_subscription(account, subscription, status="active")
        account.emit("customer.subscription.updated", subscription)


def void_invoice(account: Account, invoice: Json) -> Json:
    """Void an open or uncollectible invoice.

    :raises StripeRefusal: it is a draft, paid or void.
    """
    return _end(account, invoice, ("open", "uncollectible"), "void", "voided_at", "invoice.voided")


def give_up_invoice(account: Account, invoice: Json) -> Json:
    """Mark an open invoice uncollectible.

    :raises StripeRefusal: it is not open.
    """
    event = "invoice.marked_uncollectible"
    return _end(account, invoice, ("open",), "uncollectible", "marked_uncollectible_at", event)


def stop_collecting(account: Account, subscription_id: str) -> None:
    """Leave what a canceled subscription still owes as it is: nothing is finalized or tried any more."""
    for invoice in account.store.newest_first("invoice"):
        if subscription_of(invoice) == subscription_id and invoice["status"] in ("draft", "open"):
            account.save(invoice, **_AT_REST)


def subscription_of(invoice: Json) -> str:
    """Return the id of the subscription that an invoice bills."""
    return str(invoice["parent"]["subscription_details"]["subscription"])


def link_payment(account: Account, invoice: Json, intent: Json) -> None:
    """Say which payment intent pays an invoice, and whether it did."""
    known = [row for row in account.store.newest_first("invoice_payment") if row["invoice"] == invoice["id"]]
    is_paid = intent["status"] == "succeeded"
    changes: Json = {
        "amount_paid": intent["amount"] if is_paid else None,
        "status": "paid" if is_paid else "open",
        "status_transitions": {"canceled_at": None, "paid_at": account.clock.now() if is_paid else None},
    }
    if known:
        account.save(known[0], **changes)
        return
    account.create(
        "invoice_payment",
        account.new_id("inpay"),
        amount_requested=intent["amount"],
        currency=intent["currency"],
        invoice=invoice["id"],
        is_default=True,
        payment={"payment_intent": intent["id"], "type": "payment_intent"},
        **changes,
    )


_AT_REST: Json = {"auto_advance": False, "next_payment_attempt": None, "_due_at": None}


def _attempt(account: Account, invoice: Json, method: Json, *, works: bool) -> None:
    """Charge the one payment intent of the invoice, made at the first attempt."""
    known = invoice.get("_intent")
    if known:
        intent = account.find("payment_intent", known)
    else:
        intent = create_intent(account, invoice["amount_due"], invoice["currency"], invoice["customer"])
        account.save(invoice, _intent=intent["id"])
    charge = attempt(account, intent, method, "succeeded" if works else "failed")
    link_payment(account, invoice, intent)
    account.emit("payment_intent.succeeded" if works else "payment_intent.payment_failed", intent)
    account.emit("charge.succeeded" if works else "charge.failed", charge)


def _plan_retry(account: Account, invoice: Json, subscription: Json) -> None:
    first = invoice.get("_first_failure_at") or account.clock.now()
    failures = invoice.get("_failures", 0)
    following = first + RETRY_DAYS[failures] * _DAY if failures < len(RETRY_DAYS) else None
    account.save(
        invoice, next_payment_attempt=following, _due_at=following, _failures=failures + 1, _first_failure_at=first
    )
    account.emit("invoice.payment_failed", invoice)
    if subscription["status"] == "active":
        is_first = invoice["billing_reason"] == "subscription_create"
        save_subscription(account, subscription, status="incomplete" if is_first else "past_due")
        account.emit("customer.subscription.updated", subscription)


def _end(account: Account, invoice: Json, allowed: tuple[str, ...], status: str, moment: str, event: str) -> Json:
    if invoice["status"] not in allowed:
        raise StripeRefusal(f"You can only do this with an invoice that is {' or '.join(allowed)}.")
    moments = {**invoice["status_transitions"], moment: account.clock.now()}
    account.save(invoice, status=status, status_transitions=moments, **_AT_REST)
    account.emit(event, invoice)
    return invoice


def _is_latest(account: Account, invoice: Json, subscription_id: str) -> bool:
    """Whether no younger invoice of the subscription has been finalized."""
    for other in account.store.newest_first("invoice"):
        if subscription_of(other) == subscription_id and other["status"] != "draft":
            return bool(other["id"] == invoice["id"])
    return False
