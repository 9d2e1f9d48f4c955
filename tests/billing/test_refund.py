"""A refund gives back what was paid, per tender, once, and takes away what the money was for."""

import uuid
from typing import Any

import pytest
from django.utils import timezone

from billing.models import CreditNote, Order, PspCall, Subscription
from billing.services.invoices import RefundExceedsPayment, add_renewal_invoice
from billing.services.reasons import ReasonRequired
from billing.services.refunds import RefundChanged, RefundNotInSteps, preview_refund
from billing.services.subscription_renewals import next_period
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound
from catalyst.core.idempotency import IdempotencyKeyReused
from catalyst.core.models import Outbox
from tenancy.models import AuditEntry
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Shop
from tests.billing.sold import CARD_MINOR, Sold, sell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sold(shop: Shop) -> Sold:
    return sell(shop)


def test_a_part_goes_to_the_card_and_changes_nothing_else(sold: Sold) -> None:
    note = sold.refund(5_000)

    assert (note.card_minor, note.credit_minor, note.state) == (5_000, 0, "settled")
    assert sold.state() == {
        "invoice": (5_000, 0),
        "posted": 0,
        "entries": [("voucher_grant", VOUCHER_MINOR), ("order_spend", -VOUCHER_MINOR)],
        "orders": ["paid"],
        "subscriptions": ["active"],
        "notes": [(5_000, 0, "settled")],
        "refunds": [5_000],
    }
    (refund,) = sold.standin.all("refund")
    assert note.psp_refund_id == refund["id"]
    assert refund["metadata"] == {"credit_note": str(note.uuid), "sovereign": sold.shop.sovereign.domain}


def test_what_the_card_did_not_pay_goes_to_credit_and_all_of_it_ends_the_subscription(sold: Sold) -> None:
    note = sold.refund(None)

    assert (note.card_minor, note.credit_minor) == (CARD_MINOR, VOUCHER_MINOR)
    assert sold.state() == {
        "invoice": (CARD_MINOR, VOUCHER_MINOR),
        "posted": VOUCHER_MINOR,
        "entries": [
            ("voucher_grant", VOUCHER_MINOR),
            ("order_spend", -VOUCHER_MINOR),
            ("refund", VOUCHER_MINOR),
        ],
        "orders": ["refunded"],
        "subscriptions": ["canceled"],
        "notes": [(CARD_MINOR, VOUCHER_MINOR, "settled")],
        "refunds": [CARD_MINOR],
    }
    assert [row["status"] for row in sold.standin.all("subscription")] == ["canceled"]
    assert Outbox.objects.filter(topic="subscription.canceled").count() == 1


def test_the_last_part_ends_the_subscription(sold: Sold) -> None:
    sold.refund(CARD_MINOR)
    assert sold.state()["subscriptions"] == ["active"]

    sold.refund(VOUCHER_MINOR)

    assert (sold.state()["orders"], sold.state()["subscriptions"]) == (["refunded"], ["canceled"])
    assert sold.state()["notes"] == [(CARD_MINOR, 0, "settled"), (0, VOUCHER_MINOR, "settled")]


def test_an_order_that_credit_paid_needs_no_processor(shop_without_processor: Shop) -> None:
    sold = sell(shop_without_processor, voucher_minor=PLAN_MINOR)

    note = sold.refund(None)

    assert (note.card_minor, note.credit_minor, note.state) == (0, PLAN_MINOR, "settled")
    assert sold.state()["posted"] == PLAN_MINOR
    assert PspCall.objects.filter(op="refund.create").count() == 0


@pytest.mark.parametrize(
    ("amount", "changes", "refusal"),
    [
        (PLAN_MINOR + 10, {}, RefundExceedsPayment),
        (0, {}, RefundExceedsPayment),
        (-10, {}, RefundExceedsPayment),
        (5_005, {}, RefundNotInSteps),
        (5_000, {"reason": "  "}, ReasonRequired),
        (5_000, {"confirmed_card_minor": 4_000}, RefundChanged),
        (5_000, {"invoice_id": 10**9}, NotFound),
    ],
)
def test_a_refusal_changes_nothing(
    sold: Sold, amount: int, changes: dict[str, Any], refusal: type[DomainError]
) -> None:
    before, rows = sold.state(), AuditEntry.objects.count()

    with pytest.raises(refusal):
        sold.refund(amount, **changes)

    assert (sold.state(), AuditEntry.objects.count()) == (before, rows)
    assert PspCall.objects.filter(op="refund.create").count() == 0


