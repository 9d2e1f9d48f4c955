"""A paid session that is not what was asked for sells nothing: a person has to look."""

from typing import Any

import pytest
from django.utils import timezone

from billing.services.checkout_observe import observe
from billing.services.checkout_recheck import recheck_checkout
from billing.services.checkout_settle import lapse
from billing.services.psp import get_processor
from catalyst.core.database import execute
from catalyst.core.models import Outbox
from tests.billing.inbox import post_event
from tests.billing.killed import Purchase, make_purchase, sweep
from tests.billing.shop import VOUCHER_MINOR, Shop

pytestmark = pytest.mark.django_db(transaction=True)

DIFFERENCES: list[dict[str, Any]] = [
    {"amount_total": 39_990},
    {"amount_total": 0},
    {"currency": "usd"},
    {"client_reference_id": "00000000-0000-4000-8000-000000000000"},
    {"client_reference_id": None},
    {"customer": "cus_of_somebody_else"},
    {"livemode": True},
    {"subscription": None},
]


@pytest.fixture
def waiting(shop: Shop) -> Purchase:
    purchase = make_purchase(shop, "company")
    purchase.buy(purchase.key)
    return purchase


def assert_under_review(purchase: Purchase) -> None:
    after = purchase.books()
    assert (after.orders, after.checkouts) == (["pending_payment"], ["needs_review"])
    assert after.entries == [("voucher_grant", VOUCHER_MINOR)]
    assert (after.posted, after.held) == (VOUCHER_MINOR, VOUCHER_MINOR)
    assert Outbox.objects.filter(topic="order.paid").count() == 0
    assert purchase.shop.standin is not None
    assert purchase.shop.standin.refunded_minor() == 0


@pytest.mark.parametrize("change", DIFFERENCES, ids=lambda change: "-".join(change))
def test_posts_nothing_and_asks_for_a_person(waiting: Purchase, change: dict[str, Any]) -> None:
    standin = waiting.shop.standin
    assert standin is not None
    session_id = str(waiting.checkouts()[0].psp_session_id)
    standin.pay(session_id)
    standin.tamper("checkout.session", session_id, **change)

    sweep()
    assert_under_review(waiting)
    for event in standin.events("checkout.session.completed"):
        post_event(*standin.signed(event))
    sweep()

    assert_under_review(waiting)
    standin.violations.clear()


def test_a_review_does_not_end_by_itself(waiting: Purchase) -> None:
    standin = waiting.shop.standin
    assert standin is not None
    session_id = str(waiting.checkouts()[0].psp_session_id)
    paid = standin.pay(session_id)
    standin.tamper("checkout.session", session_id, amount_total=1)
    sweep()
    standin.tamper("checkout.session", session_id, amount_total=paid["amount_total"])

    sweep()

    assert_under_review(waiting)


def test_a_forged_event_about_an_unpaid_session_moves_nothing(waiting: Purchase) -> None:
    """The signature is right and the payload says paid; the processor, asked again, says open."""
    standin = waiting.shop.standin
    assert standin is not None
    before = waiting.books()
    session = standin.get("checkout.session", str(waiting.checkouts()[0].psp_session_id))
    lie = standin.build_event("checkout.session.completed", {**session, "status": "complete", "payment_status": "paid"})

    assert post_event(*standin.signed(lie)).status_code == 200
    sweep()

    assert waiting.books() == before
    waiting.check()


def test_sells_once_when_a_person_asks_and_the_difference_is_gone(waiting: Purchase) -> None:
    standin = waiting.shop.standin
    assert standin is not None
    session_id = str(waiting.checkouts()[0].psp_session_id)
    paid = standin.pay(session_id)
    standin.tamper("checkout.session", session_id, amount_total=1)
    sweep()
    assert_under_review(waiting)
    standin.tamper("checkout.session", session_id, amount_total=paid["amount_total"])
    sweep()
    assert_under_review(waiting)

    for _ in range(2):
        recheck_checkout(checkout_id=waiting.checkouts()[0].pk, actor=waiting.shop.staff, now=timezone.now())

    after = waiting.books()
    assert (after.orders, after.checkouts, after.held) == (["paid"], ["completed"], 0)
    assert after.entries == [("voucher_grant", VOUCHER_MINOR), ("order_spend", -VOUCHER_MINOR)]
    assert Outbox.objects.filter(topic="order.paid").count() == 1


def test_refunds_once_when_the_order_was_closed_and_its_credit_is_spent(waiting: Purchase) -> None:
    """Money of a lapsed checkout that did not add up at first, and cannot buy any more."""
    standin = waiting.shop.standin
    assert standin is not None
    checkout = waiting.checkouts()[0]
    session_id = str(checkout.psp_session_id)
    standin.pay(session_id)
    assert lapse(checkout_id=checkout.pk, reason="test", actor="test", now=timezone.now())
    standin.tamper("checkout.session", session_id, currency="usd")
    observe(processor=get_processor(), checkout=waiting.checkouts()[0], actor="test", now=timezone.now())
    assert waiting.books().checkouts == ["needs_review"]
    standin.tamper("checkout.session", session_id, currency="omr")
    execute("UPDATE billing_account SET frozen_at = now()")

    for _ in range(2):
        recheck_checkout(checkout_id=checkout.pk, actor=waiting.shop.staff, now=timezone.now())

    after = waiting.books()
    assert (after.orders, after.checkouts) == (["cancelled"], ["refunded"])
    assert after.entries == [("voucher_grant", VOUCHER_MINOR)]
    assert standin.refunded_minor("omr") == checkout.charge_minor
    standin.violations.clear()
