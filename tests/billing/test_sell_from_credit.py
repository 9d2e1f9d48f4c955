"""Selling when credit covers everything: one transaction, no processor."""

import pytest
from django.utils import timezone

from billing.models import Checkout, Subscription
from billing.services.checkout import start_checkout
from catalyst.core.models import Outbox
from tests.billing.shop import PLAN_MINOR, Shop, books

pytestmark = pytest.mark.django_db(transaction=True)


def test_sells_at_once_without_a_processor(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    voucher = shop.voucher(60_000)

    outcome = shop.buy(voucher_code=shop.code(voucher))

    assert (outcome.state, outcome.session_url, outcome.balance_minor) == ("completed", "", 10_000)
    assert outcome.order_number.startswith("OMN-20")
    after = books(shop, voucher)
    assert after.entries == [("voucher_grant", 60_000), ("order_spend", -PLAN_MINOR)]
    assert (after.posted, after.held) == (10_000, 0)
    assert (after.reserved_count, after.redeemed_count) == (0, 1)
    assert (after.redemptions, after.orders, after.checkouts) == (["redeemed"], ["paid"], ["completed"])
    assert Subscription.objects.get().state == "active"
    assert Outbox.objects.filter(topic="order.paid").count() == 1


def test_repeats_the_first_answer_for_the_same_key(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    voucher = shop.voucher(60_000)
    request = shop.request(voucher_code=shop.code(voucher))
    first = start_checkout(request=request, now=timezone.now())

    second = start_checkout(request=request, now=timezone.now())

    assert second.repeated
    assert (second.checkout_id, second.balance_minor) == (first.checkout_id, first.balance_minor)
    assert Checkout.objects.count() == 1