def test_never_more_than_was_paid_in_all(sold: Sold) -> None:
    sold.refund(CARD_MINOR)
    before = sold.state()

    with pytest.raises(RefundExceedsPayment):
        sold.refund(VOUCHER_MINOR + 10)

    assert sold.state() == before


@pytest.mark.parametrize("amount", [10, None])
def test_nothing_more_after_a_full_refund(sold: Sold, amount: int | None) -> None:
    sold.refund(None)
    before = sold.state()

    with pytest.raises(RefundExceedsPayment):
        sold.refund(amount)

    assert sold.state() == before


@pytest.mark.parametrize("amount", [10, None])
@pytest.mark.parametrize("state", ["draft", "open"])
def test_nothing_of_an_invoice_that_is_not_paid(sold: Sold, state: str, amount: int | None) -> None:
    """Only what came in can go out."""
    subscription = Subscription.objects.get(organization_id=sold.organization_id)
    owed = use_case(add_renewal_invoice)(
        subscription=subscription, period=next_period(subscription), state=state, credit_minor=0, now=timezone.now()
    )
    before = sold.state()

    with pytest.raises(RefundExceedsPayment):
        sold.refund(amount, invoice_id=owed.pk)

    owed.refresh_from_db()
    assert (owed.state, owed.card_refunded_minor, owed.credit_refunded_minor) == (state, 0, 0)
    assert sold.state() == before


def test_only_the_cards_part_has_steps(sold: Sold) -> None:
    note = sold.refund(CARD_MINOR + 1_005)

    assert (note.card_minor, note.credit_minor, note.state) == (CARD_MINOR, 1_005, "settled")
    assert sold.state()["posted"] == 1_005


def test_a_double_click_is_one_refund(sold: Sold) -> None:
    key = uuid.uuid4().hex

    first, second = sold.refund(5_000, key=key), sold.refund(5_000, key=key)

    assert first.pk == second.pk
    assert sold.state()["refunds"] == [5_000]


def test_a_key_means_one_refund_only(sold: Sold) -> None:
    key = uuid.uuid4().hex
    sold.refund(5_000, key=key)
    before = sold.state()

    with pytest.raises(IdempotencyKeyReused):
        sold.refund(6_000, key=key)

    assert sold.state() == before


def test_who_why_and_what_followed_is_written_down(sold: Sold) -> None:
    note = sold.refund(None, reason="Wrong plan")

    assert (note.reason, note.issued_by) == ("Wrong plan", f"user:{sold.shop.staff.uuid}")
    (row,) = AuditEntry.objects.filter(action="refund.issued")
    assert row.actor == f"user:{sold.shop.staff.uuid}"
    assert row.stream == f"organization:{sold.organization_id}"
    assert row.detail == {
        "credit": VOUCHER_MINOR,
        "card": CARD_MINOR,
        "credit_note": note.pk,
        "reason": "Wrong plan",
        "order_refunded": True,
        "subscription_ended": True,
    }
    event = Outbox.objects.get(topic="refund.issued")
    assert event.dedup_key == f"refund.issued:{note.pk}"
    assert event.payload == {
        "credit_note": note.pk,
        "invoice": sold.invoice.pk,
        "organization": sold.organization_id,
        "credit": VOUCHER_MINOR,
        "card": CARD_MINOR,
    }


def test_the_plan_is_what_happens(sold: Sold) -> None:
    part, full = preview_refund(sold.invoice, CARD_MINOR + 1_000), preview_refund(sold.invoice, PLAN_MINOR)

    assert (part.card_minor, part.credit_minor, part.ends_subscription, part.refunds_order) == (
        CARD_MINOR,
        1_000,
        False,
        False,
    )
    assert (full.card_minor, full.credit_minor, full.ends_subscription, full.refunds_order) == (
        CARD_MINOR,
        VOUCHER_MINOR,
        True,
        True,
    )


def test_the_environment_can_be_bought_again_after_a_full_refund(sold: Sold) -> None:
    sold.refund(None)

    answer = sold.purchase.calls.buy()

    assert answer.status_code == 201
    assert Order.objects.filter(organization_id=sold.organization_id).count() == 2
    assert Subscription.objects.filter(organization_id=sold.organization_id).exclude(state="canceled").count() == 0
    assert CreditNote.objects.count() == 1
