"""Invoices and credit notes: who writes them, how they get their numbers, what they freeze. Rules: docs/invoices.md.

Amounts are minor units of the account's currency and include VAT. An issued document never changes: a correction is a
credit note.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from django.db import IntegrityError
from django.db.models import F, Sum
from django.utils.translation import gettext as _
from psycopg.types.range import TimestamptzRange

from billing.models import CreditNote, Invoice, Order, Subscription
from billing.selectors.invoices import buyer_facts, document_number, local_zone, seller_facts
from billing.services.invoice_content import Content, billed_by, order_content, renewal_content
from catalyst.core import outbox
from catalyst.core.database import fetch_one, use_case, violated_constraint
from catalyst.core.errors import DomainError
from catalyst.core.failpoints import fp
from catalyst.core.money import included_vat
from tenancy.models import Organization
from tenancy.selectors.sovereign import get_sovereign
from tenancy.services.audit import organization_stream

Period = tuple[datetime, datetime]

_NEXT_NUMBER = """
INSERT INTO billing_documentcounter AS c (series, last_number) VALUES (%s, 1)
ON CONFLICT (series) DO UPDATE SET last_number = c.last_number + 1 RETURNING last_number
"""
_SOLD = (Order.State.PAID, Order.State.REFUNDED)


class InvoiceMoved(DomainError):
    """The invoice is not in a state from which this step is allowed."""

    code = "invoice_moved"
    status = HTTPStatus.CONFLICT


class RefundExceedsPayment(DomainError):
    code = "refund_exceeds_payment"
    status = HTTPStatus.CONFLICT


def next_number(series: str) -> int:
    """Take the next number of a series; call last inside the transaction that issues the document.

    The counter's row stays locked until that transaction ends: a rollback gives the number back, so a series has no
    gap, and the next taker waits, so it has no duplicate.
    """
    row = fetch_one(_NEXT_NUMBER, [series])
    assert row is not None
    return int(row[0])


@use_case
def issue_order_invoice(*, order_number: str, now: datetime) -> Invoice:
    """Issue the paid invoice of a sold order, once; a repetition returns the one that exists.

    No checkout waits for this: it runs in a worker after ``order.paid``.

    :raises Order.DoesNotExist: there is no such order, or it was not sold.
    """
    order = (
        Order.objects.select_for_update(of=("self",), no_key=True)
        .select_related("organization__organization", "checkout__change")
        .get(number=order_number, state__in=_SOLD)
    )
    issued = Invoice.objects.filter(order=order).exclude(state=Invoice.State.VOID).first()
    if issued is not None:
        return issued
    subscription, period = billed_by(order)
    invoice = _new(order.organization.organization, order.currency_id, order_content(order))
    invoice.order, invoice.subscription, invoice.period = order, subscription, period
    _give_number(invoice, state=Invoice.State.PAID, now=now)
    fp("invoice.issue.in_tx")
    return invoice


def add_renewal_invoice(
    *,
    subscription: Subscription,
    period: Period,
    state: str,
    credit_minor: int,
    psp_invoice_id: str | None = None,
    total_minor: int | None = None,
    now: datetime,
) -> Invoice:
    """Write the invoice of a subscription's next period; call inside a transaction, last when it is numbered.

    ``state`` is ``draft`` (no number yet), ``open`` or ``paid``. ``total_minor`` is what is really charged where that
    is not the sum of the items: the difference becomes the rounding line.

    :raises IntegrityError: the period, or a part of it, was billed before.
    """
    content = renewal_content(subscription, total_minor=total_minor, credit_minor=credit_minor)
    organization = Organization.objects.get(pk=subscription.organization_id)
    invoice = _new(organization, subscription.currency_id, content)
    invoice.subscription, invoice.period, invoice.psp_invoice_id = subscription, _range(period), psp_invoice_id
    if state == Invoice.State.DRAFT:
        invoice.save(force_insert=True)
    else:
        _give_number(invoice, state=Invoice.State(state), now=now)
    return invoice


def number_invoice(invoice: Invoice, *, state: str, now: datetime) -> None:
    """Issue a draft as ``open`` or ``paid``; call inside a transaction, last. What the document says freezes here.

    :raises InvoiceMoved: it is no draft any more.
    """
    drafts = Invoice.objects.select_for_update(of=("self",), no_key=True).filter(state=Invoice.State.DRAFT)
    if drafts.filter(pk=invoice.pk).first() is None:
        raise InvoiceMoved(_("This invoice was issued before."))
    invoice.refresh_from_db()
    _give_number(invoice, state=Invoice.State(state), now=now)


def settle_invoice(invoice: Invoice, *, now: datetime) -> None:
    """Mark an issued invoice as paid; call inside the transaction that books the money.

    :raises InvoiceMoved: it is not due (any more).
    """
    _move(invoice, to=Invoice.State.PAID, since=(Invoice.State.OPEN, Invoice.State.UNCOLLECTIBLE), paid_at=now)


def void_invoice(invoice: Invoice, *, now: datetime) -> None:
    """Void an invoice that nobody will pay; call inside a transaction. A paid one is taken back by a credit note.

    An issued one keeps its number: the series has no gap.

    :raises InvoiceMoved: it is paid, or void already.
    """
    unpaid = (Invoice.State.DRAFT, Invoice.State.OPEN, Invoice.State.UNCOLLECTIBLE)
    _move(invoice, to=Invoice.State.VOID, since=unpaid)


def write_off_invoice(invoice: Invoice, *, now: datetime) -> None:
    """Mark a due invoice as uncollectible; call inside a transaction. It can still be paid later.

    :raises InvoiceMoved: it is not due.
    """
    _move(invoice, to=Invoice.State.UNCOLLECTIBLE, since=(Invoice.State.OPEN,))


def issue_credit_note(
    *,
    invoice: Invoice,
    credit_minor: int,
    card_minor: int,
    reason: str,
    issued_by: str,
    state: str,
    now: datetime,
) -> CreditNote:
    """Take a part of a paid invoice back; call inside the transaction that books the refund, last.

    Moves the invoice's refund counters, per tender, by one update that the database's checks guard. VAT: the share of
    the invoice's, such that the notes of a wholly refunded invoice carry exactly its VAT; the VAT on a note whose card
    part failed stands, so the note of the next try carries none of it again.

    :raises InvoiceMoved: the invoice is not paid.
    :raises RefundExceedsPayment: more than this tender paid and has not had back.
    """
    _move_counters(invoice, credit_minor=credit_minor, card_minor=card_minor)
    organization = Organization.objects.get(pk=invoice.organization_id)
    series = _series("CN", now)
    note = CreditNote(
        organization_id=invoice.organization_id,
        invoice=invoice,
        series=series,
        credit_minor=credit_minor,
        card_minor=card_minor,
        state=state,
        reason=reason,
        tax_minor=_tax_left(invoice),
        seller=invoice.seller,
        buyer=invoice.buyer,
        issued_by=issued_by,
        issued_at=now,
        number=next_number(series),
    )
    note.save(force_insert=True)
    _publish("credit_note.issued", organization, {"credit_note": note.pk}, document_number(series, note.number))
    return note


def _new(organization: Organization, currency: str, content: Content) -> Invoice:
    return Invoice(
        organization_id=organization.pk,
        currency_id=currency,
        state=Invoice.State.DRAFT,
        series="",
        lines=content.shown_lines,
        rounding_minor=content.rounding_minor,
        total_minor=content.total_minor,
        credit_minor=content.credit_minor,
    )


def _give_number(invoice: Invoice, *, state: Invoice.State, now: datetime) -> None:
    """Freeze parties, rate and date, then take the number and say so: the counter is the last lock."""
    organization = Organization.objects.get(pk=invoice.organization_id)
    rate: Decimal = get_sovereign().vat_percent
    invoice.state = state
    invoice.tax_percent, invoice.tax_minor = rate, included_vat(invoice.total_minor, rate)
    invoice.seller, invoice.buyer = seller_facts(), buyer_facts(organization)
    invoice.issued_at = invoice.due_at = now
    invoice.paid_at = now if state == Invoice.State.PAID else None
    invoice.series = _series("INV", now)
    invoice.number = next_number(invoice.series)
    invoice.save()
    number = document_number(invoice.series, invoice.number)
    _publish("invoice.issued", organization, {"invoice": invoice.pk}, number)


def _series(kind: str, now: datetime) -> str:
    """Return the series of a document: a new one each year, by the Sovereign's calendar."""
    return f"{kind}-{now.astimezone(local_zone()).year}"


