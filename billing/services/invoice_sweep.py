"""Every sold order has its invoice, whatever became of the event that asks for it.

It heals a delivery that is dead, and bills what was sold before there were invoices.
"""

from datetime import datetime, timedelta

import structlog
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from billing.models import Invoice, Order
from billing.services.invoices import issue_order_invoice

log = structlog.get_logger(__name__)

#: The event's own worker has had its time by then; invariant I29 allows no more either.
_GRACE = timedelta(minutes=5)
_BATCH = 200


def issue_missing_invoices(*, now: datetime) -> int:
    """Issue the invoice of each sold order that has none, oldest first; return how many were tried."""
    invoiced = Invoice.objects.filter(order=OuterRef("pk")).exclude(state=Invoice.State.VOID)
    sold = Order.objects.filter(~Exists(invoiced), state=Order.State.PAID, checkout__updated_at__lt=Now() - _GRACE)
    missing = list(sold.order_by("pk").values_list("number", flat=True)[:_BATCH])
    for number in missing:
        try:
            issue_order_invoice(order_number=number, now=now)
        except Exception as error:
            # One order stops no other; its turn comes again.
            log.error("invoice_postponed", order=number, reason=type(error).__name__, exc_info=error, alarm=True)
    return len(missing)
