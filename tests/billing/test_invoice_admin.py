"""Invoices in the admin: to look at and to download, never to edit; the seller is entered with the settings."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing.models import BillingSettings, Document, Invoice
from billing.services.invoices import add_renewal_invoice, issue_credit_note, issue_order_invoice
from catalyst.core.database import use_case
from tenancy.models import AuditEntry, User
from tests.billing.shop import Shop
from tests.billing.subscribed import subscribe
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
INVOICES, NOTES = "/admin/billing/invoice/", "/admin/billing/creditnote/"
SETTINGS = "/admin/billing/billingsettings/"


@pytest.fixture
def admin(shop_without_processor: Shop, client: Client) -> Client:
    client.force_login(shop_without_processor.staff)
    return client


@pytest.fixture
def invoice(shop_without_processor: Shop) -> Invoice:
    return issue(shop_without_processor, "company")


def issue(shop: Shop, slug: str) -> Invoice:
    """Return the invoice of a new customer, a part of which is taken back."""
    order = subscribe(shop, slug).subscription.order
    issued = issue_order_invoice(order_number=order.number, now=NOW)
    use_case(issue_credit_note)(
        invoice=issued, credit_minor=10_000, card_minor=0, reason="Late", issued_by="x", state="settled", now=NOW
    )
    return issued


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("address", [INVOICES, NOTES])
def test_more_rows_need_no_more_statements(
    address: str, language: str, admin: Client, invoice: Invoice, shop_without_processor: Shop
) -> None:
    statements = []
    for number in range(3):
        with CaptureQueriesContext(connection) as queries:
            response = admin.get(address, headers={"Accept-Language": language})
        assert len(response.context["cl"].result_list) == number + 1
        statements.append(len(queries))
        issue(shop_without_processor, f"company-{number}")

    assert statements[1:] == [statements[1]] * 2
    assert statements[1] <= 25


def test_more_credit_notes_need_no_more_statements(admin: Client, invoice: Invoice) -> None:
    statements = []
    for _ in range(4):
        with CaptureQueriesContext(connection) as queries:
            assert admin.get(f"{INVOICES}{invoice.pk}/change/").status_code == 200
        statements.append(len(queries))
        use_case(issue_credit_note)(
            invoice=invoice, credit_minor=1_000, card_minor=0, reason="Late", issued_by="x", state="settled", now=NOW
        )

    assert invoice.creditnote_set.count() == 5
    assert statements[1:] == [statements[1]] * 3


@pytest.mark.parametrize("term", ["INV-2026-000001", "inv-2026-000001", "company"])
def test_an_invoice_is_found(term: str, admin: Client, invoice: Invoice) -> None:
    assert [row.pk for row in admin.get(INVOICES, {"q": term}).context["cl"].result_list] == [invoice.pk]
    assert list(admin.get(INVOICES, {"q": "INV-2026-000009"}).context["cl"].result_list) == []


def test_shows_what_was_billed_and_nothing_to_edit(admin: Client, invoice: Invoice) -> None:
    html = admin.get(f"{INVOICES}{invoice.pk}/change/").content.decode()

    assert "CN-2026-000001" in html
    assert f'<a href="{NOTES}{invoice.creditnote_set.get().pk}/pdf/">PDF</a>' in html
    assert "WordPress" in html
    assert 'name="state"' not in html
    assert admin.get(f"{INVOICES}add/").status_code == 403
    assert admin.post(f"{INVOICES}{invoice.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_document_is_the_customers(admin: Client, invoice: Invoice) -> None:
    response = admin.get(f"{INVOICES}{invoice.pk}/pdf/")
    note = invoice.creditnote_set.get()

    assert response.content == bytes(Document.objects.get().content)
    assert response["Content-Disposition"] == 'inline; filename="INV-2026-000001.pdf"'
    assert admin.get(f"{NOTES}{note.pk}/pdf/")["Content-Disposition"] == 'inline; filename="CN-2026-000001.pdf"'


def test_a_draft_has_no_document(admin: Client, invoice: Invoice) -> None:
    assert invoice.subscription is not None
    end = invoice.subscription.current_period.upper
    draft = use_case(add_renewal_invoice)(
        subscription=invoice.subscription,
        period=(end, end + timedelta(days=30)),
        state="draft",
        credit_minor=0,
        now=NOW,
    )

    assert admin.get(INVOICES).status_code == 200
    assert admin.get(f"{INVOICES}{draft.pk}/change/").status_code == 200
    assert admin.get(f"{INVOICES}{draft.pk}/pdf/").status_code == 404


def test_nobody_else_sees_it(invoice: Invoice, client: Client) -> None:
    client.force_login(UserFactory.create(staff_role=User.StaffRole.NONE))

    assert client.get(f"{INVOICES}{invoice.pk}/pdf/").status_code in (302, 403)
    assert Document.objects.count() == 0


def test_the_seller_is_entered_with_the_settings(admin: Client) -> None:
    saved: Any = admin.post(SETTINGS, {"seller_name": "Cloud SAOC", "seller_vatin": "om 1100012345"})

    row = BillingSettings.objects.get()
    assert saved.status_code == 302
    assert (row.seller_name, row.seller_vatin) == ("Cloud SAOC", "OM1100012345")
    assert AuditEntry.objects.filter(action="billing_settings.changed").count() == 1

    admin.post(SETTINGS, {"seller_name": "Cloud SAOC"})
    row.refresh_from_db()
    assert (row.seller_name, row.seller_vatin) == ("Cloud SAOC", "")


def test_a_wrong_vat_number_of_the_seller_is_refused(admin: Client) -> None:
    refused = admin.post(SETTINGS, {"seller_name": "Cloud SAOC", "seller_vatin": "12"})

    assert refused.status_code == 422
    assert "Write the VAT number with its country" in refused.content.decode()
    assert BillingSettings.objects.count() == 0
