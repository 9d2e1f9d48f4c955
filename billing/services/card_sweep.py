"""No event is needed for a renewal by card to be right: what should have happened by now is asked about.

Source: docs/card-renewals.md.
"""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import F, Q
from django.db.models.functions import Upper

from billing.models import Invoice, Subscription
from billing.services.card_bills import moment
from billing.services.card_renewals import follow_invoice, follow_seen_subscription
from billing.services.psp import Processor, ProcessorNotConfigured, ProcessorUnavailable, get_processor
from catalyst.core.errors import DomainError

log = structlog.get_logger(__name__)

#: The processor drafts an invoice within minutes of a period's end and finalizes it an hour later: a look in between
#: still brings the credit in.
_FIRST_LOOK = timedelta(minutes=10)
_AGAIN = timedelta(hours=1)
_AFTER_FAILURE = timedelta(minutes=5)
_BATCH = 100
_MARGIN_SECONDS = 3600


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
            foreseen = isinstance(error, DomainError)
            log.error("card_renewal_postponed", subscription=subscription.pk, exc_info=error, alarm=not foreseen)
            _step_aside(subscription, now=now)
            if isinstance(error, ProcessorUnavailable):
                break
    return len(due)


def _step_aside(subscription: Subscription, *, now: datetime) -> None:
    """Let one that could not be followed wait behind all others that are due; its turn comes again in minutes."""
    seen_at = now - _AGAIN + _AFTER_FAILURE
    unseen = Q(psp_seen_at=None) | Q(psp_seen_at__lt=seen_at)
    Subscription.objects.filter(unseen, pk=subscription.pk).update(psp_seen_at=seen_at)


def follow_all(processor: Processor, subscription: Subscription, *, now: datetime) -> None:
    """Follow everything of one card subscription: what is open here, the processor's state, periods nobody told us of.

    :raises ProcessorUnavailable: no answer; look again.
    """
    waiting = Invoice.objects.filter(subscription=subscription, psp_invoice_id__isnull=False)
    for psp_invoice_id in waiting.filter(state__in=["draft", "open"]).values_list("psp_invoice_id", flat=True):
        follow_invoice(processor, str(psp_invoice_id), actor="sweeper", now=now)
    theirs = processor.retrieve_subscription(str(subscription.psp_subscription_id))
    for psp_invoice_id in _untold(processor, subscription, theirs):
        follow_invoice(processor, psp_invoice_id, actor="sweeper", now=now)
    follow_seen_subscription(processor, subscription, theirs, actor="sweeper", now=now)


def _due(*, now: datetime) -> list[Subscription]:
    over = Subscription.objects.filter(collection=Subscription.Collection.CARD).exclude(state="canceled")
    over = over.annotate(ends=Upper("current_period")).filter(ends__lt=now - _FIRST_LOOK)
    unseen = Q(psp_seen_at=None) | Q(psp_seen_at__lt=now - _AGAIN) | Q(psp_seen_at__lt=F("ends") + _FIRST_LOOK)
    return list(over.filter(unseen).order_by(F("psp_seen_at").asc(nulls_first=True))[:_BATCH])


def _untold(processor: Processor, subscription: Subscription, theirs: dict[str, Any]) -> list[str]:
    """Return the invoices of periods after the paid one that are not known here, oldest first.

    The latest one is found through its subscription ``theirs``; only when that is further ahead is the list read.
    """
    items = (theirs.get("items") or {}).get("data") or []
    paid_until = subscription.current_period.upper
    if not items or moment(items[0]["current_period_start"]) <= paid_until + timedelta(seconds=1):
        return []
    since = int(paid_until.timestamp()) - _MARGIN_SECONDS
    found = processor.list_invoices(created_from=since, subscription=str(subscription.psp_subscription_id))
    return [str(invoice["id"]) for invoice in found][::-1]
