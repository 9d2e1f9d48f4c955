"""The intent of each call to the processor, committed before the request leaves, and its outcome.

Source: docs/checkout.md, "Recovery": an intent without an outcome is ended only by a look-up, never by a guess.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.db.models import QuerySet

from billing.models import PspCall
from billing.services.psp import (
    Deadline,
    Processor,
    ProcessorNotConfigured,
    ProcessorUnavailable,
    get_processor,
    processor_slot,
)
from billing.services.psp_replies import take_reply
from catalyst.core.database import execute
from catalyst.core.errors import DomainError

log = structlog.get_logger(__name__)

_BATCH = 50
_WAIT_SECONDS = 60
_AFTER_FAULT_SECONDS = 300


def record_intent(
    *,
    organization_id: int,
    op: str,
    key: str,
    params: dict[str, Any],
    checkout_id: Any = None,
    invoice_id: int | None = None,
    credit_note_id: int | None = None,
) -> PspCall:
    """Write the intent of one call; a step, call inside a transaction. The same key twice is the same intent."""
    canonical = json.dumps(params, sort_keys=True, separators=(",", ":")).encode()
    execute(
        "INSERT INTO billing_pspcall (organization_id, checkout_id, invoice_id, credit_note_id, op, idempotency_key,"
        " params, params_sha256, state, first_sent_at, next_action_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s, 'requested', now(), now() + interval '90 seconds')"
        " ON CONFLICT (idempotency_key) DO NOTHING",
        [
            organization_id,
            checkout_id,
            invoice_id,
            credit_note_id,
            op,
            key,
            json.dumps(params),
            hashlib.sha256(canonical).digest(),
        ],
    )
    return PspCall.objects.get(idempotency_key=key)


def resolve(*, key: str, state: str, object_id: str | None = None) -> bool:
    """Record a definite outcome of a call, once, with the reply heard; return whether this call changed anything."""
    return bool(
        execute(
            "UPDATE billing_pspcall SET state = %s, object_id = coalesce(object_id, %s), resolved_at = now(),"
            " http_status = coalesce(%s, http_status)"
            " WHERE idempotency_key = %s AND state IN ('requested', 'unknown')",
            [state, object_id, take_reply(key), key],
        )
    )


def mark_unknown(*, key: str, next_in_seconds: int = 10) -> None:
    """Record that the call may or may not have happened; the cleaner looks it up."""
    execute(
        "UPDATE billing_pspcall SET state = 'unknown', next_action_at = now() + make_interval(secs => %s),"
        " http_status = coalesce(%s, http_status)"
        " WHERE idempotency_key = %s AND state IN ('requested', 'unknown')",
        [next_in_seconds, take_reply(key), key],
    )


def postpone(*, key: str, seconds: float) -> None:
    """Look again later."""
    execute(
        "UPDATE billing_pspcall SET next_action_at = now() + make_interval(secs => %s) WHERE idempotency_key = %s",
        [seconds, key],
    )


def drive(
    calls: QuerySet[PspCall], send: Callable[[Processor, PspCall], object], *, deadline: Deadline | None = None
) -> int:
    """Bring undecided calls to an outcome, in the order given; return how many were tried.

    ``send`` records the outcome of one call; one without an answer is asked for again later, with the same key. A
    processor that does not answer is asked nothing more now. What nobody foresaw is an alarm, and stops no other call.
    """
    waiting = list(calls[:_BATCH])
    if not waiting:
        return 0
    try:
        processor = get_processor()
    except ProcessorNotConfigured:
        return 0
    for tried, call in enumerate(waiting):
        if deadline is not None and deadline.left() <= 0:
            return tried
        try:
            send(processor, call)
        except ProcessorUnavailable as error:
            _postpone(call, error)
            return tried + 1
        except Exception as error:
            _postpone(call, error)
    return len(waiting)


def drive_now(calls: QuerySet[PspCall], send: Callable[[Processor, PspCall], object]) -> int:
    """As ``drive`` while a person may wait: in one of the few places for that, and no call begins after its time.

    What is left undone is the sweep's.
    """
    try:
        with processor_slot():
            return drive(calls, send, deadline=Deadline(settings.STRIPE_REQUEST_BUDGET_SECONDS))
    except ProcessorUnavailable:
        return 0


def _postpone(call: PspCall, error: Exception) -> None:
    if isinstance(error, DomainError):
        log.warning("psp_call_postponed", call=call.pk, op=call.op, reason=error.code)
        mark_unknown(key=call.idempotency_key, next_in_seconds=_WAIT_SECONDS)
        return
    reason = type(error).__name__
    log.error("psp_call_failed", call=call.pk, op=call.op, reason=reason, exc_info=error, alarm=True)
    mark_unknown(key=call.idempotency_key, next_in_seconds=_AFTER_FAULT_SECONDS)
