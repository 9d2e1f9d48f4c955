"""Refunds and disputes need no webhook and no luck: what has no outcome yet is asked about until it has one."""

from datetime import datetime, timedelta

import structlog
from django.db.models.functions import Now

from billing.models import CreditNote, Dispute, PspCall
from billing.services.disputes import follow_dispute
from billing.services.psp import ProcessorNotConfigured, ProcessorUnavailable, get_processor
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
    for note_id in ids:
        try:
            send_refund(note_id=int(note_id or 0), now=now)
        except Exception as error:
            # What nobody foresaw stops no other refund.
            log.error("refund_not_sent", credit_note=note_id, exc_info=error, alarm=True)
    return len(ids)


def follow_pending_refunds(*, now: datetime) -> int:
    """Ask about every refund that the processor had accepted and not finished; return how many were asked about."""
    waiting = CreditNote.objects.filter(state=CreditNote.State.REFUND_PENDING, psp_refund_id__isnull=False)
    ids = list(waiting.order_by("pk").values_list("psp_refund_id", flat=True))
    if not ids:
        return 0
    try:
        processor = get_processor()
        for refund_id in ids:
            follow_refund(processor, str(refund_id), actor="sweeper", now=now)
    except (ProcessorNotConfigured, ProcessorUnavailable) as error:
        log.warning("refunds_not_followed", reason=error.code)
    return len(ids)


def sweep_disputes(*, now: datetime) -> int:
    """Follow every dispute that is open here and every new one there; return how many were asked about."""
    try:
        processor = get_processor()
        ids = set(Dispute.objects.filter(state=Dispute.State.OPEN).values_list("psp_dispute_id", flat=True))
        since = int((now - _NEW_DISPUTES).timestamp())
        ids.update(str(dispute["id"]) for dispute in processor.list_disputes(created_from=since))
        for dispute_id in sorted(ids):
            follow_dispute(processor, dispute_id, actor="sweeper", now=now)
    except (ProcessorNotConfigured, ProcessorUnavailable) as error:
        log.warning("disputes_not_followed", reason=error.code)
        return 0
    return len(ids)
