"""What happens to a session after its creation: paid, declined, expired, settled later."""

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.invoice_paper import draft_invoice, item_lines, single_line
from catalyst.local.sandbox_stripe.invoicing import link_payment
from catalyst.local.sandbox_stripe.paperwork import attempt, create_intent, create_method, customer_of
from catalyst.local.sandbox_stripe.subscribing import create_subscription, save_subscription
from catalyst.local.sandbox_stripe.wire import Json


class NotOpen(Exception):
    """The session was paid or expired before."""


def find_open(account: Account, session_id: str) -> Json:
    """Return an open session.

    :raises NotOpen: it is complete or expired.
    """
    session = account.find("checkout.session", session_id)
    if session["status"] != "open":
        raise NotOpen(session["status"])
    return session


def pay_session(account: Account, session_id: str, *, is_async: bool = False) -> Json:
    """Complete an open session as the customer; an asynchronous method is complete but not yet paid.

    :raises NotOpen: it is complete or expired.
    """
    with account.store.transaction():
        session = find_open(account, session_id)
        if session["mode"] == "setup":
            return _save_card(account, session)
        customer = customer_of(account, session)
        is_free = session["amount_total"] == 0
        is_pending = is_async and not is_free
        # Stripe keeps a card for the renewals even when nothing is due now.
        method = create_method(account, customer, "sepa_debit" if is_pending else "card")
        intent = None if is_free else _pay(account, session, customer, method, is_pending=is_pending)
        changes: Json = {"customer": customer, "status": "complete", "url": None}
        if not is_free:
            changes["payment_status"] = "unpaid" if is_pending else "paid"
        if session["mode"] == "subscription":
            changes |= _subscribe(account, session, customer, method, intent)
        elif intent:
            changes["payment_intent"] = intent["id"]
        _use_coupon(account, session)
        settle_at = None
        if is_pending and account.async_delay is not None:
            settle_at = account.clock.now() + account.async_delay
        account.save(session, settle_at, **changes, _intent=intent["id"] if intent else None)
        account.emit("checkout.session.completed", session)
        if not is_pending:
            _emit_paid(account, session)
        return session


def _pay(account: Account, session: Json, customer: str, method: Json, *, is_pending: bool) -> Json:
    data = session["_payment_intent_data"]
    intent = create_intent(
        account,
        session["amount_total"],
        session["currency"],
        customer,
        description=data.get("description"),
        metadata=data.get("metadata", {}),
        payment_method_types=session["payment_method_types"],
    )
    attempt(account, intent, method, "pending" if is_pending else "succeeded")
    return intent


def _subscribe(account: Account, session: Json, customer: str, method: Json, intent: Json | None) -> Json:
    """Create the subscription and its first invoice, open or paid as its payment is."""
    data = session["_subscription_data"]
    recurring = [line for line in session["_line_items"] if line["price"]["recurring"]]
    wishes = {name: data[name] for name in ("billing_mode", "description", "metadata") if name in data}
    subscription = create_subscription(account, customer, recurring, default_payment_method=method["id"], **wishes)
    once = [single_line(account, line) for line in session["_line_items"] if not line["price"]["recurring"]]
    discount = session["total_details"]["amount_discount"]
    lines = [*item_lines(account, subscription), *once]
    invoice = draft_invoice(account, subscription, lines, "subscription_create", discount=discount)
    _open_first_invoice(account, invoice, is_paid=intent is None or intent["status"] == "succeeded")
    if intent is not None:
        link_payment(account, invoice, intent)
    save_subscription(account, subscription, latest_invoice=invoice["id"])
    account.emit("customer.subscription.created", subscription)
    account.emit("invoice.created", invoice)
    account.emit("invoice.finalized", invoice)
    return {"subscription": subscription["id"], "invoice": invoice["id"]}


