"""What the processor must be told about a subscription: an intent in the transaction that decides, the call after it.

Unknown is not failed: an intent without an outcome is sent again, with the same key, until the processor answers.
Both calls name a state to be in, so sending one again is harmless even after the processor forgot its key (24 hours).
"""

from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from billing.models import PspCall, Subscription
from billing.services import psp_calls
from billing.services.psp import Processor, ProcessorRejected
from catalyst.core.failpoints import fp
from catalyst.core.incidents import open_incident

END = "subscription.cancel"
ENDING = "subscription.update"
#: Both keys begin alike, so that nobody else's update of a subscription is taken for one of these.
_ENDING_KEY = "subscription.ending:"

#: Calls that this module drives.
_MINE = Q(op=END) | Q(op=ENDING, idempotency_key__startswith=_ENDING_KEY)


def intend_end(subscription: Subscription) -> None:
    """Write down that the processor has to end it; a step. The same subscription twice is the same intent."""
    _forget_wishes(subscription)
    psp_calls.record_intent(
        organization_id=subscription.organization_id,
        op=END,
        key=f"cancel:sub:{subscription.pk}",
        params={"subscription": subscription.psp_subscription_id},
    )


def intend_late_end(*, organization_id: int, checkout_id: Any, subscription_id: str) -> None:
    """Write down that what the processor opened for a checkout that sold nothing has to end; a step."""
    psp_calls.record_intent(
        organization_id=organization_id,
        op=END,
        key=f"cancel:late:{checkout_id}",
        params={"subscription": subscription_id},
        checkout_id=checkout_id,
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
    open_calls = PspCall.objects.undecided().filter(op=ENDING, idempotency_key__startswith=prefix)
    open_calls.update(state="voided", resolved_at=Now())


def send_calls(*, organization_id: int) -> None:
    """Send what one Organization's subscriptions wait for, now; what gets no answer is the sweep's."""
    psp_calls.drive_now(_due(_MINE, organization_id=organization_id), _send)


def send_late_end(*, checkout_id: Any) -> None:
    """End now what a checkout left open at the processor; what gets no answer is the sweep's."""
    psp_calls.drive_now(_due(op=END, checkout_id=checkout_id), _send)


def sweep_calls() -> int:
    """Send every call that is due; return how many were tried."""
    return psp_calls.drive(_due(_MINE, next_action_at__lte=Now()), _send)


def _due(*conditions: Q, **filters: Any) -> QuerySet[PspCall]:
    return PspCall.objects.undecided().filter(*conditions, **filters).order_by("next_action_at")


def _send(processor: Processor, call: PspCall) -> None:
    fp("subscription.call.before_call")
    subscription_id = str(call.params["subscription"])
    state = "succeeded"
    try:
        if call.op == END:
            processor.cancel_subscription(subscription_id, key=call.idempotency_key)
        else:
            processor.create(call.op, call.params, key=call.idempotency_key)
    except ProcessorRejected as error:
        # It bills on, or stops, against the customer's wish: that is for a person.
        state = "rejected"
        open_incident(kind="subscription_call_rejected", subject=call.idempotency_key, detail=error.message)
    fp("subscription.call.after_call_before_record")
    psp_calls.resolve(key=call.idempotency_key, state=state, object_id=subscription_id)
