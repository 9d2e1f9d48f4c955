"""A sold order gets its one paid invoice, in a worker, with everything frozen that it says."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from psycopg.types.range import TimestamptzRange

from billing.models import BillingDetails, BillingSettings, DocumentCounter, Invoice, Order, Subscription
from billing.services import invoice_sweep
from billing.services.invoice_sweep import issue_missing_invoices
from billing.services.invoices import add_renewal_invoice, issue_order_invoice
from billing.services.subscription_changes import ChangeSelection
from catalyst.core import failpoints
from catalyst.core.database import use_case
from catalyst.core.models import Outbox
from tenancy.models import Sovereign
from tests.billing.changing import change, stock
from tests.billing.changing import subscribe as change_subscriber
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.subscribed import deliver, subscribe
from tests.conftest import owner_connection

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.fixture
def order(shop_without_processor: Shop) -> Order:
    """Sold from credit to ``company``."""
    return subscribe(shop_without_processor, "company").subscription.order


def issue(order: Order, now: datetime = NOW) -> Invoice:
    invoice = issue_order_invoice(order_number=order.number, now=now)
    invoice.refresh_from_db()
    return invoice


def issued_events() -> list[dict[str, Any]]:
    return list(Outbox.objects.filter(topic="invoice.issued").order_by("id").values_list("payload", flat=True))


def test_bills_what_was_sold(order: Order) -> None:
    invoice = issue(order)

    assert (invoice.series, invoice.number, invoice.state) == ("INV-2026", 1, "paid")
    assert (invoice.total_minor, invoice.credit_minor, invoice.card_minor) == (PLAN_MINOR, PLAN_MINOR, 0)
    assert (invoice.tax_percent, invoice.tax_minor, invoice.rounding_minor) == (Decimal("5.00"), 2381, 0)
    assert (invoice.issued_at, invoice.paid_at) == (NOW, NOW)
    assert [(line["kind"], line["reference"], line["quantity"], line["total_minor"]) for line in invoice.lines] == [
        ("plan", "m", 1, PLAN_MINOR),
        ("blueprint", "bp-wordpress", 1, 0),
    ]
    assert invoice.subscription == order.subscription
    assert invoice.period == order.subscription.current_period
    assert issued_events() == [
        {"invoice": invoice.pk, "organization": order.organization_id, "number": "INV-2026-000001"}
    ]


def test_names_sovereign_and_organization_when_nothing_is_filled_in(order: Order, sovereign: Sovereign) -> None:
    invoice = issue(order)

    assert (invoice.seller["name"], invoice.seller["vatin"]) == (sovereign.name, "")
    assert (invoice.buyer["name"], invoice.buyer["vatin"], invoice.buyer["organization"]) == ("Company", "", "company")


def test_names_both_parties_as_they_are_at_that_moment(order: Order) -> None:
    BillingSettings.objects.create(pk=1, seller_name="Cloud SAOC", seller_vatin="OM1100000001")
    details = BillingDetails.objects.create(
        organization_id=order.organization_id, name="Company LLC", address="Way 1\nMuscat", vatin="OM1100000002"
    )

    invoice = issue(order)
    BillingSettings.objects.update(seller_name="Another")
    details.name = "Renamed"
    details.save()
    invoice.refresh_from_db()

    assert (invoice.seller["name"], invoice.seller["vatin"]) == ("Cloud SAOC", "OM1100000001")
    assert (invoice.buyer["name"], invoice.buyer["address"]) == ("Company LLC", "Way 1\nMuscat")


def let_minutes_pass(minutes: int) -> None:
    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE billing_checkout SET updated_at = now() - make_interval(mins => %s)", [minutes])


def test_an_order_whose_event_had_no_effect_is_billed_by_the_sweep(order: Order) -> None:
    let_minutes_pass(4)
    assert (issue_missing_invoices(now=NOW), Invoice.objects.count()) == (0, 0)

    let_minutes_pass(6)
    assert issue_missing_invoices(now=NOW) == 1

    invoice = Invoice.objects.get(order=order)
    assert (invoice.state, invoice.number, invoice.issued_at) == ("paid", 1, NOW)
    assert issue_missing_invoices(now=NOW) == 0
    assert len(issued_events()) == 1


def test_an_order_that_cannot_be_billed_stops_no_other(
    shop_without_processor: Shop, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = subscribe(shop_without_processor, "other").subscription.order
    let_minutes_pass(6)

    def issue_or_fail(*, order_number: str, now: datetime) -> Invoice:
        if order_number == order.number:
            raise RuntimeError("a fault of ours")
        return issue_order_invoice(order_number=order_number, now=now)

    with monkeypatch.context() as patch:
        patch.setattr(invoice_sweep, "issue_order_invoice", issue_or_fail)
        assert issue_missing_invoices(now=NOW) == 2
    assert list(Invoice.objects.values_list("order", flat=True)) == [other.pk]

    assert issue_missing_invoices(now=NOW) == 1


def test_an_order_that_is_not_sold_is_not_billed_by_the_sweep(shop: Shop) -> None:
    shop.buy()
    let_minutes_pass(6)

    assert (issue_missing_invoices(now=NOW), Invoice.objects.count()) == (0, 0)


def test_a_subscription_of_an_earlier_release_gets_the_items_of_its_order(
    shop_without_processor: Shop, order: Order
) -> None:
    subscription = Subscription.objects.get(order=order)
    sold, other = subscription.items, subscribe(shop_without_processor, "other").subscription
    Subscription.objects.filter(pk=subscription.pk).update(items=[])
    Subscription.objects.filter(pk=other.pk).update(items=other.items[:1])
    fill = import_module("billing.migrations.0009_items_of_earlier_sales").FILL

    with owner_connection() as owner:
        owner.execute(fill)

    subscription.refresh_from_db()
    assert (subscription.items, subscription.monthly_minor) == (sold, PLAN_MINOR)
    assert [item["reference"] for item in sold] == ["m", "bp-wordpress"]
    assert Subscription.objects.get(pk=other.pk).items == other.items[:1]


def test_a_second_message_finds_the_first_invoice(order: Order) -> None:
    first = issue(order)

    second = issue(order, NOW + timedelta(hours=1))

    assert second.pk == first.pk
    assert (Invoice.objects.count(), len(issued_events())) == (1, 1)
    assert DocumentCounter.objects.get().last_number == 1


def test_the_event_of_the_sale_issues_it(order: Order) -> None:
    deliver("billing.issue_invoice")

    assert Invoice.objects.get().order == order


def test_refuses_an_order_that_was_not_sold(shop: Shop) -> None:
    shop.buy()
    waiting = Order.objects.get()

    with pytest.raises(Order.DoesNotExist):
        issue(waiting)

    assert (Invoice.objects.count(), DocumentCounter.objects.count()) == (0, 0)


def test_a_crash_gives_the_number_back(order: Order) -> None:
    with failpoints.armed("invoice.issue.in_tx", failpoints.crash), pytest.raises(failpoints.Crash):
        issue(order)
    assert (Invoice.objects.count(), DocumentCounter.objects.count(), issued_events()) == (0, 0, [])

    invoice = issue(order)

    assert invoice.number == 1


def test_a_worker_that_comes_after_the_first_renewal_bills_the_first_period(order: Order) -> None:
    subscription = Subscription.objects.get()
    first = subscription.current_period
    renewed = (first.upper, first.upper + timedelta(days=30))
    add = use_case(add_renewal_invoice)
    add(subscription=subscription, period=renewed, state="open", credit_minor=0, now=NOW)
    Subscription.objects.update(current_period=TimestamptzRange(*renewed))

    invoice = issue(order)

    assert abs(invoice.period.lower - first.lower) < timedelta(minutes=1)
    assert invoice.period.upper == first.upper


def test_the_year_of_the_number_is_the_sovereigns(order: Order) -> None:
    """Muscat is four hours ahead: New Year is there while UTC still has December."""
    invoice = issue(order, datetime(2026, 12, 31, 20, 30, tzinfo=UTC))

    assert (invoice.series, invoice.number) == ("INV-2027", 1)


def test_a_change_is_billed_without_a_period(shop_without_processor: Shop) -> None:
    """It pays for a part of the period that the first order's invoice bills."""
    stock(shop_without_processor)
    subscription = change_subscriber(shop_without_processor)
    change(shop_without_processor, subscription, ChangeSelection(plan="l"))
    first, second = Order.objects.order_by("id")

    invoices = [issue(first), issue(second)]

    assert [row.subscription for row in invoices] == [subscription, subscription]
    assert [row.period for row in invoices] == [subscription.current_period, None]
    assert [row.total_minor for row in invoices] == [PLAN_MINOR, 15_000]
    assert sum(line["total_minor"] for line in invoices[1].lines) == 15_000
