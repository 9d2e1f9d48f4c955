"""Double click, two tabs and lost answers with one Idempotency-Key: one order."""

from functools import partial
from typing import Any

import pytest

from catalyst.core.database import execute
from catalyst.core.failpoints import armed
from tests.billing.api.calls import Calls, refusal
from tests.billing.killed import Purchase, make_purchase
from tests.billing.shop import Shop
from tests.crash.races import race

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 10


def outcome(response: Any) -> str:
    body = response.json()
    return str(body.get("code") if response.status_code >= 400 else f"{response.status_code} {body['id']}")


def press(purchase: Purchase) -> str:
    """Press the button in one more tab."""
    calls: Calls = purchase.shop.calls()
    return outcome(calls.buy(purchase.key, voucher_code=purchase.shop.code(purchase.voucher)))


@pytest.mark.parametrize(("amount_minor", "state"), [(60_000, "completed"), (10_000, "awaiting_payment")])
@pytest.mark.parametrize("tabs", [2, 4])
def test_one_key_makes_one_order(shop: Shop, amount_minor: int, state: str, tabs: int) -> None:
    assert shop.standin is not None
    for number in range(ROUNDS):
        purchase = make_purchase(shop, f"company-{number}", amount_minor)

        outcomes = race([partial(press, purchase)] * tabs)

        (checkout,) = purchase.checkouts()
        assert set(outcomes) <= {f"201 {checkout.pk}", "checkout_in_progress"}
        assert outcomes[f"201 {checkout.pk}"] >= 1
        assert checkout.state == state
        assert press(purchase) == f"201 {checkout.pk}"
        purchase.check()
        assert purchase.books().redeemed_count == 1


def test_a_second_click_while_the_first_is_at_work_is_told_to_wait(shop: Shop) -> None:
    purchase = make_purchase(shop, "company")
    second: list[Any] = []

    def click_again() -> None:
        if not second:
            second.append(race([lambda: refusal(purchase.buy(purchase.key))]))

    with armed("checkout.T1.after_commit", click_again):
        first = purchase.buy(purchase.key)

    assert first.status_code == 201
    assert second == [{"(409, 'checkout_in_progress')": 1}]
    assert purchase.books().checkouts == ["awaiting_payment"]


@pytest.mark.parametrize(
    "change", [{"plan": "l"}, {"blueprints": []}, {"environment": "dev"}, {"voucher_code": ""}, {"quote": "0" * 64}]
)
@pytest.mark.parametrize("amount_minor", [60_000, 10_000])
def test_the_same_key_with_another_body_is_refused(shop: Shop, change: dict[str, Any], amount_minor: int) -> None:
    purchase = make_purchase(shop, "company", amount_minor)
    code = shop.code(purchase.voucher)
    assert purchase.buy(purchase.key).status_code == 201
    before = purchase.books()

    answer = purchase.calls.buy(purchase.key, **{"voucher_code": code, **change})

    assert refusal(answer) == (422, "idempotency_key_reused")
    assert purchase.books() == before


def test_two_bodies_with_one_key_at_once_make_one_order(shop: Shop) -> None:
    for number in range(ROUNDS):
        purchase = make_purchase(shop, f"company-{number}", 60_000)
        code = shop.code(purchase.voucher)
        bodies = [{"environment": "prod"}, {"environment": "dev"}]

        outcomes = race(
            [partial(post, purchase.shop.calls(), purchase.key, {"voucher_code": code, **body}) for body in bodies]
        )

        (checkout,) = purchase.checkouts()
        assert outcomes == {f"201 {checkout.pk}": 1, "idempotency_key_reused": 1}
        purchase.check()


def post(calls: Calls, key: str, body: dict[str, Any]) -> str:
    return outcome(calls.buy(key, **body))


def test_control_without_the_stored_key_a_double_click_makes_two_attempts(shop: Shop) -> None:
    """With nothing remembered of the first click, the second closes its page and opens another one."""
    purchase = make_purchase(shop, "company")

    first = purchase.buy(purchase.key)
    assert execute("DELETE FROM core_idempotencykey WHERE key = %s", [purchase.key]) == 1
    second = purchase.buy(purchase.key)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["session_url"] != second.json()["session_url"]
    assert purchase.books().checkouts == ["lapsed", "awaiting_payment"]
