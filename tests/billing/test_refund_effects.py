"""What a full refund ends depends on what the invoice paid for; an order that cannot be delivered goes back whole."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing.models import CreditNote, Invoice, Order
from billing.services.invoices import issue_order_invoice
from billing.services.ledger import open_account
from billing.services.reasons import ReasonRequired
from billing.services.refunds import refund_failed_delivery, refund_invoice
from billing.services.subscription_changes import ChangeSelection
from catalyst.core.errors import NotFound
from catalyst.core.failpoints import Crash, armed, crash
from tests import factories
from tests.billing import changing
from tests.billing.card_life import card_customer
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Shop
from tests.billing.sold import CARD_MINOR, Sold, sell
from tests.billing.subscribed import Customer, subscribe

pytestmark = pytest.mark.django_db(transaction=True)


def refund(shop: Shop, invoice: Invoice, amount_minor: int | None = None) -> CreditNote:
    return refund_invoice(
        invoice_id=invoice.pk,
        amount_minor=amount_minor,
        reason="Not what they needed",
        actor=shop.staff,
        now=timezone.now(),
        key=uuid.uuid4().hex,
    )


def renewed(customer: Customer) -> Invoice:
    """Let one more period begin and return its invoice."""
    customer.sweep(customer.ends + timedelta(hours=1))
    last = Invoice.objects.filter(subscription=customer.subscription, order=None).order_by("period").last()
    assert last is not None
    assert last.state == "paid"
    return last


def order_invoice(customer: Customer) -> Invoice:
    return issue_order_invoice(order_number=customer.subscription.order.number, now=timezone.now())


# --- renewals ------------------------------------------------------------------------------------------------------
def test_the_running_period_in_full_ends_the_subscription_and_leaves_the_order(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "company", credit_minor=PLAN_MINOR)
    order_invoice(customer)
    invoice = renewed(customer)

    refund(shop_without_processor, invoice)

    assert (customer.state, customer.available()) == ("canceled", PLAN_MINOR)
    assert Order.objects.get(pk=customer.subscription.order_id).state == "paid"


def test_an_earlier_period_in_full_leaves_the_subscription(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "company", credit_minor=2 * PLAN_MINOR)
    order_invoice(customer)
    earlier = renewed(customer)
    renewed(customer)

    refund(shop_without_processor, earlier)

    assert (customer.state, customer.available()) == ("active", PLAN_MINOR)


def test_a_part_of_the_running_period_leaves_the_subscription(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "company", credit_minor=PLAN_MINOR)
    order_invoice(customer)
    invoice = renewed(customer)

    refund(shop_without_processor, invoice, 10_000)

    assert (customer.state, customer.available()) == ("active", 10_000)


# --- changes -------------------------------------------------------------------------------------------------------
def test_a_change_in_full_leaves_the_subscription_as_it_is(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    changing.stock(shop)
    open_account(organization=shop.organization, sovereign=shop.sovereign)
    subscription = changing.subscribe(shop)
    changing.change(shop, subscription, ChangeSelection(plan="l"))
    order = Order.objects.exclude(pk=subscription.order_id).get()
    invoice = issue_order_invoice(order_number=order.number, now=timezone.now())

    note = refund(shop, invoice)

    order.refresh_from_db()
    subscription.refresh_from_db()
    assert (order.state, subscription.state, subscription.plan) == ("refunded", "active", "l")
    assert note.credit_minor == invoice.total_minor > 0


# --- an order that cannot be delivered -----------------------------------------------------------------------------
@pytest.fixture
def sold(shop: Shop) -> Sold:
    return sell(shop)


def give_up(sold: Sold, **changes: Any) -> CreditNote | None:
    parts: dict[str, Any] = {
        "order_number": Order.objects.get(organization_id=sold.organization_id).number,
        "reason": "It cannot be installed",
        "actor": sold.shop.staff,
        "now": timezone.now(),
        **changes,
    }
    return refund_failed_delivery(**parts)


def test_everything_goes_back_once_over_both_tenders(sold: Sold) -> None:
    first = give_up(sold)
    second = give_up(sold)

    assert first is not None
    assert first == second
    after = sold.state()
    assert after["notes"] == [(CARD_MINOR, VOUCHER_MINOR, "settled")]
    assert (after["refunds"], after["posted"]) == ([CARD_MINOR], VOUCHER_MINOR)
    assert (after["orders"], after["subscriptions"]) == (["refunded"], ["canceled"])


def test_what_was_refunded_before_does_not_go_back_again(sold: Sold) -> None:
    sold.refund(5_000)

    give_up(sold)

    assert sold.state()["refunds"] == [5_000, CARD_MINOR - 5_000]
    assert sold.state()["invoice"] == (CARD_MINOR, VOUCHER_MINOR)


def test_a_crash_on_the_way_is_taken_up_by_the_next_press(sold: Sold) -> None:
    with armed("refund.call.after_call_before_record", crash), pytest.raises(Crash):
        give_up(sold)

    give_up(sold)

    assert sold.state()["refunds"] == [CARD_MINOR]
    assert sold.state()["notes"] == [(CARD_MINOR, VOUCHER_MINOR, "settled")]


def test_refuses_without_a_reason_and_for_an_order_that_was_not_sold(sold: Sold) -> None:
    before = sold.state()

    with pytest.raises(ReasonRequired):
        give_up(sold, reason="")
    with pytest.raises(NotFound):
        give_up(sold, order_number="ORD-2026-999999")

    assert sold.state() == before


def test_an_order_that_cost_nothing_only_ends(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    factories.PlanFactory.create(slug="free", title_en="Free", title_ar="مجاني")
    factories.PriceFactory.create(kind="plan", reference="free", amount_minor=0)
    assert shop.calls().buy(plan="free").json()["state"] == "completed"
    order = Order.objects.get(organization_id=shop.organization.pk)

    note = refund_failed_delivery(
        order_number=order.number, reason="It cannot be installed", actor=shop.staff, now=timezone.now()
    )

    assert note is None
    order.refresh_from_db()
    assert (order.state, order.subscription.state) == ("paid", "canceled")


def test_a_renewal_by_card_goes_back_to_the_card_that_paid_it(shop: Shop) -> None:
    customer = card_customer(shop)
    customer.add_credit(VOUCHER_MINOR)
    customer.renew()
    customer.tell()
    customer.standin.clock.advance(2 * 3600)
    customer.tell()
    invoice = customer.invoice()
    assert (invoice.state, invoice.card_minor, invoice.credit_minor) == ("paid", CARD_MINOR, VOUCHER_MINOR)

    refund(shop, invoice)

    invoice.refresh_from_db()
    assert (invoice.card_refunded_minor, invoice.credit_refunded_minor) == (CARD_MINOR, VOUCHER_MINOR)
    (made,) = customer.standin.all("refund")
    first, second = customer.standin.all("payment_intent")
    assert (made["amount"], made["payment_intent"]) == (CARD_MINOR, second["id"])
    assert made["payment_intent"] != first["id"]
    assert customer.subscription.state == "canceled"
