"""What happens to a session after its creation: paid, declined, expired, settled later."""

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.paperwork import (
    create_customer_for,
    create_intent,
    create_invoice,
    create_subscription,
)
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
        customer = create_customer_for(account, session)
        is_free = session["amount_total"] == 0
        is_pending = is_async and not is_free
        intent = None if is_free else create_intent(account, session, customer, is_paid=not is_pending)
        changes: Json = {"customer": customer, "status": "complete", "url": None}
        if not is_free:
            changes["payment_status"] = "unpaid" if is_pending else "paid"
        if session["mode"] == "subscription":
            subscription = create_subscription(account, session, customer)
            invoice = create_invoice(account, session, subscription, intent)
            account.save(subscription, latest_invoice=invoice["id"])
            changes |= {"subscription": subscription["id"], "invoice": invoice["id"]}
            account.emit("customer.subscription.created", subscription)
            account.emit("invoice.created", invoice)
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


def run_due(account: Account) -> int:
    """Do what the clock has made due, and return how many things that was."""
    with account.store.transaction():
        due = account.store.due(account.clock.now())
        for session in due:
            if session["status"] == "open":
                expire_session(account, session)
            else:
                settle_async(account, session["id"], succeeded=True)
        return len(due)


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
    for payment in account.store.newest_first("invoice_payment"):
        if payment["invoice"] == invoice["id"]:
            moments = {**payment["status_transitions"], "paid_at": now}
            account.save(payment, status="paid", amount_paid=payment["amount_requested"], status_transitions=moments)


def _fail_subscription(account: Account, session: Json) -> None:
    if not session["subscription"]:
        return
    subscription = account.find("subscription", session["subscription"])
    account.save(subscription, status="past_due")
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
