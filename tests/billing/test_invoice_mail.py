"""An issued document goes to the billing contact, PDF attached, in that person's language, once per event."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives

from billing.models import BillingDetails, Document, Invoice
from billing.services.invoices import add_renewal_invoice, issue_credit_note, issue_order_invoice
from catalyst.core.database import use_case
from tenancy.models import Membership, User
from tests.billing.shop import Shop
from tests.billing.subscribed import deliver, subscribe
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
ARABIC_SUBJECT = "فاتورة INV-2026-000001"


@pytest.fixture
def invoice(shop_without_processor: Shop) -> Invoice:
    order = subscribe(shop_without_processor, "company").subscription.order
    return issue_order_invoice(order_number=order.number, now=NOW)


def sent(consumer: str = "billing.mail_invoice") -> EmailMultiAlternatives:
    deliver(consumer)
    (message,) = mail.outbox
    assert isinstance(message, EmailMultiAlternatives)
    return message


def test_goes_to_an_administrator_when_nobody_was_named(invoice: Invoice, shop_without_processor: Shop) -> None:
    buyer = Membership.objects.get(organization__slug="company").user

    message = sent()

    assert (message.to, message.subject) == ([buyer.email], "Invoice INV-2026-000001")
    assert "It is paid. Nothing is left to do" in message.body
    assert "OMR\u00a050.000" in message.body
    assert "/console/company/invoices/INV-2026-000001/" in message.body


def test_carries_the_document_that_is_stored(invoice: Invoice) -> None:
    message = sent()

    (attachment,) = message.attachments
    name, content, kind = attachment
    assert (name, kind) == ("INV-2026-000001.pdf", "application/pdf")
    assert content == bytes(Document.objects.get().content)


def test_a_billing_administrator_comes_before_others(invoice: Invoice) -> None:
    person = MembershipFactory.create(organization_id=invoice.organization_id, role="billing-admin").user

    assert sent().to == [person.email]


def test_the_billing_e_mail_comes_first(invoice: Invoice) -> None:
    MembershipFactory.create(organization_id=invoice.organization_id, role="billing-admin")
    BillingDetails.objects.create(organization_id=invoice.organization_id, email="books@company.example")

    assert sent().to == ["books@company.example"]


def test_is_written_in_the_readers_language(invoice: Invoice) -> None:
    UserFactory.create(email="books@company.example", language="ar")
    BillingDetails.objects.create(organization_id=invoice.organization_id, email="Books@company.example")

    message = sent()

    assert message.subject == ARABIC_SUBJECT
    assert 'dir="rtl"' in str(message.alternatives[0][0])


def test_a_due_invoice_says_so(invoice: Invoice) -> None:
    deliver("billing.mail_invoice")
    mail.outbox.clear()
    assert invoice.subscription is not None
    end = invoice.subscription.current_period.upper
    use_case(add_renewal_invoice)(
        subscription=invoice.subscription,
        period=(end, end + timedelta(days=30)),
        state="open",
        credit_minor=0,
        now=NOW,
    )

    message = sent()

    assert message.subject == "Invoice INV-2026-000002"
    assert "It is due now." in message.body


def test_a_credit_note_says_what_comes_back(invoice: Invoice) -> None:
    use_case(issue_credit_note)(
        invoice=invoice,
        credit_minor=10_000,
        card_minor=0,
        reason="Not delivered <b>at all</b>",
        issued_by="test",
        state="settled",
        now=NOW,
    )

    message = sent("billing.mail_credit_note")

    assert message.subject == "Credit note CN-2026-000001"
    assert "invoice INV-2026-000001" in message.body
    assert "Back to your credit: OMR\u00a010.000" in message.body
    assert "Not delivered <b>at all</b>" in message.body
    assert "Not delivered &lt;b&gt;at all&lt;/b&gt;" in str(message.alternatives[0][0])
    name, _content, _kind = message.attachments[0]
    assert name == "CN-2026-000001.pdf"


def test_one_event_is_one_mail(invoice: Invoice) -> None:
    first = sent()

    deliver("billing.mail_invoice")

    assert mail.outbox == [first]
    assert first.extra_headers["Message-ID"].startswith(f"<invoice.issued.{invoice.pk}@")


def test_nobody_to_write_to_is_no_failure(invoice: Invoice) -> None:
    User.objects.filter(memberships__organization_id=invoice.organization_id).update(is_active=False)

    deliver("billing.mail_invoice")

    assert mail.outbox == []
