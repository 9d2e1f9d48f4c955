"""What money each Organization has and owes, as a read table: the fold of its events, equal to the books."""

import pytest
from django.db.models import Sum
from django.utils import timezone

from billing.models import Account, BillingSummary, LedgerEntry, Subscription
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.subscribed import end_period, let_owe, make_due, owe_for, subscribe
from tests.rebuilding import assert_rebuilds_equal

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_sale_is_told_with_its_balance_and_subscription(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    shop.buy(voucher_code=shop.code(shop.voucher(60_000)))

    assert_rebuilds_equal()

    row, account = BillingSummary.objects.get(), Account.objects.get()
    assert (row.organization_id, row.currency) == (shop.organization.pk, account.currency_id)
    assert (row.balance_minor, row.balance_entry) == (account.posted_minor, account.last_seq) == (10_000, 2)
    assert row.balance_minor == LedgerEntry.objects.aggregate(sum=Sum("amount_minor"))["sum"]
    assert (row.live_subscriptions, row.unpaid_subscriptions, row.monthly_minor) == (1, 0, PLAN_MINOR)
    assert row.subscriptions == {
        str(Subscription.objects.get().pk): {"state": "active", "env_type": "prod", "monthly_minor": PLAN_MINOR}
    }


def test_debts_renewals_and_ends_are_told(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-two", credit_minor=2 * PLAN_MINOR)
    organization = customer.subscription.organization_id
    end_period(customer)
    customer.sweep(timezone.now())
    assert_rebuilds_equal()
    row = BillingSummary.objects.get(organization_id=organization)
    assert row.balance_minor == Account.objects.get(pk=organization).posted_minor
    assert (row.live_subscriptions, row.unpaid_subscriptions) == (1, 0)

    let_owe(customer.subscription, since=timezone.now())
    assert_rebuilds_equal()
    row.refresh_from_db()
    assert (row.live_subscriptions, row.unpaid_subscriptions) == (1, 1)

    owe_for(customer, 30)
    make_due()
    customer.sweep(timezone.now())
    assert_rebuilds_equal()
    row.refresh_from_db()
    assert customer.state == "suspended"
    assert (row.live_subscriptions, row.unpaid_subscriptions, row.monthly_minor) == (1, 1, PLAN_MINOR)
