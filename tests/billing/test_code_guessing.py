"""Guessing codes stops, and emptying Redis does not start it again: the counters stand in Postgres."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone
from rest_framework.test import APIClient

from billing.models import CodeAttempt
from billing.services.code_attempts import TooManyTries
from billing.services.vouchers import VoucherNotFound
from billing.services.wallet import redeem_to_balance
from catalyst.core.database import execute
from tests.billing.api.calls import refusal
from tests.billing.shop import Shop, books
from tests.clock import MovableClock

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("one_window")]

PREVIEW = "/api/v1/vouchers/redeem-preview/"
WRONG = "WRONG-CODE-{}"


def flush_redis() -> None:
    """Empty Redis, and show that it is: what a restart without a disk does."""
    cache.set("witness", 1)
    cache.clear()
    assert cache.get("witness") is None


def lose_counters() -> None:
    """Do to Postgres what a flush would do if the counters stood in Redis."""
    execute("DELETE FROM billing_codeattempt")


def redeem(shop: Shop, code: str) -> Any:
    return redeem_to_balance(
        code=code,
        organization=shop.organization,
        sovereign=shop.sovereign,
        actor=shop.buyer,
        address="192.0.2.1",
        now=timezone.now(),
    )


def guess_to_the_limit(shop: Shop, between: Callable[[], None]) -> None:
    """Redeem wrong codes until a person's limit of 5 in 15 minutes is reached."""
    for number in range(5):
        with pytest.raises(VoucherNotFound):
            redeem(shop, WRONG.format(number))
        between()


def test_redemption_stays_stopped_when_redis_is_emptied_between_tries(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    right = shop.code(shop.voucher())
    guess_to_the_limit(shop, between=flush_redis)
    before = books(shop)

    for code in (right, WRONG.format(6)):
        flush_redis()
        with pytest.raises(TooManyTries):
            redeem(shop, code)

    assert books(shop) == before
    assert CodeAttempt.objects.get(scope=f"user:{shop.buyer.pk}").failures == 5


def test_control_where_the_counters_are_lost_redemption_goes_on(shop_without_processor: Shop) -> None:
    shop = shop_without_processor
    right = shop.code(shop.voucher())
    guess_to_the_limit(shop, between=lose_counters)

    assert redeem(shop, right).amount_minor == shop.voucher().grant_minor


def test_preview_stays_stopped_when_redis_is_emptied_between_tries(
    shop_without_processor: Shop, api: APIClient
) -> None:
    right = shop_without_processor.code(shop_without_processor.voucher())
    for number in range(20):  # an address may fail 20 times an hour
        flush_redis()
        assert refusal(api.post(PREVIEW, {"code": WRONG.format(number)}, format="json")) == (404, "voucher_not_found")

    flush_redis()
    answer = api.post(PREVIEW, {"code": right}, format="json")

    assert refusal(answer) == (429, "too_many_tries")
    assert int(answer["Retry-After"]) > 0


def test_control_where_the_counters_are_lost_preview_goes_on(shop_without_processor: Shop, api: APIClient) -> None:
    right = shop_without_processor.code(shop_without_processor.voucher())
    for number in range(20):
        lose_counters()
        assert api.post(PREVIEW, {"code": WRONG.format(number)}, format="json").status_code == 404

    assert api.post(PREVIEW, {"code": right}, format="json").status_code == 200


def test_the_pause_ends_by_itself(shop_without_processor: Shop, clock: MovableClock, one_window: timedelta) -> None:
    shop = shop_without_processor
    right = shop.code(shop.voucher())
    guess_to_the_limit(shop, between=flush_redis)

    clock.advance(one_window)

    assert redeem(shop, right).amount_minor == shop.voucher().grant_minor
