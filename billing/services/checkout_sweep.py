"""Recovery: what is due is found in Postgres and driven on, by the same functions that requests use.

Two sweepers at once are harmless: a row is claimed by a lease, and every step is a compare-and-swap.
Source: docs/checkout.md, "Recovery".
"""

from datetime import datetime
from typing import Any

import structlog
from django.db.models import Q
from django.db.models.functions import Now

from billing.models import Checkout, PspCall
from billing.services import psp_calls
from billing.services.checkout_compensate import compensate
from billing.services.checkout_handover import record_customer
from billing.services.checkout_late import receive_late_payment
from billing.services.checkout_observe import close, observe, payment_of, return_stray_payment
from billing.services.checkout_settle import look_again
from billing.services.checkout_steps import AFTER_HANDOVER, BEFORE_HANDOVER
from billing.services.psp import Processor, ProcessorNotConfigured, get_processor
from catalyst.core.database import fetch_all, use_case
from catalyst.core.errors import DomainError

log = structlog.get_logger(__name__)

_BATCH = 50
_BACKOFF_SECONDS = 30
#: Looks of the cleaner at an intent without an outcome; after the last one the session's own expiry decides.
_CLEANER_PAUSES = (10, 120, 600)
_AFTER_EXPIRY = 60
_SWEEP_LEASE = 60


def sweep_checkouts(*, owner: str, now: datetime) -> int:
    """Drive on every checkout that is due; return how many were looked at."""
    claimed = _claim_checkouts(owner=owner)
    for checkout_id in claimed:
        checkout = Checkout.objects.select_related("order").get(pk=checkout_id)
        try:
            _drive(checkout, now=now)
            _release(checkout, owner=owner)
        except Exception as error:
            reason = _note_failure("sweep_postponed", error, checkout=str(checkout_id))
            look_again(checkout_id=checkout_id, wait=_BACKOFF_SECONDS, error=reason)
    return len(claimed)


def sweep_psp_calls(*, now: datetime) -> int:
    """The cleaner: end every intent of a dead checkout whose outcome is unknown, by looking at the processor."""
    due = list(
        PspCall.objects.undecided()
        .filter(next_action_at__lte=Now())
        # Only what a dead checkout may have left behind. Everything else is owed until it is done: its owner drives
        # it, and no age makes it "never happened".
        .filter(Q(op__in=["session.create", "coupon.create"], checkout__isnull=False) | Q(op="customer.create"))
        .exclude(checkout__state__in=BEFORE_HANDOVER)
        .select_related("checkout", "organization")
        .order_by("next_action_at")[:_BATCH]
    )
    if not due:
        return 0
    try:
        processor = get_processor()
    except ProcessorNotConfigured:
        return 0
    for call in due:
        try:
            _clean(processor, call, now=now)
        except Exception as error:
            _note_failure("clean_postponed", error, call=call.pk)
            psp_calls.postpone(key=call.idempotency_key, seconds=_BACKOFF_SECONDS)
    return len(due)


def _note_failure(event: str, error: Exception, **subject: Any) -> str:
    """Log why a row has to wait and return the reason; what nobody foresaw is an alarm, and stops no other row."""
    if isinstance(error, DomainError):
        log.warning(event, reason=error.code, **subject)
        return error.code
    log.error(event, reason=type(error).__name__, exc_info=error, alarm=True, **subject)
    return type(error).__name__


@use_case
def _claim_checkouts(*, owner: str) -> list[Any]:
    """Take what is due and nobody's: before the hand-over once the request's lease is over, later when it is time."""
    rows = fetch_all(
        """
        UPDATE billing_checkout SET lease_owner = %s, lease_until = now() + make_interval(secs => %s)
        WHERE id IN (
          SELECT id FROM billing_checkout
          WHERE state NOT IN ('completed', 'compensated', 'lapsed', 'refunded', 'needs_review')
            AND next_action_at <= now() AND (lease_until IS NULL OR lease_until <= now())
          ORDER BY next_action_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED)
        RETURNING id
        """,
        [owner, _SWEEP_LEASE, _BATCH],
    )
    return [row[0] for row in rows]


