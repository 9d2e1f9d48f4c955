"""Ask the processor and follow its answer: the only way in which a handed-over checkout ends.

The request, the webhook and the sweeper all come through ``observe``. Source: docs/checkout.md, "After the hand-over".
"""

from datetime import UTC, datetime
from typing import Any

import structlog
from django.conf import settings
from django.utils.translation import gettext as _

from billing.models import Account, Checkout
from billing.services.checkout_late import receive_late_payment
from billing.services.checkout_session import coupon_id
from billing.services.checkout_settle import Payment, lapse, look_again, note_state, settle
from billing.services.checkout_types import AlreadyPaid
from billing.services.psp import Processor
from billing.services.subscription_calls import send_late_end
from catalyst.core.errors import InvalidTransition
from catalyst.core.failpoints import fp

log = structlog.get_logger(__name__)

_SOON = 300
_PROCESSING_FIRST = 3600
_DAY = 24 * 3600
_FAILED_INTENTS = {"canceled", "requires_payment_method"}


def observe(*, processor: Processor, checkout: Checkout, actor: str, now: datetime, in_review: bool = False) -> None:
    """Retrieve the session and take the step that its state demands. Safe to repeat, and to run twice at once.

    A checkout under review moves only when a person asks (``in_review``).

    :raises ProcessorUnavailable: the processor does not answer; nothing was changed.
    """
    if checkout.psp_session_id is None or (checkout.state == Checkout.State.NEEDS_REVIEW and not in_review):
        return
    session = processor.retrieve_session(checkout.psp_session_id)
    try:
        _follow(processor, checkout, session, actor=actor, now=now, in_review=in_review)
    except InvalidTransition:
        log.info("checkout_moved_meanwhile", checkout=str(checkout.pk))


def close(*, processor: Processor, checkout: Checkout, reason: str, actor: str, now: datetime) -> None:
    """Close a payable session: record the intention, expire it at the processor, follow what the processor says.

    If the shopper paid at the same moment the processor lets one win, and we follow.
    """
    note_state(
        checkout_id=checkout.pk, to="expiring", from_states=("awaiting_payment",), actor=actor, reason=reason, wait=0
    )
    checkout.refresh_from_db()
    if checkout.state == "expiring" and checkout.psp_session_id:
        processor.expire_session(checkout.psp_session_id)
    observe(processor=processor, checkout=checkout, actor=actor, now=now)
    checkout.refresh_from_db()


def ensure_closed(*, processor: Processor, checkout: Checkout, reason: str, actor: str, now: datetime) -> None:
    """Close the session.

    :raises AlreadyPaid: the money had arrived; the order is sold.
    """
    close(processor=processor, checkout=checkout, reason=reason, actor=actor, now=now)
    if checkout.state == Checkout.State.COMPLETED:
        raise AlreadyPaid(_("This order is already paid."), extra={"order": checkout.order.number})


def return_stray_payment(
    *, processor: Processor, checkout: Checkout, session: dict[str, Any], actor: str, now: datetime
) -> None:
    """Return the money of a session that was never handed over, if it is ours at all."""
    mismatch = find_mismatch(checkout, session)
    if mismatch:
        log.error("stray_payment_mismatch", checkout=str(checkout.pk), reason=mismatch, alarm=True)
        return
    payment = payment_of(session)
    receive_late_payment(
        processor=processor,
        checkout_id=checkout.pk,
        payment=payment,
        actor=actor,
        now=now,
    )


def _follow(
    processor: Processor,
    checkout: Checkout,
    session: dict[str, Any],
    *,
    actor: str,
    now: datetime,
    in_review: bool,
) -> None:
    status, paid = session.get("status"), session.get("payment_status") == "paid"
    if status == "complete" and paid:
        _paid(processor, checkout, session, actor=actor, now=now, in_review=in_review)
    elif checkout.state in ("compensated", "lapsed", "late_payment", "refunding"):
        return
    elif status == "complete":
        _unpaid(processor, checkout, session, actor=actor, now=now)
    elif status == "expired":
        if lapse(checkout_id=checkout.pk, reason="session_expired", actor=actor, now=now):
            fp("checkout.T6.after_commit")
            processor.delete_coupon(coupon_id(checkout))
    else:
        look_again(checkout_id=checkout.pk, wait=_SOON if checkout.state != "expiring" else 5)


