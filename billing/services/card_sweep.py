"""No event is needed for a renewal by card to be right: what should have happened by now is asked about.

Source: docs/card-renewals.md.
"""

from datetime import UTC, datetime, timedelta

import structlog
from django.db.models import F, Q
from django.db.models.functions import Upper

from billing.models import Invoice, Subscription
from billing.services.card_bills import moment, read_bill
from billing.services.card_renewals import follow_invoice, follow_subscription
from billing.services.psp import Processor, ProcessorNotConfigured, get_processor
from catalyst.core.errors import DomainError

log = structlog.get_logger(__name__)

#: The processor drafts an invoice within minutes of a period's end and finalizes it an hour later: a look in between
#: still brings the credit in.
_FIRST_LOOK = timedelta(minutes=10)
_AGAIN = timedelta(hours=1)
_BATCH = 100


def sweep_card_renewals(*, now: datetime) -> int:
    """Ask the processor about every card subscription whose period is over; return how many were looked at."""
    due = _due(now=now)
    if not due:
        return 0
    try:
        processor = get_processor()
    except ProcessorNotConfigured:
        return 0
    for subscription in due:
        try:
            follow_all(processor, subscription, now=now)
        except Exception as error:
            # One row stops no other; it is looked at again at the next sweep.
            foreseen = isinstance(error, DomainError)
            log.error("card_renewal_postponed", subscription=subscription.pk, exc_info=error, alarm=not foreseen)
    return len(due)


def follow_all(processor: Processor, subscription: Subscription, *, now: datetime) -> None:
    """Follow everything of one card subscription: what is open here, the processor's state, periods nobody told us of.

    :raises ProcessorUnavailable: no answer; look again.
    """
    theirs = str(subscription.psp_subscription_id)
    waiting = Invoice.objects.filter(subscription=subscription, psp_invoice_id__isnull=False)
    for psp_invoice_id in waiting.filter(state__in=["draft", "open"]).values_list("psp_invoice_id", flat=True):
        follow_invoice(processor, str(psp_invoice_id), actor="sweeper", now=now)
    for psp_invoice_id in _untold(processor, subscription):
        follow_invoice(processor, psp_invoice_id, actor="sweeper", now=now)
    follow_subscription(processor, theirs, actor="sweeper", now=now)


def _due(*, now: datetime) -> list[Subscription]:
    over = Subscription.objects.filter(collection=Subscription.Collection.CARD).exclude(state="canceled")
    over = over.annotate(ends=Upper("current_period")).filter(ends__lt=now - _FIRST_LOOK)
    unseen = Q(psp_seen_at=None) | Q(psp_seen_at__lt=now - _AGAIN) | Q(psp_seen_at__lt=F("ends") + _FIRST_LOOK)
    return list(over.filter(unseen).order_by(F("psp_seen_at").asc(nulls_first=True))[:_BATCH])


def _untold(processor: Processor, subscription: Subscription) -> list[str]:
    """Return the invoices of periods after the paid one that are not known here, oldest first.

    The latest one is found through its subscription; only when the processor is further ahead is the list read.
    """
    theirs = processor.retrieve_subscription(str(subscription.psp_subscription_id))
    items = (theirs.get("items") or {}).get("data") or []
    paid_until = subscription.current_period.upper
    if not items or moment(items[0]["current_period_start"]) <= paid_until + timedelta(seconds=1):
        return []
    found = []
    for invoice in processor.list_invoices(created_from=int(paid_until.astimezone(UTC).timestamp()) - 3600):
        bill = read_bill(invoice)
        if bill.subscription_id == subscription.psp_subscription_id:
            found.append(bill.id)
    return found[::-1]
