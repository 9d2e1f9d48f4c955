"""The life of an invoice: draft, due, paid, void, uncollectible; only these moves, and issued means frozen."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError

from billing.models import BillingSettings, DocumentCounter, Invoice, Subscription
from billing.services.invoices import (
    InvoiceMoved,
    add_renewal_invoice,
    number_invoice,
    settle_invoice,
    void_invoice,
    write_off_invoice,
)
from catalyst.core.database import use_case
from catalyst.core.models import Outbox
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.subscribed import subscribe

# Steps are called alone here: an invoice is settled without the spend that its use case posts with it (I56).
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.breaks_invariants]

NOW = datetime(2026, 12, 24, 9, tzinfo=UTC)
LATER = NOW + timedelta(days=2)
add, number, settle = use_case(add_renewal_invoice), use_case(number_invoice), use_case(settle_invoice)
void, write_off = use_case(void_invoice), use_case(write_off_invoice)


@pytest.fixture
def subscription(shop_without_processor: Shop) -> Subscription:
    return subscribe(shop_without_processor, "company").subscription


def renewal(subscription: Subscription, state: str = "draft", **changes: Any) -> Invoice:
    end = subscription.current_period.upper
    parts: dict[str, Any] = {"period": (end, end + timedelta(days=31)), "credit_minor": 0, "now": NOW, **changes}
    invoice = add(subscription=subscription, state=state, **parts)
    invoice.refresh_from_db()
    return invoice


def test_a_draft_has_no_number_and_no_event(subscription: Subscription) -> None:
    invoice = renewal(subscription, credit_minor=20_000, psp_invoice_id="in_1")

    assert (invoice.state, invoice.number, invoice.issued_at, invoice.seller) == ("draft", None, None, {})
    assert (invoice.total_minor, invoice.credit_minor, invoice.card_minor) == (PLAN_MINOR, 20_000, 30_000)
    assert (Outbox.objects.filter(topic="invoice.issued").count(), DocumentCounter.objects.count()) == (0, 0)


def test_a_draft_that_is_issued_freezes_what_is_true_then(subscription: Subscription) -> None:
    invoice = renewal(subscription)
    BillingSettings.objects.create(pk=1, seller_name="Cloud SAOC")

    number(invoice, state="paid", now=LATER)

    invoice.refresh_from_db()
    assert (invoice.state, invoice.series, invoice.number) == ("paid", "INV-2026", 1)
    assert (invoice.issued_at, invoice.paid_at, invoice.seller["name"]) == (LATER, LATER, "Cloud SAOC")
    assert invoice.tax_minor == 2381


def test_a_due_invoice_is_settled_once(subscription: Subscription) -> None:
    invoice = renewal(subscription, "open")
    assert (invoice.state, invoice.paid_at, invoice.due_at) == ("open", None, NOW)

    settle(invoice, now=LATER)
    with pytest.raises(InvoiceMoved):
        settle(invoice, now=LATER + timedelta(days=1))

    invoice.refresh_from_db()
    assert (invoice.state, invoice.paid_at, invoice.number) == ("paid", LATER, 1)


def test_what_was_written_off_can_still_be_paid(subscription: Subscription) -> None:
    invoice = renewal(subscription, "open")

    write_off(invoice, now=NOW)
    settle(invoice, now=LATER)

    assert invoice.state == "paid"


def test_a_void_invoice_keeps_its_number_and_frees_its_period(subscription: Subscription) -> None:
    invoice = renewal(subscription, "open")

    void(invoice, now=LATER)
    second = renewal(subscription, "paid")

    assert (invoice.state, invoice.number, second.number) == ("void", 1, 2)


def test_a_void_draft_never_had_a_number(subscription: Subscription) -> None:
    invoice = renewal(subscription)

    void(invoice, now=LATER)

    assert (invoice.state, invoice.number, DocumentCounter.objects.count()) == ("void", None, 0)


@pytest.mark.parametrize(
    ("state", "move"),
    [
        ("paid", lambda invoice: void(invoice, now=LATER)),
        ("paid", lambda invoice: write_off(invoice, now=LATER)),
        ("paid", lambda invoice: number(invoice, state="open", now=LATER)),
        ("draft", lambda invoice: settle(invoice, now=LATER)),
        ("draft", lambda invoice: write_off(invoice, now=LATER)),
        ("open", lambda invoice: number(invoice, state="paid", now=LATER)),
    ],
)
def test_other_moves_are_refused(subscription: Subscription, state: str, move: Callable[[Invoice], None]) -> None:
    invoice = renewal(subscription, state)
    before = Invoice.objects.filter(pk=invoice.pk).values().get()

    with pytest.raises(InvoiceMoved):
        move(invoice)

    assert Invoice.objects.filter(pk=invoice.pk).values().get() == before


def test_no_period_is_billed_twice(subscription: Subscription) -> None:
    renewal(subscription, "open")

    with pytest.raises(IntegrityError, match="invoice_no_double_billing"):
        renewal(subscription, "open")

    assert Invoice.objects.count() == 1
    assert DocumentCounter.objects.get().last_number == 1


def test_what_is_charged_beside_the_lines_is_a_line_of_its_own(subscription: Subscription) -> None:
    invoice = renewal(subscription, "open", total_minor=PLAN_MINOR - 5)

    assert (invoice.total_minor, invoice.rounding_minor) == (PLAN_MINOR - 5, -5)
    assert invoice.lines[-1]["kind"] == "rounding"
    assert sum(line["total_minor"] for line in invoice.lines) == invoice.total_minor


def test_lines_that_sum_to_the_total_have_no_rounding_line(subscription: Subscription) -> None:
    invoice = renewal(subscription, "open")

    assert invoice.rounding_minor == 0
    assert "rounding" not in {line["kind"] for line in invoice.lines}


@pytest.mark.parametrize(
    "change",
    [{"total_minor": 1}, {"lines": []}, {"seller": {}}, {"number": 7}, {"tax_minor": 0}, {"issued_at": LATER}],
)
def test_the_database_refuses_to_change_what_was_issued(subscription: Subscription, change: dict[str, Any]) -> None:
    invoice = renewal(subscription, "open")
    before = Invoice.objects.filter(pk=invoice.pk).values().get()

    with pytest.raises(DatabaseError):
        Invoice.objects.filter(pk=invoice.pk).update(**change)

    assert Invoice.objects.filter(pk=invoice.pk).values().get() == before
