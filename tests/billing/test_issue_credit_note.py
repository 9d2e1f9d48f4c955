"""A credit note takes back a part of a paid invoice: per tender, with its share of VAT, never more than was paid."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError

from billing.models import CreditNote, DocumentCounter, Invoice
from billing.services.invoices import (
    InvoiceMoved,
    RefundExceedsPayment,
    add_renewal_invoice,
    issue_credit_note,
    issue_order_invoice,
)
from catalyst.core.database import use_case
from catalyst.core.models import Outbox
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.subscribed import subscribe
from tests.crash.races import race

# Notes without a ledger entry are no sound books; what books them is tested with the refunds.
pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
add, issue = use_case(add_renewal_invoice), use_case(issue_credit_note)


@pytest.fixture
def invoice(shop_without_processor: Shop) -> Invoice:
    """50.000 from credit, 2.381 of it VAT."""
    order = subscribe(shop_without_processor, "company").subscription.order
    return issue_order_invoice(order_number=order.number, now=NOW)


def take_back(invoice: Invoice, credit_minor: int, **changes: Any) -> CreditNote:
    parts: dict[str, Any] = {
        "credit_minor": credit_minor,
        "card_minor": 0,
        "reason": "Not delivered",
        "issued_by": "user:1",
        "state": "settled",
        "now": NOW,
        **changes,
    }
    return issue(invoice=invoice, **parts)


def test_has_a_series_of_its_own_and_cites_the_invoice(invoice: Invoice) -> None:
    note = take_back(invoice, 10_000)

    invoice.refresh_from_db()
    assert (note.series, note.number, note.invoice) == ("CN-2026", 1, invoice)
    assert (note.credit_minor, note.card_minor, note.tax_minor) == (10_000, 0, 476)
    assert (note.seller, note.buyer, note.reason) == (invoice.seller, invoice.buyer, "Not delivered")
    assert (invoice.credit_refunded_minor, invoice.card_refunded_minor) == (10_000, 0)
    assert Outbox.objects.get(topic="credit_note.issued").payload == {
        "credit_note": note.pk,
        "organization": invoice.organization_id,
        "number": "CN-2026-000001",
    }


def test_the_notes_of_a_wholly_refunded_invoice_carry_its_vat(invoice: Invoice) -> None:
    notes = [take_back(invoice, amount) for amount in (3_330, 3_330, 3_340, 40_000)]

    assert [note.tax_minor for note in notes] == [159, 158, 159, 1905]
    assert sum(note.tax_minor for note in notes) == invoice.tax_minor == 2381


@pytest.mark.parametrize(("credit_minor", "card_minor"), [(PLAN_MINOR + 1, 0), (0, 1), (PLAN_MINOR, 1)])
def test_refuses_more_than_a_tender_paid(invoice: Invoice, credit_minor: int, card_minor: int) -> None:
    with pytest.raises(RefundExceedsPayment):
        take_back(invoice, credit_minor, card_minor=card_minor)

    invoice.refresh_from_db()
    assert (invoice.credit_refunded_minor, invoice.card_refunded_minor) == (0, 0)
    assert (CreditNote.objects.count(), DocumentCounter.objects.filter(series="CN-2026").count()) == (0, 0)


def test_refuses_what_was_not_paid(invoice: Invoice) -> None:
    assert invoice.subscription is not None
    end = invoice.subscription.current_period.upper
    due = add(
        subscription=invoice.subscription,
        period=(end, end + timedelta(days=30)),
        state="open",
        credit_minor=0,
        now=NOW,
    )

    with pytest.raises(InvoiceMoved):
        take_back(due, 0, card_minor=1_000)

    assert CreditNote.objects.count() == 0


def test_five_who_take_back_a_half_at_once_make_two(invoice: Invoice) -> None:
    half = PLAN_MINOR // 2

    outcomes = race([lambda: str(bool(take_back(Invoice.objects.get(pk=invoice.pk), half)))] * 5)

    invoice.refresh_from_db()
    assert outcomes == {"True": 2, "refund_exceeds_payment": 3}
    assert invoice.credit_refunded_minor == PLAN_MINOR
    assert sorted(CreditNote.objects.values_list("number", flat=True)) == [1, 2]


def test_the_database_refuses_to_change_a_note(invoice: Invoice) -> None:
    note = take_back(invoice, 10_000)

    for change in ({"credit_minor": 1}, {"reason": "x"}, {"tax_minor": 0}):
        with pytest.raises(DatabaseError):
            CreditNote.objects.filter(pk=note.pk).update(**change)

    note.refresh_from_db()
    assert (note.credit_minor, note.reason, note.tax_minor) == (10_000, "Not delivered", 476)
