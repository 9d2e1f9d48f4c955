"""T7: money seen on a checkout that was already closed. Complete it if everything still fits, else refund it once.

Source: docs/checkout.md, "After the hand-over", late payment.
"""

from datetime import datetime
from typing import Any

from billing.models import Checkout, Subscription
from billing.services import psp_calls
from billing.services.checkout_sale import record_sale
from billing.services.checkout_settle import Payment, sale_of
from billing.services.checkout_steps import lock_account_of, lock_checkout, move, move_order
from billing.services.psp import Processor
from billing.services.subscription_calls import intend_late_end, send_late_end
from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.failpoints import fp
from tenancy.services.audit import append_audit

_OPEN = ["reserved", "session_requested", "awaiting_payment", "payment_processing", "expiring"]


def receive_late_payment(
    *,
    processor: Processor,
    checkout_id: Any,
    payment: Payment,
    actor: str,
    now: datetime,
    in_review: bool = False,
) -> None:
    """Follow money that came late; safe to repeat. A checkout under review moves only when a person asks.

    :raises ProcessorUnavailable: the refund's outcome is unknown; the same key is used again.
    """
    state = _decide(checkout_id=checkout_id, payment=payment, actor=actor, now=now, in_review=in_review)
    if state == "refunding":
        refund_late(processor=processor, checkout_id=checkout_id, payment=payment, actor=actor)


@use_case
def _decide(*, checkout_id: Any, payment: Payment, actor: str, now: datetime, in_review: bool) -> str:
    """Move to late_payment and on to completed or refunding; return the state."""
    checkout = lock_checkout(checkout_id)
    if checkout.state in ("compensated", "lapsed"):
        move(checkout, "late_payment", actor=actor, reason=payment.session_id)
    if checkout.state != "late_payment" and not (in_review and checkout.state == "needs_review"):
        return str(checkout.state)
    account = lock_account_of(checkout)
    if _can_complete(checkout, available_minor=account.available_minor, frozen=account.frozen_at is not None):
        order = move_order(checkout, "paid")
        sale = sale_of(checkout, order, payment=payment, actor=actor)
        record_sale(account=account, sale=sale, before=[], now=now)
        move(checkout, "completed", actor=actor, reason="late_payment")
        return "completed"
    move(checkout, "refunding", actor=actor, reason="late_payment")
    psp_calls.record_intent(
        organization_id=checkout.organization_id,
        op="refund.create",
        key=f"refund:late:{checkout.pk}",
        params=_refund_params(payment),
        checkout_id=checkout.pk,
    )
    if payment.subscription_id:
        intend_late_end(
            organization_id=checkout.organization_id,
            checkout_id=checkout.pk,
            subscription_id=payment.subscription_id,
        )
    return "refunding"


def refund_late(*, processor: Processor, checkout_id: Any, payment: Payment, actor: str) -> None:
    """Return the card money once and end the processor's subscription; the fixed key makes a repeat harmless."""
    key = f"refund:late:{checkout_id}"
    send_late_end(checkout_id=checkout_id)
    refunds = processor.list_refunds(payment_intent=payment.payment_intent_id)
    fp("refund.late.before_call")
    refund = refunds[0] if refunds else processor.create("refund.create", _refund_params(payment), key=key)
    fp("refund.late.after_call_before_record")
    _record_refund(checkout_id=checkout_id, key=key, refund=refund, actor=actor)


@use_case
def _record_refund(*, checkout_id: Any, key: str, refund: dict[str, Any], actor: str) -> None:
    checkout = lock_checkout(checkout_id)
    if checkout.state != "refunding":
        return
    move(checkout, "refunded", actor=actor, reason=str(refund["id"]))
    psp_calls.resolve(key=key, state="succeeded", object_id=str(refund["id"]))
    stream = f"organization:{checkout.organization_id}"
    append_audit(
        stream=stream,
        actor=actor,
        action="payment.refunded",
        target=f"order:{checkout.order.number}",
        detail={"charge": checkout.charge_minor, "currency": checkout.currency_id, "reason": "late_payment"},
    )
    outbox.publish(
        topic="payment.refunded",
        key=f"payment.refunded:{checkout.pk}",
        stream=stream,
        payload={"order": checkout.order.number, "buyer": checkout.buyer_id, "amount": checkout.charge_minor},
    )


def _refund_params(payment: Payment) -> dict[str, Any]:
    return {"payment_intent": payment.payment_intent_id}


def _can_complete(checkout: Checkout, *, available_minor: int, frozen: bool) -> bool:
    if checkout.handed_over_at is None or frozen or available_minor < checkout.credit_minor:
        return False
    if checkout.change_id is not None:
        # A change was dropped with its checkout, and what it was priced for may be over.
        return False
    same = Checkout.objects.filter(organization_id=checkout.organization_id).exclude(pk=checkout.pk)
    if same.filter(cart_id=checkout.cart_id, state="completed").exists():
        return False
    if same.filter(env_type=checkout.env_type, state__in=_OPEN).exists():
        return False
    live = Subscription.objects.exclude(state=Subscription.State.CANCELED)
    return not live.filter(organization_id=checkout.organization_id, env_type=checkout.env_type).exists()