def _paid(
    processor: Processor,
    checkout: Checkout,
    session: dict[str, Any],
    *,
    actor: str,
    now: datetime,
    in_review: bool,
) -> None:
    mismatch = find_mismatch(checkout, session)
    if mismatch:
        _ask_for_review(checkout, session, mismatch, actor=actor)
        return
    payment = payment_of(session)
    if settle(checkout_id=checkout.pk, payment=payment, actor=actor, now=now):
        fp("checkout.T5.after_commit")
        return
    receive_late_payment(
        processor=processor,
        checkout_id=checkout.pk,
        payment=payment,
        actor=actor,
        now=now,
        in_review=in_review,
    )


def _ask_for_review(checkout: Checkout, session: dict[str, Any], mismatch: str, *, actor: str) -> None:
    """Post nothing and call a person; a checkout that was closed already passes through late_payment."""
    log.error("payment_mismatch", checkout=str(checkout.pk), reason=mismatch, alarm=True)
    note_state(
        checkout_id=checkout.pk,
        to="late_payment",
        from_states=("compensated", "lapsed"),
        actor=actor,
        reason=str(session["id"]),
        wait=0,
    )
    note_state(
        checkout_id=checkout.pk,
        to="needs_review",
        from_states=("awaiting_payment", "payment_processing", "expiring", "late_payment"),
        actor=actor,
        reason=mismatch,
        wait=0,
    )


def _unpaid(processor: Processor, checkout: Checkout, session: dict[str, Any], *, actor: str, now: datetime) -> None:
    """The page was completed with a method that pays later, or that has failed by now."""
    intent_id = payment_of(session).payment_intent_id
    intent = processor.retrieve_intent(intent_id) if intent_id else {}
    if intent.get("status") in _FAILED_INTENTS:
        if checkout.state != "payment_processing":
            _processing(checkout, actor=actor)
        lapse(
            checkout_id=checkout.pk,
            reason="payment_failed",
            actor=actor,
            now=now,
            psp_subscription_id=id_of(session.get("subscription")),
        )
        processor.delete_coupon(coupon_id(checkout))
        send_late_end(checkout_id=checkout.pk)
    elif checkout.state == "payment_processing":
        look_again(checkout_id=checkout.pk, wait=_DAY)
    else:
        _processing(checkout, actor=actor)


def _processing(checkout: Checkout, *, actor: str) -> None:
    note_state(
        checkout_id=checkout.pk,
        to="payment_processing",
        from_states=("awaiting_payment", "expiring"),
        actor=actor,
        reason="paid_later",
        wait=_PROCESSING_FIRST,
    )


def find_mismatch(checkout: Checkout, session: dict[str, Any]) -> str:
    """Return what in a paid session differs from the checkout, or nothing. Metadata grants nothing."""
    customer = Account.objects.values_list("psp_customer_id", flat=True).get(pk=checkout.organization_id)
    expected = {
        "amount_total": checkout.charge_minor,
        "currency": checkout.currency_id.lower(),
        "client_reference_id": str(checkout.pk),
        "livemode": settings.STRIPE_LIVEMODE,
    }
    for name, value in expected.items():
        if session.get(name) != value:
            return f"{name}: {session.get(name)!r} instead of {value!r}"
    if id_of(session.get("customer")) != customer:
        return "customer differs"
    if bool(id_of(session.get("subscription"))) is (checkout.change_id is not None):
        return "subscription where none belongs" if checkout.change_id else "no subscription"
    return ""


def payment_of(session: dict[str, Any]) -> Payment:
    subscription = session.get("subscription")
    invoice = session.get("invoice")
    intent = id_of(session.get("payment_intent"))
    if not intent and isinstance(invoice, dict):
        payments = (invoice.get("payments") or {}).get("data") or [{}]
        intent = id_of((payments[0].get("payment") or {}).get("payment_intent"))
    return Payment(
        session_id=str(session["id"]),
        subscription_id=id_of(subscription),
        payment_intent_id=intent,
        period=_period(subscription if isinstance(subscription, dict) else {}),
    )


def id_of(value: Any) -> str:
    """Return the id of a reference that may be expanded, or an empty string."""
    return str(value.get("id") or "") if isinstance(value, dict) else str(value or "")


def _period(subscription: dict[str, Any]) -> tuple[datetime, datetime] | None:
    items = (subscription.get("items") or {}).get("data") or [{}]
    start, end = items[0].get("current_period_start"), items[0].get("current_period_end")
    if not start or not end:
        return None
    return datetime.fromtimestamp(start, tz=UTC), datetime.fromtimestamp(end, tz=UTC)
