"""Invoices in the console: the list, one invoice, its PDF, and the form that says whom the next one names."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from billing.models import BillingDetails, Document, Invoice
from billing.services.invoices import add_renewal_invoice, issue_credit_note, issue_order_invoice
from catalyst.core.database import use_case
from tests import factories
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.subscribed import add_credit, buy_again

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
LIST, ONE = "/console/acme/invoices/", "/console/acme/invoices/INV-2026-000001/"
PDF, NOTE_PDF = "/console/acme/invoices/INV-2026-000001.pdf", "/console/acme/credit-notes/CN-2026-000001.pdf"
DETAILS = "/console/acme/billing/details/"


@pytest.fixture
def reader(shop_without_processor: Shop, client: Client) -> Client:
    client.force_login(shop_without_processor.buyer)
    return client


@pytest.fixture
def invoice(shop_without_processor: Shop) -> Invoice:
    add_credit(shop_without_processor, PLAN_MINOR)
    order = buy_again(shop_without_processor).subscription.order
    return issue_order_invoice(order_number=order.number, now=NOW)


def take_back(invoice: Invoice) -> None:
    use_case(issue_credit_note)(
        invoice=invoice,
        credit_minor=10_000,
        card_minor=0,
        reason="<i>Late</i>",
        issued_by="test",
        state="settled",
        now=NOW,
    )


def page(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return str(response.content.decode())


def test_no_invoice_yet_says_when_one_comes(reader: Client) -> None:
    html = page(reader, LIST)

    assert "No invoices yet" in html
    assert "a moment after each payment" in html


def test_lists_number_date_amount_state_and_document(reader: Client, invoice: Invoice) -> None:
    take_back(invoice)

    html = page(reader, LIST)

    assert "INV-2026-000001" in html
    assert 'data-status="paid"' in html
    assert '<data value="50000">' in html
    assert '<data value="-10000">' in html
    assert PDF in html
    assert NOTE_PDF in html


def test_older_ones_are_on_the_next_page(reader: Client, invoice: Invoice) -> None:
    html = page(reader, f"{LIST}?before={invoice.pk + 1}")
    assert "INV-2026-000001" in html

    assert "No invoices yet" in page(reader, f"{LIST}?before={invoice.pk}")


def test_one_invoice_shows_lines_tenders_and_credit_notes(reader: Client, invoice: Invoice) -> None:
    take_back(invoice)

    html = page(reader, ONE)

    assert "WordPress" in html
    assert '<data value="2381">' in html
    assert "CN-2026-000001" in html
    assert "&lt;i&gt;Late&lt;/i&gt;" in html


def test_a_due_one_says_how_it_is_paid(reader: Client, invoice: Invoice) -> None:
    assert invoice.subscription is not None
    end = invoice.subscription.current_period.upper
    use_case(add_renewal_invoice)(
        subscription=invoice.subscription,
        period=(end, end + timedelta(days=30)),
        state="open",
        credit_minor=0,
        now=NOW,
    )

    assert "This invoice is due." not in page(reader, ONE)
    assert "This invoice is due." in page(reader, "/console/acme/invoices/INV-2026-000002/")


def test_the_pdf_is_made_on_the_way_when_no_worker_came(reader: Client, invoice: Invoice) -> None:
    first = reader.get(PDF)
    again = reader.get(PDF)

    assert (first.status_code, first["Content-Type"]) == (200, "application/pdf")
    assert first.content == again.content == bytes(Document.objects.get().content)


@pytest.mark.parametrize("address", [LIST, ONE, PDF, NOTE_PDF, DETAILS])
def test_a_stranger_finds_nothing(address: str, invoice: Invoice, client: Client) -> None:
    take_back(invoice)
    client.force_login(factories.MembershipFactory.create(role="org-admin").user)

    page(client, address, status=404)


@pytest.mark.parametrize("address", [LIST, ONE, PDF, NOTE_PDF, DETAILS])
def test_a_developer_is_told_whom_to_ask(
    address: str, invoice: Invoice, shop_without_processor: Shop, client: Client
) -> None:
    take_back(invoice)
    organization = shop_without_processor.organization
    client.force_login(factories.MembershipFactory.create(organization=organization, role="org-developer").user)

    assert "Only a billing administrator can see this." in page(client, address, status=403)
    assert client.post(DETAILS, {"name": "Mine"}).status_code == 403
    assert BillingDetails.objects.count() == 0


def test_a_viewer_reads_and_does_not_edit(shop_without_processor: Shop, client: Client) -> None:
    organization = shop_without_processor.organization
    client.force_login(factories.MembershipFactory.create(organization=organization, role="org-viewer").user)

    assert DETAILS not in page(client, LIST)
    page(client, DETAILS, status=403)
    assert client.post(DETAILS, {"name": "Mine"}).status_code == 403
    assert BillingDetails.objects.count() == 0


@pytest.mark.parametrize("address", [LIST, ONE, PDF, NOTE_PDF])
def test_what_was_issued_takes_no_post(address: str, reader: Client, invoice: Invoice) -> None:
    take_back(invoice)

    assert reader.post(address, {"name": "Mine"}).status_code == 405


def test_the_details_are_saved_and_shown_again(reader: Client) -> None:
    saved: Any = reader.post(DETAILS, {"name": "Acme LLC", "address": "Way 1", "vatin": "om1100012345", "email": ""})

    assert (saved.status_code, saved.headers["Location"]) == (302, DETAILS)
    html = page(reader, DETAILS)
    assert "Saved. The next invoice will say so." in html
    assert 'value="OM1100012345"' in html


def test_a_stranger_changes_nobodys_details(reader: Client, shop_without_processor: Shop) -> None:
    reader.post(DETAILS, {"name": "Acme LLC"})
    before = list(BillingDetails.objects.values())
    stranger = Client()
    stranger.force_login(shop_without_processor.with_customer("globex").buyer)

    assert stranger.get(DETAILS).status_code == 404
    assert stranger.post(DETAILS, {"name": "Mine"}).status_code == 404

    assert list(BillingDetails.objects.values()) == before


def test_a_wrong_vat_number_stays_in_the_form_with_the_reason(reader: Client) -> None:
    refused: Any = reader.post(DETAILS, {"name": "Acme LLC", "vatin": "12", "email": "nobody"})
    html = refused.content.decode()

    assert refused.status_code == 422
    assert "Enter an e-mail address like name@example.com." in html

    refused = reader.post(DETAILS, {"name": "Acme LLC", "vatin": "12"})
    html = refused.content.decode()

    assert refused.status_code == 422
    assert "Write the VAT number with its country, like OM1100012345." in html
    assert 'value="Acme LLC"' in html
    assert BillingDetails.objects.count() == 0
