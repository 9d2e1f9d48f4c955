"""The crash tests can tell right from wrong: with a known wrong way of doing it, their oracle fails."""

import pytest

from tests.billing.killed import make_purchase, sweep
from tests.billing.shop import VOUCHER_MINOR, Shop
from tests.crash.client import CrashServer
from tests.crash.controls import a_new_key_for_every_call, redeemed_before_the_order
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)


def test_sees_a_second_payable_session_when_the_retry_has_a_new_key(shop: Shop) -> None:
    assert shop.standin is not None
    purchase = make_purchase(shop, "company")
    shop.standin.script("checkout.sessions.create", Fault.DROP_AFTER)

    with a_new_key_for_every_call():
        answer = purchase.buy()
    sweep()

    assert answer.json()["state"] == "awaiting_payment"
    assert len(shop.standin.sessions(status="open")) == 2
    with pytest.raises(AssertionError):
        purchase.check()


def test_passes_the_same_lost_reply_when_the_retry_has_the_same_key(shop: Shop) -> None:
    assert shop.standin is not None
    purchase = make_purchase(shop, "company")
    shop.standin.script("checkout.sessions.create", Fault.DROP_AFTER)

    purchase.buy()
    sweep()

    assert len(shop.standin.sessions(status="open")) == 1
    purchase.check()


@pytest.mark.parametrize("point", ["checkout.T1.in_tx", "checkout.T1.after_commit", "checkout.T2.in_tx"])
def test_sees_a_voucher_that_was_used_up_before_the_order(shop: Shop, crash_server: CrashServer, point: str) -> None:
    purchase = make_purchase(shop, "company")

    assert purchase.doomed(crash_server, point, way="redeemed_before_the_order").is_killed
    sweep()

    assert purchase.books().entries == [("voucher_grant", VOUCHER_MINOR)]
    with pytest.raises(AssertionError):
        purchase.check()


def test_sees_a_voucher_that_was_used_up_although_nothing_can_be_sold(shop_without_processor: Shop) -> None:
    purchase = make_purchase(shop_without_processor, "company")

    with redeemed_before_the_order():
        assert purchase.buy().status_code == 503

    assert purchase.books().redemptions == ["redeemed"]
    with pytest.raises(AssertionError):
        purchase.check()
