"""Refunds and disputes need no webhook and no luck: what has no outcome yet is asked about until it has one."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.db.models.functions import Now

from billing.models import CreditNote, Dispute, PspCall
from billing.services.disputes import follow_dispute
from billing.services.psp import (
    Processor,
    ProcessorNotConfigured,
    ProcessorRejected,
    ProcessorUnavailable,
    get_processor,
)
from billing.services.refund_calls import OP, follow_refund, send_refund

log = structlog.get_logger(__name__)

_BATCH = 50
#: How far back new disputes are looked for; older ones would have been seen by an earlier sweep.
_NEW_DISPUTES = timedelta(days=3)


def sweep_refunds(*, now: datetime) -> int:
    """Send every card refund that is due; return how many were tried."""
    due = PspCall.objects.filter(
        op=OP, credit_note__isnull=False, state__in=["requested", "unknown"], next_action_at__lte=Now()
    )
    ids = list(due.order_by("next_action_at").values_list("credit_note_id", flat=True)[:_BATCH])
    return _each(ids, lambda note_id: send_refund(note_id=note_id, now=now), refused="refund_not_sent")


def follow_pending_refunds(*, now: datetime) -> int:
    """Ask about every refund that the processor had accepted and not finished; return how many were asked about."""
    waiting = CreditNote.objects.filter(state=CreditNote.State.REFUND_PENDING, psp_refund_id__isnull=False)
    ids = list(waiting.order_by("pk").values_list("psp_refund_id", flat=True))
    processor = _processor() if ids else None
    if processor is None:
        return 0
    follow = partial(follow_refund, processor, actor="sweeper", now=now)
    return _each(ids, follow, refused="refund_not_followed")


def sweep_disputes(*, now: datetime) -> int:
    """Follow every dispute that is open here and every new one there; return how many were asked about."""
    processor = _processor()
    if processor is None:
        return 0
    ids = set(Dispute.objects.filter(state=Dispute.State.OPEN).values_list("psp_dispute_id", flat=True))
    since = int((now - _NEW_DISPUTES).timestamp())
    try:
        ids.update(str(dispute["id"]) for dispute in processor.list_disputes(created_from=since))
    except (ProcessorUnavailable, ProcessorNotConfigured, ProcessorRejected) as error:
        # Those that are known are followed all the same.
        log.warning("new_disputes_not_read", reason=error.code)
    follow = partial(follow_dispute, processor, actor="sweeper", now=now)
    return _each(sorted(ids), follow, refused="dispute_not_followed")


def _processor() -> Processor | None:
    try:
        return get_processor()
    except ProcessorNotConfigured as error:
        log.warning("processor_not_asked", reason=error.code)
        return None


def _each(ids: Iterable[object], act: Callable[[Any], object], *, refused: str) -> int:
    """Act on every one, whatever happens to those before it; return how many were tried."""
    tried = 0
    for each in ids:
        tried += 1
        try:
            act(each)
        except (ProcessorUnavailable, ProcessorNotConfigured) as error:
            log.warning(refused, subject=each, reason=error.code)
        except Exception as error:
            # What nobody foresaw, and what the processor refuses, stops no other.
            log.error(refused, subject=each, exc_info=error, alarm=True)
    return tried
