"""Which function follows which kind of event. Each asks the processor about the object and compares states.

A type that is not in the table is stored and ignored. Source: docs/checkout.md, "Webhook inbox".
"""

from datetime import datetime
from typing import Any, Protocol

from django.core.exceptions import ValidationError

from billing.models import Checkout
from billing.services.card_renewals import follow_invoice, follow_subscription
from billing.services.cards import follow_card_session
from billing.services.checkout_observe import observe, return_stray_payment
from billing.services.checkout_steps import BEFORE_HANDOVER
from billing.services.disputes import follow_dispute
from billing.services.psp import Processor
from billing.services.refund_calls import follow_charge, follow_refund


class Follower(Protocol):
    """Follow one object of the processor; return whether it is about something of ours. Safe to repeat."""

    def __call__(self, processor: Processor, object_id: str, /, *, actor: str, now: datetime) -> bool: ...


def follow_session(processor: Processor, object_id: str, *, actor: str, now: datetime) -> bool:
    """Follow one card page: a checkout's, or the one on which an Organization changes its card."""
    session = processor.retrieve_session(object_id)
    if session.get("mode") == "setup":
        return follow_card_session(processor, session, actor=actor, now=now)
    checkout = _find_checkout(session)
    if checkout is None:
        return False
    if checkout.psp_session_id == session["id"]:
        observe(processor=processor, checkout=checkout, actor=actor, now=now)
    elif session.get("payment_status") == "paid":
        # Nobody was shown this session. While its attempt is undecided the money waits: only a dead one returns it.
        if checkout.state in BEFORE_HANDOVER:
            return False
        return_stray_payment(processor=processor, checkout=checkout, session=session, actor=actor, now=now)
    return True


def _find_checkout(session: dict[str, Any]) -> Checkout | None:
    by_session = Checkout.objects.select_related("order").filter(psp_session_id=session["id"]).first()
    if by_session is not None:
        return by_session
    try:
        return Checkout.objects.select_related("order").filter(pk=session.get("client_reference_id") or "").first()
    except ValidationError:  # the reference is somebody else's text
        return None


FOLLOWERS: dict[str, Follower] = {
    "checkout.session.completed": follow_session,
    "checkout.session.expired": follow_session,
    "checkout.session.async_payment_succeeded": follow_session,
    "checkout.session.async_payment_failed": follow_session,
    "invoice.created": follow_invoice,
    "invoice.paid": follow_invoice,
    "invoice.payment_failed": follow_invoice,
    "invoice.voided": follow_invoice,
    "invoice.marked_uncollectible": follow_invoice,
    "customer.subscription.updated": follow_subscription,
    "customer.subscription.deleted": follow_subscription,
    "charge.refunded": follow_charge,
    "refund.updated": follow_refund,
    "refund.failed": follow_refund,
    "charge.dispute.created": follow_dispute,
    "charge.dispute.closed": follow_dispute,
}
