"""Invoices over the API: list, one, PDF, billing details; strangers find nothing, other roles are refused."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from billing.models import BillingDetails, Document, Invoice
from billing.services.invoices import issue_credit_note, issue_order_invoice
from catalyst.core.database import use_case
from tenancy.models import User
from tests.billing.api.calls import Calls, omr, refusal
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.subscribed import add_credit, buy_again
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
NUMBER = "INV-2026-000001"
PDF, NOTE_PDF = f"invoices/{NUMBER}.pdf", "credit-notes/CN-2026-000001.pdf"


@pytest.fixture
def invoice(shop_without_processor: Shop) -> Invoice:
    """Paid by ``acme`` from credit, 10.000 of it taken back."""
    add_credit(shop_without_processor, PLAN_MINOR)
    order = buy_again(shop_without_processor).subscription.order
    issued = issue_order_invoice(order_number=order.number, now=NOW)
    use_case(issue_credit_note)(
        invoice=issued,
        credit_minor=10_000,
        card_minor=0,
        reason="Late",
        issued_by="test",
        state="settled",
        now=NOW,
    )
    return issued


def test_shows_an_invoice_with_its_credit_note(buyer: Calls, invoice: Invoice) -> None:
    shown = buyer.get(f"invoices/{NUMBER}/").json()

    assert {name: shown[name] for name in ("number", "state", "total", "credit", "card", "tax", "tax_percent")} == {
        "number": NUMBER,
        "state": "paid",
        "total": omr(50_000),
        "credit": omr(50_000),
        "card": omr(0),
        "tax": omr(2_381),
        "tax_percent": "5.00",
    }
    assert [(line["kind"], line["total"]) for line in shown["lines"]] == [("plan", omr(50_000)), ("blueprint", omr(0))]
    (note,) = shown["credit_notes"]
    assert (note["number"], note["total"], note["tax"], note["reason"]) == (
        "CN-2026-000001",
        omr(10_000),
        omr(476),
        "Late",
    )
    assert shown["issued_at"] == "2026-11-24T09:00:00Z"
    assert buyer.get("invoices/").json() == {"next": None, "previous": None, "results": [shown]}


def test_without_invoices_the_list_is_empty(buyer: Calls) -> None:
    assert buyer.get("invoices/").json() == {"next": None, "previous": None, "results": []}


@pytest.mark.parametrize("path", [PDF, NOTE_PDF])
@pytest.mark.parametrize("accept", ["*/*", "application/pdf", "application/json"])
def test_a_download_is_the_stored_document(buyer: Calls, invoice: Invoice, path: str, accept: str) -> None:
    first = buyer.http.get(buyer.url(path), headers={"Accept": accept})
    again = buyer.http.get(buyer.url(path), headers={"Accept": accept})

    assert first.status_code == 200
    assert first["Content-Type"] == "application/pdf"
    assert first["Content-Disposition"] == f'inline; filename="{path.partition("/")[2]}"'
    assert (first["Cache-Control"], first["X-Content-Type-Options"]) == ("private, no-store", "nosniff")
    assert first.content == again.content == bytes(Document.objects.get().content)


@pytest.mark.parametrize(
    "path",
    [
        "invoices/INV-2026-000002/",
        "invoices/INV-2026-1/",
        "invoices/INV-2026-000001x/",
        "invoices/CN-2026-000001/",
        "invoices/nonsense.pdf",
        "credit-notes/INV-2026-000001.pdf",
    ],
)
def test_what_does_not_exist_is_not_found(buyer: Calls, invoice: Invoice, path: str) -> None:
    assert refusal(buyer.get(path)) == (404, "not_found")


@pytest.mark.parametrize("path", ["invoices/", f"invoices/{NUMBER}/", PDF, NOTE_PDF, "billing-details/"])
def test_a_stranger_finds_nothing(
    path: str, invoice: Invoice, shop_without_processor: Shop, api_as: Callable[..., APIClient]
) -> None:
    stranger = shop_without_processor.with_customer("globex").buyer

    assert refusal(Calls(api_as(stranger), "acme").get(path)) == (404, "not_found")


def test_a_stranger_changes_nobodys_billing_details(
    buyer: Calls, shop_without_processor: Shop, api_as: Callable[..., APIClient]
) -> None:
    assert put(buyer, name="Acme LLC").status_code == 200
    stranger = shop_without_processor.with_customer("globex").buyer
    before = list(BillingDetails.objects.values())

    assert refusal(put(Calls(api_as(stranger), "acme"), name="Mine")) == (404, "not_found")

    assert list(BillingDetails.objects.values()) == before


@pytest.mark.parametrize("path", [f"invoices/{NUMBER}/", PDF, NOTE_PDF])
def test_anothers_number_is_not_found_in_ones_own_organization(
    path: str, invoice: Invoice, shop_without_processor: Shop, api_as: Callable[..., APIClient]
) -> None:
    stranger = shop_without_processor.with_customer("globex").buyer

    assert refusal(Calls(api_as(stranger), "globex").get(path)) == (404, "not_found")


@pytest.mark.parametrize("path", ["invoices/", PDF, NOTE_PDF])
def test_a_developer_may_not_see_money(
    path: str, invoice: Invoice, shop_without_processor: Shop, api_as: Callable[..., APIClient]
) -> None:
    developer: User = MembershipFactory.create(
        organization=shop_without_processor.organization, role="org-developer"
    ).user

    assert refusal(Calls(api_as(developer), "acme").get(path)) == (403, "permission_denied")
    assert Document.objects.count() == 0


def test_changes_the_billing_details(buyer: Calls) -> None:
    response = put(buyer, name="Acme LLC", vatin="om 1100012345")

    assert response.status_code == 200
    assert response.json() == {"name": "Acme LLC", "address": "", "vatin": "OM1100012345", "email": ""}
    assert buyer.get("billing-details/").json() == response.json()


def test_a_wrong_vat_number_names_its_field(buyer: Calls) -> None:
    response = put(buyer, vatin="12")

    assert refusal(response) == (422, "vatin_invalid")
    assert response.json()["errors"][0]["pointer"] == "/vatin"
    assert BillingDetails.objects.count() == 0


def test_a_viewer_may_look_and_not_change(shop_without_processor: Shop, api_as: Callable[..., APIClient]) -> None:
    viewer: User = MembershipFactory.create(organization=shop_without_processor.organization, role="org-viewer").user
    calls = Calls(api_as(viewer), "acme")

    assert calls.get("billing-details/").status_code == 200
    assert refusal(put(calls, name="Mine")) == (403, "permission_denied")
    assert BillingDetails.objects.count() == 0


def put(calls: Calls, **body: str) -> Any:
    return calls.http.put(calls.url("billing-details/"), body, format="json")
