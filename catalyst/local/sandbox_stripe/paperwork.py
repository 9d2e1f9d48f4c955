"""What a payment leaves behind: a customer, the card, a payment intent and one charge per attempt."""

from typing import Any

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.wire import Json

_NOT_SET = ("next_action", "canceled_at", "client_secret", "last_payment_error", "latest_charge", "payment_method")
_DECLINED = {
    "type": "card_error",
    "code": "card_declined",
    "decline_code": "generic_decline",
    "message": "Your card was declined.",
}


def customer_of(account: Account, session: Json) -> str:
    """Return the session's customer, made on the spot when the session has none."""
    if session["customer"]:
        return str(session["customer"])
    thing = account.create(
        "customer", account.new_id("cus"), email=session["customer_email"], metadata={}, balance=0, name=None
    )
    account.emit("customer.created", thing)
    return str(thing["id"])


def create_method(account: Account, customer: str | None, kind: str = "card") -> Json:
    """Create a payment method that belongs to a customer, usually a card."""
    members: Json = {"billing_details": _nobody(), "customer": customer, "metadata": {}, "type": kind}
    if kind == "card":
        members["card"] = {"brand": "visa", "exp_month": 12, "exp_year": 2040, "funding": "credit", "last4": "4242"}
    return account.create("payment_method", account.new_id("pm"), **members)


def create_intent(account: Account, amount: int, currency: str, customer: str | None, **members: Any) -> Json:
    """Create a payment intent without a charge; ``attempt`` makes one."""
    return account.create(
        "payment_intent",
        account.new_id("pi"),
        **{
            **dict.fromkeys(_NOT_SET),
            "amount": amount,
            "amount_capturable": 0,
            "amount_received": 0,
            "capture_method": "automatic",
            "currency": currency,
            "customer": customer,
            "description": None,
            "metadata": {},
            "payment_method_types": ["card"],
            "status": "requires_payment_method",
            **members,
        },
    )


def attempt(account: Account, intent: Json, method: Json, status: str) -> Json:
    """Charge an intent's amount to a payment method: ``succeeded``, ``pending`` or ``failed``; return the charge."""
    is_paid, is_failed = status == "succeeded", status == "failed"
    charge = account.create(
        "charge",
        account.new_id("ch" if method["type"] == "card" else "py"),
        amount=intent["amount"],
        amount_captured=intent["amount"] if is_paid else 0,
        amount_refunded=0,
        balance_transaction=None,
        billing_details=_nobody(),
        captured=not is_failed,
        currency=intent["currency"],
        customer=intent["customer"],
        description=None,
        disputed=False,
        failure_code=_DECLINED["code"] if is_failed else None,
        failure_message=_DECLINED["message"] if is_failed else None,
        metadata={},
        paid=is_paid,
        payment_intent=intent["id"],
        payment_method=method["id"],
        refunded=False,
        status=status,
    )
    account.save(
        intent,
        amount_received=charge["amount_captured"],
        last_payment_error=_DECLINED if is_failed else None,
        latest_charge=charge["id"],
        payment_method=None if is_failed else method["id"],
        status={"succeeded": "succeeded", "pending": "processing", "failed": "requires_payment_method"}[status],
    )
    return charge


def _nobody() -> Json:
    return {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}
