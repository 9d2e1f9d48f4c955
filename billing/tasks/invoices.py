"""What follows a sale and an issued document: the invoice, its PDF, its mail. Each consumer may run more than once."""

from celery import shared_task
from django.utils import timezone

from billing.services import documents, invoice_mail, invoice_sweep, invoices
from catalyst.core.outbox import Message, subscribe


@subscribe("order.paid", name="billing.issue_invoice")
def issue_invoice(message: Message) -> None:
    """Issue the order's invoice, once: no checkout waits for the counter."""
    invoices.issue_order_invoice(order_number=message.payload["order"], now=timezone.now())


@shared_task(name="billing.issue_missing_invoices")
def issue_missing_invoices_task() -> None:
    """Issue the invoices of sold orders whose event had no effect."""
    invoice_sweep.issue_missing_invoices(now=timezone.now())


@subscribe("invoice.issued", name="billing.make_invoice_document")
def make_invoice_document(message: Message) -> None:
    """Make the PDF before anybody asks for it."""
    documents.document_of_invoice(message.payload["invoice"])


@subscribe("credit_note.issued", name="billing.make_credit_note_document")
def make_credit_note_document(message: Message) -> None:
    """Make the PDF, as above."""
    documents.document_of_credit_note(message.payload["credit_note"])


@subscribe("invoice.issued", name="billing.mail_invoice")
def mail_invoice(message: Message) -> None:
    """Send the invoice to the billing contact; the delivery row keeps it to one."""
    invoice_mail.mail_invoice(invoice_id=message.payload["invoice"], event=message.key)


@subscribe("credit_note.issued", name="billing.mail_credit_note")
def mail_credit_note(message: Message) -> None:
    """Send the credit note, as above."""
    invoice_mail.mail_credit_note(credit_note_id=message.payload["credit_note"], event=message.key)
