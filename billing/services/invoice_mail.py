"""E-mails that carry an invoice or a credit note, PDF attached, to the Organization's billing contact."""

from typing import Any

import structlog
from django.conf import settings
from django.urls import reverse

from billing.models import CreditNote, Document, Invoice
from billing.selectors.invoices import billing_contact, document_number
from billing.services.documents import document_of
from billing.services.mails import send_mail
from tenancy.models import Organization

log = structlog.get_logger(__name__)


def mail_invoice(*, invoice_id: int, event: str) -> None:
    """Send an issued invoice. ``event`` is the key of the event that says so."""
    invoice = Invoice.objects.select_related("organization__organization", "order").get(pk=invoice_id)
    number = document_number(invoice.series, invoice.number or 0)
    context = {"invoice": invoice, "currency": invoice.currency_id}
    _send("invoice", invoice.organization.organization, (number, number), context, document_of(invoice), event)


def mail_credit_note(*, credit_note_id: int, event: str) -> None:
    """Send an issued credit note."""
    notes = CreditNote.objects.select_related("organization__organization", "invoice")
    note = notes.get(pk=credit_note_id)
    number = document_number(note.series, note.number)
    corrected = document_number(note.invoice.series, note.invoice.number or 0)
    context = {
        "note": note,
        "corrected": corrected,
        "currency": note.invoice.currency_id,
        "total_minor": note.credit_minor + note.card_minor,
    }
    _send("credit_note", note.organization.organization, (number, corrected), context, document_of(note), event)


def _send(
    name: str,
    organization: Organization,
    numbers: tuple[str, str],
    context: dict[str, Any],
    document: Document,
    event: str,
) -> None:
    """Send one mail; ``numbers`` are the document's own and that of the invoice whose page it links to."""
    contact = billing_contact(organization)
    if not contact.email:
        log.warning("document_mail_without_contact", event_key=event)
        return
    number, page = numbers
    facts = {
        "number": number,
        "organization": organization,
        "address": f"{settings.PUBLIC_URL}{reverse('console-invoice', args=[organization.slug, page])}",
    }
    paper = (f"{number}.pdf", bytes(document.content), "application/pdf")
    send_mail(name, to=contact, event=event, context={**facts, **context}, attachments=(paper,))
