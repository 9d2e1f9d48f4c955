"""What the processor must be told when a card was saved, and what was left open when a process died in between.

Every call stands in Postgres before it is sent, and is sent again with the same key until there is an outcome.
"""

from datetime import datetime, timedelta

import structlog
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from billing.models import PspCall
from billing.services import card_adoption, psp_calls
from billing.services.card_credit import has_outlived_key
from billing.services.card_renewals import follow_invoice
from billing.services.psp import Processor, ProcessorNotConfigured, ProcessorRejected, get_processor
from catalyst.core.errors import DomainError
from catalyst.core.failpoints import fp
from catalyst.core.incidents import open_incident

log = structlog.get_logger(__name__)

#: Calls that a saved card causes for what is billed by card already.
CARD = Q(op__in=["customer.update", "subscription.update", "invoice.pay"], idempotency_key__startswith="card:")
#: Pages whose address nobody was shown: they close by themselves and have no effect.
_PAGES = Q(op="session.create", idempotency_key__startswith="card:") | Q(op="portal.create")
_CREDIT = Q(op="invoice_item.create")
_MINE = CARD | card_adoption.MINE
_BATCH = 50
_WAIT_SECONDS = 60
_AFTER_FAULT_SECONDS = 300
_PAGE_FORGOTTEN = timedelta(minutes=10)


def send_calls(processor: Processor, *, organization_id: int, now: datetime) -> None:
    """Send what one Organization's card has caused, now; what gets no answer is the sweep's."""
    _each(processor, PspCall.objects.filter(_MINE, organization_id=organization_id), now=now)


def sweep_card_calls(*, now: datetime) -> int:
    """Bring every call about cards that is due to an outcome; return how many were tried."""
    due = PspCall.objects.filter(next_action_at__lte=Now())
    due.filter(_PAGES, state__in=["requested", "unknown"], first_sent_at__lt=Now() - _PAGE_FORGOTTEN).update(
        state="absent", resolved_at=Now()
    )
    try:
        processor = get_processor()
    except ProcessorNotConfigured:
        return 0
    return _each(processor, due.filter(_MINE | _CREDIT), now=now)


def _each(processor: Processor, calls: QuerySet[PspCall], *, now: datetime) -> int:
    # In the order of the intents: the customer's default first, then subscriptions, then what is due.
    waiting = list(calls.filter(state__in=["requested", "unknown"]).order_by("pk")[:_BATCH])
    for call in waiting:
        try:
            _send(processor, call, now=now)
        except Exception as error:
            _note(call, error)
    return len(waiting)


def _send(processor: Processor, call: PspCall, *, now: datetime) -> None:
    if call.op == "invoice_item.create":
        follow_invoice(processor, str(call.params["invoice"]), actor="sweeper", now=now)
    elif call.op == "subscription.create":
        card_adoption.adopt(processor, call, now=now)
    else:
        _tell(processor, call, now=now)


def _tell(processor: Processor, call: PspCall, *, now: datetime) -> None:
    """Send one call that names a state to be in, so that a repetition at any age does no harm."""
    state = "succeeded"
    fp("card.tell.before_call")
    try:
        if call.op == "invoice.pay" and has_outlived_key(call):
            state = "absent"
        else:
            processor.create(call.op, call.params, key=call.idempotency_key)
    except ProcessorRejected as error:
        state = "rejected"
        if call.op == "customer.update":
            open_incident(kind="card_not_saved", subject=call.idempotency_key, detail=str(error.extra))
    fp("card.tell.after_call_before_record")
    psp_calls.resolve(key=call.idempotency_key, state=state)
    if call.op == "invoice.pay":
        follow_invoice(processor, str(call.params["invoice"]), actor="card", now=now)


def _note(call: PspCall, error: Exception) -> None:
    """An answer that did not come is asked for again; what nobody foresaw is an alarm, and stops no other call."""
    if isinstance(error, DomainError):
        log.warning("card_call_postponed", call=call.pk, reason=error.code)
        psp_calls.mark_unknown(key=call.idempotency_key, next_in_seconds=_WAIT_SECONDS)
        return
    log.error("card_call_failed", call=call.pk, reason=type(error).__name__, exc_info=error, alarm=True)
    psp_calls.mark_unknown(key=call.idempotency_key, next_in_seconds=_AFTER_FAULT_SECONDS)
