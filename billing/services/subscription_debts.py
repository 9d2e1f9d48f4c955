"""What an ended subscription still owed."""

from datetime import datetime

from django.db.models import F, Sum

from billing.models import Account, CreditHold, Invoice, Subscription
from billing.services.invoices import void_invoice, write_off_invoice


def write_off(subscription: Subscription, *, now: datetime) -> None:
    """Give up what was never paid; a step, under the account's lock.

    An open invoice has its number and stays in the books as uncollectible; a draft has none and becomes void. Credit
    set aside for either is free again.
    """
    unpaid = list(Invoice.objects.filter(subscription=subscription, state__in=["draft", "open"]).order_by("pk"))
    for invoice in unpaid:
        give_up = write_off_invoice if invoice.state == Invoice.State.OPEN else void_invoice
        give_up(invoice, now=now)
    holds = CreditHold.objects.filter(invoice__in=unpaid, state=CreditHold.State.ACTIVE)
    held = holds.aggregate(total=Sum("amount_minor"))["total"]
    if held:
        holds.update(state=CreditHold.State.VOIDED, resolved_at=now)
        Account.objects.filter(pk=subscription.organization_id).update(held_minor=F("held_minor") - held)
