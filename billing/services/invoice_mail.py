"""E-mails that carry an invoice or a credit note, PDF attached, to the Organization's billing contact.

One event is one mail; after a crash it may go out twice, and both copies carry the same Message-ID.
"""

from typing import Any

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from billing.models import CreditNote, Document, Invoice
from billing.selectors.invoices import Contact, billing_contact, document_number
from billing.services.documents import document_of
from tenancy.models import Organization
from tenancy.selectors.sovereign import get_sovereign

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
    contact: Contact = billing_contact(organization)
    if not contact.email:
        log.warning("document_mail_without_contact", event_key=event)
        return
    number, page = numbers
    sovereign = get_sovereign()
    everything = {
        "number": number,
        "organization": organization,
        "sovereign": sovereign,
        "address": f"{settings.PUBLIC_URL}{reverse('console-invoice', args=[organization.slug, page])}",
        **context,
    }
    with translation.override(contact.language):
        message = EmailMultiAlternatives(
            subject=" ".join(render_to_string(f"billing/email/{name}_subject.txt", everything).split()),
            body=render_to_string(f"billing/email/{name}.txt", everything),
            to=[contact.email],
            headers={"Message-ID": f"<{event.replace(':', '.')}@{sovereign.domain}>"},
        )
        message.attach_alternative(render_to_string(f"billing/email/{name}.html", everything), "text/html")
    message.attach(f"{number}.pdf", bytes(document.content), "application/pdf")
    message.send()
