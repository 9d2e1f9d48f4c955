"""The database connection is cut in a checkout: all or nothing, and a COMMIT without an answer is read, not guessed."""

from collections.abc import Callable
from typing import Any

import pytest

from catalyst.core.failpoints import armed
from tests.billing.killed import Purchase, make_purchase, sweep
from tests.billing.shop import VOUCHER_MINOR, Books, Shop
from tests.crash.deaths import end_backend, lose_the_commit
from tests.crash.races import race

pytestmark = pytest.mark.django_db(transaction=True)

UNTOUCHED = Books(0, 0, [], [], [], [], 0, 0)
GIVEN_BACK = Books(0, 0, [], ["released"], ["cancelled"], ["compensated"], 0, 0)


@pytest.fixture
def purchase(shop: Shop) -> Purchase:
    return make_purchase(shop, "company")


def buy_while(purchase: Purchase, point: str, action: Callable[[], None]) -> int:
    """Buy in a thread whose connection nobody else needs; return the status."""
    answers: list[Any] = []
    with armed(point, once(action)):
        race([lambda: answers.append(purchase.buy(purchase.key))])
    return int(answers[0].status_code)


def once(action: Callable[[], None]) -> Callable[[], None]:
    waiting = [action]
    return lambda: waiting.pop()() if waiting else None


def assert_code_works(purchase: Purchase) -> None:
    assert purchase.buy().status_code == 201
    sweep()
    purchase.check()
    assert purchase.books().entries == [("voucher_grant", VOUCHER_MINOR)]


def test_a_cut_in_the_reservation_writes_nothing(purchase: Purchase) -> None:
    assert buy_while(purchase, "checkout.T1.in_tx", end_backend) in (500, 503)

    assert purchase.books() == UNTOUCHED
    assert_code_works(purchase)


@pytest.mark.parametrize("point", ["checkout.T2.in_tx", "checkout.T4.in_tx"])
def test_a_cut_before_the_hand_over_is_undone_by_the_sweeper(purchase: Purchase, point: str) -> None:
    assert purchase.shop.standin is not None
    purchase.shop.standin.keys.clear()
    point_is_reached = buy_while(purchase, point, end_backend)
    purchase.shop.standin.keys.add("sk_test_standin")

    sweep()

    assert point_is_reached in (500, 503)
    assert purchase.books() == GIVEN_BACK
    assert_code_works(purchase)


def test_a_cut_in_the_hand_over_gives_everything_back_at_once(purchase: Purchase) -> None:
    assert buy_while(purchase, "checkout.T3.in_tx", end_backend) == 503

    assert purchase.books() == GIVEN_BACK
    sweep()
    purchase.check()
    assert_code_works(purchase)


def test_a_hand_over_whose_commit_was_not_answered_stands(purchase: Purchase) -> None:
    assert purchase.shop.standin is not None

    assert buy_while(purchase, "checkout.T3.in_tx", lose_the_commit) == 201

    assert purchase.books().checkouts == ["awaiting_payment"]
    assert len(purchase.shop.standin.sessions(status="open")) == 1
    sweep()
    purchase.check()


def test_a_sale_whose_commit_was_not_answered_is_found_by_its_key(shop: Shop) -> None:
    purchase = make_purchase(shop, "company", 60_000)

    assert buy_while(purchase, "checkout.T1T5.in_tx", lose_the_commit) in (500, 503)

    answer = purchase.buy(purchase.key)
    assert (answer.status_code, answer.json()["state"]) == (201, "completed")
    assert purchase.books().checkouts == ["completed"]
    purchase.check()
