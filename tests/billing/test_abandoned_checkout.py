"""The card page was handed over and nobody paid: the order ends, the credit stays and pays the next order."""

import uuid

import pytest

from billing.models import Checkout, CreditHold
from tests.billing.api.calls import omr, refusal
from tests.billing.killed import Purchase, make_purchase, sweep
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Shop
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)

HALF_AN_HOUR, LIFE = 30 * 60, 36 * 60
GRANT = ("voucher_grant", VOUCHER_MINOR)


@pytest.fixture
def waiting(shop: Shop) -> Purchase:
    """A purchase whose shopper holds the card page."""
    purchase = make_purchase(shop, "company")
    assert purchase.buy(purchase.key).json()["state"] == "awaiting_payment"
    return purchase


def assert_lapsed(purchase: Purchase) -> None:
    after = purchase.books()
    assert (after.redemptions, after.orders, after.checkouts) == (["redeemed"], ["cancelled"], ["lapsed"])
    assert (after.entries, after.posted, after.held) == ([GRANT], VOUCHER_MINOR, 0)
    assert (after.reserved_count, after.redeemed_count) == (0, 1)
    assert list(CreditHold.objects.values_list("state", flat=True)) == ["voided"]
    purchase.check()


def test_an_open_page_is_never_closed_by_our_clock(waiting: Purchase) -> None:
    standin = waiting.shop.standin
    assert standin is not None
    standin.clock.advance(HALF_AN_HOUR)

    sweep()
    sweep()

    assert waiting.books().checkouts == ["awaiting_payment"]
    assert waiting.books().held == VOUCHER_MINOR
    assert len(standin.sessions(status="open")) == 1


def test_lapses_when_the_processor_says_expired(waiting: Purchase) -> None:
    assert waiting.shop.standin is not None
    waiting.shop.standin.clock.advance(LIFE)

    sweep()
    assert_lapsed(waiting)
    sweep()

    assert_lapsed(waiting)


def test_the_credit_pays_the_next_order(waiting: Purchase) -> None:
    standin = waiting.shop.standin
    assert standin is not None
    standin.expire(str(waiting.checkouts()[0].psp_session_id))
    sweep()
    assert_lapsed(waiting)

    answer = waiting.buy()

    body = answer.json()
    assert (answer.status_code, body["state"]) == (201, "awaiting_payment")
    assert body["voucher"] == {"status": "already_redeemed"}
    assert (body["order"]["credit"], body["order"]["charge"]) == (omr(VOUCHER_MINOR), omr(PLAN_MINOR - VOUCHER_MINOR))
    standin.pay(standin.sessions(status="open")[0]["id"])
    sweep()
    after = waiting.books()
    assert after.entries == [GRANT, ("order_spend", -VOUCHER_MINOR)]
    assert (after.orders, after.checkouts) == (["cancelled", "paid"], ["lapsed", "completed"])
    assert (after.posted, after.held, after.redeemed_count) == (0, 0, 1)
    assert standin.captured_minor() == PLAN_MINOR - VOUCHER_MINOR
    waiting.check()


def test_the_old_key_says_what_became_of_it(waiting: Purchase) -> None:
    assert waiting.shop.standin is not None
    waiting.shop.standin.clock.advance(LIFE)
    sweep()

    answer = waiting.buy(waiting.key)

    assert (answer.status_code, answer.json()["state"]) == (200, "lapsed")
    assert_lapsed(waiting)


def test_the_shopper_calls_it_off(waiting: Purchase) -> None:
    standin = waiting.shop.standin
    assert standin is not None
    (checkout,) = waiting.checkouts()

    answer = waiting.calls.post(f"checkouts/{checkout.pk}/cancel/")
    again = waiting.calls.post(f"checkouts/{checkout.pk}/cancel/")

    assert (answer.status_code, answer.json()["state"]) == (200, "lapsed")
    assert (again.status_code, again.json()["state"]) == (200, "lapsed")
    assert standin.get("checkout.session", str(checkout.psp_session_id))["status"] == "expired"
    assert_lapsed(waiting)


def test_a_payment_beats_the_cancellation(waiting: Purchase) -> None:
    assert waiting.shop.standin is not None
    (checkout,) = waiting.checkouts()
    waiting.shop.standin.pay(str(checkout.psp_session_id))

    answer = waiting.calls.post(f"checkouts/{checkout.pk}/cancel/")

    assert refusal(answer) == (409, "already_paid")
    assert waiting.books().checkouts == ["completed"]
    assert waiting.books().entries == [GRANT, ("order_spend", -VOUCHER_MINOR)]
    waiting.check()


def test_a_cancellation_without_an_answer_is_finished_by_the_sweeper(waiting: Purchase) -> None:
    standin = waiting.shop.standin
    assert standin is not None
    (checkout,) = waiting.checkouts()
    standin.script("checkout.sessions.expire", Fault.DROP_BEFORE, times=None)

    answer = waiting.calls.post(f"checkouts/{checkout.pk}/cancel/")

    assert refusal(answer) == (503, "payment_processor_unavailable")
    assert Checkout.objects.get().state == "expiring"
    assert waiting.books().held == VOUCHER_MINOR
    standin.clear_faults()
    sweep()
    assert_lapsed(waiting)


def test_a_later_attempt_closes_the_page_before_it_shows_another(waiting: Purchase) -> None:
    standin = waiting.shop.standin
    assert standin is not None
    (first,) = waiting.checkouts()

    answer = waiting.buy(uuid.uuid4().hex)

    assert answer.status_code == 201
    assert standin.get("checkout.session", str(first.psp_session_id))["status"] == "expired"
    assert [session["url"] for session in standin.sessions(status="open")] == [answer.json()["session_url"]]
    assert waiting.books().checkouts == ["lapsed", "awaiting_payment"]
    waiting.check()
