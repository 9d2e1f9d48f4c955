"""What the processor must be told about a subscription: an intent in the transaction that decides, the call after it.

Unknown is not failed: an intent without an outcome is sent again, with the same key, until the processor answers.
Both calls name a state to be in, so sending one again is harmless even after the processor forgot its key (24 hours).
"""

import structlog
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from billing.models import PspCall, Subscription
from billing.services import psp_calls
from billing.services.psp import (
    Processor,
    ProcessorNotConfigured,
    ProcessorRejected,
    get_processor,
)
from catalyst.core.errors import DomainError
from catalyst.core.failpoints import fp
from catalyst.core.incidents import open_incident

log = structlog.get_logger(__name__)

END = "subscription.cancel"
ENDING = "subscription.update"
#: Both keys begin alike, so that nobody else's update of a subscription is taken for one of these.
_ENDING_KEY = "subscription.ending:"
_BATCH = 50
_WAIT_SECONDS = 60
_AFTER_FAULT_SECONDS = 300

#: Calls that this module drives, for the sweep and for the cleaner of other calls to leave alone.
MINE = Q(op=END) | Q(op=ENDING, idempotency_key__startswith=_ENDING_KEY)


def intend_end(subscription: Subscription) -> None:
    """Write down that the processor has to end it; a step. The same subscription twice is the same intent."""
    _forget_wishes(subscription)
    psp_calls.record_intent(
        organization_id=subscription.organization_id,
        op=END,
        key=f"cancel:sub:{subscription.pk}",
        params={"subscription": subscription.psp_subscription_id},
    )


def intend_ending(subscription: Subscription, *, ends: bool, number: int) -> None:
    """Write down that the processor has to bill no more after this period, or again; a step.

    ``number`` makes the key new for every change of mind. An older one that is not sent yet is void: sent late, it
    would undo this one.
    """
    _forget_wishes(subscription)
    psp_calls.record_intent(
        organization_id=subscription.organization_id,
        op=ENDING,
        key=f"{_ENDING_KEY}{subscription.pk}:{number}",
        params={"subscription": subscription.psp_subscription_id, "cancel_at_period_end": ends},
    )


def _forget_wishes(subscription: Subscription) -> None:
    prefix = f"{_ENDING_KEY}{subscription.pk}:"
    open_calls = PspCall.objects.filter(op=ENDING, state__in=["requested", "unknown"])
    open_calls.filter(idempotency_key__startswith=prefix).update(state="voided", resolved_at=Now())


def send_calls(*, organization_id: int) -> None:
    """Send what one Organization's subscriptions wait for, now; what gets no answer is the sweep's."""
    _send(PspCall.objects.filter(MINE, organization_id=organization_id))


def sweep_calls() -> int:
    """Send every call that is due; return how many were tried."""
    return _send(PspCall.objects.filter(MINE, next_action_at__lte=Now()))


def _send(calls: QuerySet[PspCall]) -> int:
    waiting = list(calls.filter(state__in=["requested", "unknown"]).order_by("next_action_at")[:_BATCH])
    if not waiting:
        return 0
    try:
        processor = get_processor()
    except ProcessorNotConfigured:
        return 0
    for call in waiting:
        try:
            _send_one(processor, call)
        except Exception as error:
            _note(call, error)
    return len(waiting)


def _send_one(processor: Processor, call: PspCall) -> None:
    fp("subscription.call.before_call")
    subscription_id = str(call.params["subscription"])
    state = "succeeded"
    if call.op == END:
        # One that is gone already is success: the processor's client says so.
        processor.cancel_subscription(subscription_id, key=call.idempotency_key)
    else:
        try:
            processor.create(call.op, call.params, key=call.idempotency_key)
        except ProcessorRejected as error:
            # It bills on, or stops, against the customer's wish: that is for a person.
            state = "rejected"
            open_incident(kind="subscription_call_rejected", subject=call.idempotency_key, detail=error.message)
    fp("subscription.call.after_call_before_record")
    psp_calls.resolve(key=call.idempotency_key, state=state, object_id=subscription_id)


def _note(call: PspCall, error: Exception) -> None:
    """An answer that did not come is asked for again; what nobody foresaw is an alarm, and stops no other call."""
    if isinstance(error, DomainError):
        log.warning("subscription_call_postponed", call=call.pk, reason=error.code)
        psp_calls.mark_unknown(key=call.idempotency_key, next_in_seconds=_WAIT_SECONDS)
        return
    log.error("subscription_call_failed", call=call.pk, reason=type(error).__name__, exc_info=error, alarm=True)
    psp_calls.mark_unknown(key=call.idempotency_key, next_in_seconds=_AFTER_FAULT_SECONDS)