def _open_first_invoice(account: Account, invoice: Json, *, is_paid: bool) -> None:
    now, paid = account.clock.now(), invoice["total"] if is_paid else 0
    account.save(
        invoice,
        amount_paid=paid,
        amount_remaining=invoice["total"] - paid,
        attempt_count=1,
        attempted=True,
        auto_advance=False,
        effective_at=now,
        number=account.next_invoice_number(),
        status="paid" if is_paid else "open",
        status_transitions={
            **invoice["status_transitions"],
            "finalized_at": now,
            "paid_at": now if is_paid else None,
        },
    )


def _save_card(account: Account, session: Json) -> Json:
    """Keep the card for later: it belongs to the customer, but nothing uses it until somebody says so."""
    customer = customer_of(account, session)
    method = create_method(account, customer)
    intent = account.find("setup_intent", session["setup_intent"])
    account.save(intent, customer=customer, payment_method=method["id"], status="succeeded")
    account.save(session, customer=customer, status="complete", url=None)
    account.emit("payment_method.attached", method)
    account.emit("setup_intent.succeeded", intent)
    account.emit("checkout.session.completed", session)
    return session


def settle_async(account: Account, session_id: str, *, succeeded: bool) -> Json:
    """Let the asynchronous payment of a complete session succeed or fail.

    :raises NotOpen: the session waits for no payment.
    """
    with account.store.transaction():
        session = account.find("checkout.session", session_id)
        if session["status"] != "complete" or session["payment_status"] != "unpaid" or session.get("_has_failed"):
            raise NotOpen(session["payment_status"])
        intent = account.find("payment_intent", session["_intent"])
        charge = account.find("charge", intent["latest_charge"])
        if succeeded:
            account.save(charge, status="succeeded", paid=True, amount_captured=charge["amount"])
            account.save(intent, status="succeeded", amount_received=intent["amount"])
            _settle_invoice(account, session)
            account.save(session, payment_status="paid")
            account.emit("checkout.session.async_payment_succeeded", session)
            _emit_paid(account, session)
        else:
            account.save(charge, status="failed", failure_code="generic_decline", failure_message="The payment failed.")
            account.save(intent, status="requires_payment_method")
            account.save(session, _has_failed=True)
            _fail_subscription(account, session)
            account.emit("payment_intent.payment_failed", intent)
            account.emit("checkout.session.async_payment_failed", session)
        return session


def expire_session(account: Account, session: Json) -> Json:
    """Close an open session; nobody can pay it any more."""
    with account.store.transaction():
        account.save(session, status="expired", url=None)
        account.emit("checkout.session.expired", session)
        return session


def _use_coupon(account: Account, session: Json) -> None:
    for discount in session["discounts"]:
        # A coupon deleted meanwhile still counts for sessions that already carry it.
        if coupon := account.store.get("coupon", discount["coupon"]):
            account.save(coupon, times_redeemed=coupon["times_redeemed"] + 1)


def _settle_invoice(account: Account, session: Json) -> None:
    if not session["invoice"]:
        return
    invoice, now = account.find("invoice", session["invoice"]), account.clock.now()
    transitions = {**invoice["status_transitions"], "paid_at": now}
    account.save(
        invoice, status="paid", amount_paid=invoice["total"], amount_remaining=0, status_transitions=transitions
    )
    link_payment(account, invoice, account.find("payment_intent", session["_intent"]))


def _fail_subscription(account: Account, session: Json) -> None:
    if not session["subscription"]:
        return
    subscription = account.find("subscription", session["subscription"])
    save_subscription(account, subscription, status="past_due")
    account.emit("customer.subscription.updated", subscription)
    account.emit("invoice.payment_failed", account.find("invoice", session["invoice"]))


def _emit_paid(account: Account, session: Json) -> None:
    if session["_intent"]:
        intent = account.find("payment_intent", session["_intent"])
        account.emit("payment_intent.succeeded", intent)
        account.emit("charge.succeeded", account.find("charge", intent["latest_charge"]))
    if session["invoice"]:
        invoice = account.find("invoice", session["invoice"])
        account.emit("invoice.paid", invoice)
        account.emit("invoice.payment_succeeded", invoice)
