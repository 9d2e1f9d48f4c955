"""Compensation: everything back, once, without a word in the ledger, and never after the hand-over."""

from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.utils import timezone

from billing.models import CreditHold
from billing.services.checkout import start_checkout
from billing.services.checkout_compensate import compensate
from billing.services.checkout_handover import _record_hand_over
from catalyst.core.database import execute, fetch_one
from catalyst.core.failpoints import Crash, armed, crash
from tests.billing.killed import Purchase, make_purchase, sweep
from tests.billing.shop import PLAN_MINOR, Shop
from tests.crash.oracle import assert_sound
from tests.crash.races import race, scratch_table

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 10


@pytest.fixture
def dead(shop: Shop) -> Purchase:
    """A purchase that died after its reservation."""
    purchase = make_purchase(shop, "company")
    reserve_and_die(purchase)
    return purchase


def reserve_and_die(purchase: Purchase, point: str = "checkout.T1.after_commit") -> None:
    code = purchase.shop.code(purchase.voucher)
    request = purchase.shop.request(key=purchase.key, voucher_code=code)
    with armed(point, crash), pytest.raises(Crash):
        start_checkout(request=request, now=timezone.now())


def undo(purchase: Purchase) -> bool:
    return compensate(checkout_id=purchase.checkouts()[-1].pk, reason="crash", actor="test")


def test_gives_everything_back_once(dead: Purchase) -> None:
    assert (dead.books().redemptions, dead.books().reserved_count) == (["reserved"], 1)

    assert undo(dead)
    first, version = dead.books(), dead.checkouts()[0].version
    assert not undo(dead)

    assert (first.redemptions, first.orders, first.checkouts) == (["released"], ["cancelled"], ["compensated"])
    assert (first.entries, first.held, first.reserved_count, first.redeemed_count) == ([], 0, 0, 0)
    assert dead.books() == first
    assert dead.checkouts()[0].version == version


def test_changes_nothing_after_the_hand_over(shop: Shop) -> None:
    purchase = make_purchase(shop, "company")
    purchase.buy()
    before = purchase.books()

    assert not undo(purchase)

    assert before.checkouts == ["awaiting_payment"]
    assert purchase.books() == before
    purchase.check()


def test_changes_nothing_after_the_sale(shop: Shop) -> None:
    purchase = make_purchase(shop, "company", 60_000)
    purchase.buy()
    before = purchase.books()

    assert not undo(purchase)

    assert before.checkouts == ["completed"]
    assert purchase.books() == before


def test_leaves_the_spend_of_other_orders_alone(shop: Shop) -> None:
    """A sale from the same balance, and one open card page, stand beside the attempt that is undone."""
    sold = make_purchase(shop, "company", 75_000)
    assert sold.buy().json()["state"] == "completed"
    waiting = sold.calls.buy(environment="dev")
    assert waiting.json()["state"] == "awaiting_payment"
    request = sold.shop.request(env_type="uat", voucher_code=sold.shop.code(sold.shop.voucher()))
    before = sold.books()
    with armed("checkout.T2.in_tx", crash), pytest.raises(Crash):
        start_checkout(request=request, now=timezone.now())

    assert undo(sold)
    assert not undo(sold)

    after = sold.books()
    assert before.entries == after.entries == [("voucher_grant", 75_000), ("order_spend", -PLAN_MINOR)]
    assert (after.posted, after.held) == (before.posted, before.held) == (25_000, 25_000)
    assert after.orders == ["paid", "pending_payment", "cancelled"]
    assert after.checkouts == ["completed", "awaiting_payment", "compensated"]
    assert list(CreditHold.objects.values_list("amount_minor", "state")) == [(25_000, "active")]
    assert_sound(sold.shop.organization.pk)


def test_voids_the_hold_on_the_balance(shop: Shop) -> None:
    shop_with_credit = make_purchase(shop, "company", 20_000)
    shop_with_credit.calls.post("vouchers/redeem/", {"code": shop.code(shop_with_credit.voucher)})
    request = shop_with_credit.shop.request()
    with armed("checkout.T2.before_call", crash), pytest.raises(Crash):
        start_checkout(request=request, now=timezone.now())
    assert shop_with_credit.books().held == 20_000

    undo(shop_with_credit)

    assert (shop_with_credit.books().posted, shop_with_credit.books().held) == (20_000, 0)
    assert list(CreditHold.objects.values_list("source", "state")) == [("balance", "voided")]


def test_either_the_hand_over_or_the_compensation_wins_whole(shop: Shop) -> None:
    assert shop.standin is not None
    for number in range(ROUNDS):
        purchase = make_purchase(shop, f"company-{number}")
        checkout_id, session = ask_for_a_session_and_die(purchase)
        hand_over = partial(_record_hand_over, checkout_id=checkout_id, session=session, now=timezone.now())
        give_back = partial(compensate, checkout_id=checkout_id, reason="crash", actor="sweeper")

        outcomes = race([hand_over, give_back, give_back])
        sweep()

        assert outcomes == {"True": 1, "False": 2}
        assert purchase.books().checkouts[0] in ("awaiting_payment", "compensated")
        purchase.check()


def ask_for_a_session_and_die(purchase: Purchase) -> tuple[Any, dict[str, Any]]:
    """Die with the session made and not recorded; return the checkout and that session."""
    assert purchase.shop.standin is not None
    reserve_and_die(purchase, "checkout.T3.in_tx")
    (checkout,) = purchase.checkouts()
    assert checkout.state == "session_requested"
    (session,) = purchase.shop.standin.sessions(client_reference_id=str(checkout.pk))
    return checkout.pk, session


def test_control_without_the_compare_and_swap_both_win() -> None:
    with scratch_table("state text", "'session_requested'"):
        both_have_read = Barrier(2)

        def step(to: str) -> bool:
            """Look, then write whatever was seen."""
            row = fetch_one("SELECT state FROM scratch")
            both_have_read.wait(10)
            return row == ("session_requested",) and execute("UPDATE scratch SET state = %s", [to]) == 1

        outcomes = race([partial(step, "awaiting_payment"), partial(step, "compensated")])

    assert outcomes == {"True": 2}


def test_control_with_the_compare_and_swap_one_wins() -> None:
    with scratch_table("state text", "'session_requested'"):

        def step(to: str) -> bool:
            return execute("UPDATE scratch SET state = %s WHERE state = 'session_requested'", [to]) == 1

        outcomes = race([partial(step, "awaiting_payment"), partial(step, "compensated")])

    assert outcomes == {"True": 1, "False": 1}