def _move(invoice: Invoice, *, to: Invoice.State, since: Iterable[Invoice.State], **fields: Any) -> None:
    moved = Invoice.objects.filter(pk=invoice.pk, state__in=list(since)).update(state=to, **fields)
    if not moved:
        raise InvoiceMoved(_("This invoice has changed meanwhile. Reload the page to see its state."))
    invoice.refresh_from_db()


def _move_counters(invoice: Invoice, *, credit_minor: int, card_minor: int) -> None:
    """Add to the refund counters of a paid invoice."""
    paid = Invoice.objects.filter(state=Invoice.State.PAID, pk=invoice.pk)
    try:
        moved = paid.update(
            credit_refunded_minor=F("credit_refunded_minor") + credit_minor,
            card_refunded_minor=F("card_refunded_minor") + card_minor,
        )
    except IntegrityError as error:
        if not violated_constraint(error).startswith("invoice_refund_within_"):
            raise
        message = _("This is more than what was paid and has not been refunded yet. Choose a smaller amount.")
        raise RefundExceedsPayment(message) from error
    if not moved:
        raise InvoiceMoved(_("Only a paid invoice can be refunded."))
    invoice.refresh_from_db()


def _tax_left(invoice: Invoice) -> int:
    """Return the VAT in all that is refunded (rounded half to even) less the VAT that earlier notes carry."""
    refunded_minor = invoice.credit_refunded_minor + invoice.card_refunded_minor
    share = (Decimal(invoice.tax_minor) * refunded_minor / invoice.total_minor).quantize(Decimal(1))
    earlier = CreditNote.objects.filter(invoice=invoice).aggregate(total=Sum("tax_minor"))["total"] or 0
    return max(int(share) - earlier, 0)


def _publish(topic: str, organization: Organization, subject: Mapping[str, int], number: str) -> None:
    (pk,) = subject.values()
    outbox.publish(
        topic=topic,
        key=f"{topic}:{pk}",
        stream=organization_stream(organization),
        payload={**subject, "organization": organization.pk, "number": number},
    )


def _range(period: Period) -> TimestamptzRange:
    return TimestamptzRange(*period)