def _drive(checkout: Checkout, *, now: datetime) -> None:
    if checkout.state in BEFORE_HANDOVER:
        compensate(checkout_id=checkout.pk, reason="crash", actor="sweeper")
        return
    processor = get_processor()
    if checkout.state == "expiring":
        close(processor=processor, checkout=checkout, reason="expiring", actor="sweeper", now=now)
    elif checkout.state in AFTER_HANDOVER:
        observe(processor=processor, checkout=checkout, actor="sweeper", now=now)
    elif checkout.state in ("late_payment", "refunding"):
        _finish_late(processor, checkout, now=now)


def _release(checkout: Checkout, *, owner: str) -> None:
    Checkout.objects.filter(pk=checkout.pk, lease_owner=owner).update(lease_owner=None, lease_until=None)


def _finish_late(processor: Processor, checkout: Checkout, *, now: datetime) -> None:
    session_id = checkout.psp_session_id or _session_seen_late(checkout)
    session = processor.retrieve_session(session_id)
    receive_late_payment(
        processor=processor, checkout_id=checkout.pk, payment=payment_of(session), actor="sweeper", now=now
    )


def _session_seen_late(checkout: Checkout) -> str:
    """A checkout that never handed over has no session of its own; the history names the one that was paid."""
    return str(checkout.events.filter(to_state="late_payment").values_list("reason", flat=True)[0])


def _clean(processor: Processor, call: PspCall, *, now: datetime) -> None:
    looks = {"session.create": _clean_session, "coupon.create": _clean_coupon, "customer.create": _clean_customer}
    look = looks.get(call.op)
    if look is not None and look(processor, call, now):
        return
    age = (now - call.first_sent_at).total_seconds() if call.first_sent_at else 0.0
    ends = _certain_after(call)
    if age > ends:
        psp_calls.resolve(key=call.idempotency_key, state="absent")
        return
    wait = next((pause for pause in _CLEANER_PAUSES if pause > age), ends - age + 1)
    psp_calls.postpone(key=call.idempotency_key, seconds=wait)


def _certain_after(call: PspCall) -> float:
    """Return the age in seconds after which an object that was not found can never appear."""
    expires_at = call.params.get("expires_at") or call.params.get("redeem_by")
    if expires_at and call.first_sent_at:
        return float(expires_at - call.first_sent_at.timestamp() + _AFTER_EXPIRY)
    return float(_CLEANER_PAUSES[-1])


def _clean_session(processor: Processor, call: PspCall, now: datetime) -> bool:
    created_from = int(call.first_sent_at.timestamp()) - 60 if call.first_sent_at else 0
    for session in processor.list_sessions(customer=call.params["customer"], created_from=created_from):
        if session.get("client_reference_id") == call.params["client_reference_id"]:
            if session.get("status") == "open":
                processor.expire_session(session["id"])
            elif session.get("payment_status") == "paid" and call.checkout is not None:
                paid = processor.retrieve_session(session["id"])
                return_stray_payment(
                    processor=processor, checkout=call.checkout, session=paid, actor="sweeper", now=now
                )
            psp_calls.resolve(key=call.idempotency_key, state="voided", object_id=session["id"])
            return True
    return False


def _clean_coupon(processor: Processor, call: PspCall, now: datetime) -> bool:
    if processor.find_coupon(call.params["id"]) is None:
        return False
    processor.delete_coupon(call.params["id"])
    psp_calls.resolve(key=call.idempotency_key, state="voided", object_id=call.params["id"])
    return True


def _clean_customer(processor: Processor, call: PspCall, now: datetime) -> bool:
    created_from = int(call.first_sent_at.timestamp()) - 60 if call.first_sent_at else 0
    for customer in processor.list_customers(email=call.params["email"], created_from=created_from):
        if customer.get("metadata", {}).get("organization") == call.params["metadata"]["organization"]:
            record_customer(organization_id=call.organization_id, customer_id=customer["id"])
            psp_calls.resolve(key=call.idempotency_key, state="succeeded", object_id=customer["id"])
            return True
    return False
