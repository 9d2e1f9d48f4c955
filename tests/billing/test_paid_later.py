"""Methods that pay days later: the hold stays until the processor says paid or failed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing.models import PspCall, Subscription
from billing.services.subscription_sweep import sweep_subscriptions
from billing.tasks import checkouts as tasks
from catalyst.core.failpoints import Crash, armed, crash
from catalyst.core.models import Outbox
from tests.billing.inbox import post_event
from tests.billing.killed import Purchase, make_due, make_purchase, sweep
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Shop
from tests.stripe_standin import Fault, StripeStandIn

pytestmark = pytest.mark.django_db(transaction=True)

GRANT = ("voucher_grant", VOUCHER_MINOR)


@pytest.fixture
def processing(shop: Shop) -> Purchase:
    """A purchase whose page was completed with a method that pays later."""
    purchase = make_purchase(shop, "company")
    purchase.buy(purchase.key)
    standin_of(purchase).pay_later(session_of(purchase))
    sweep()
    return purchase


def standin_of(purchase: Purchase) -> StripeStandIn:
    assert purchase.shop.standin is not None
    return purchase.shop.standin


def session_of(purchase: Purchase) -> str:
    return str(purchase.checkouts()[0].psp_session_id)


def tell(purchase: Purchase, type_: str) -> None:
    for event in standin_of(purchase).events(type_):
        assert post_event(*standin_of(purchase).signed(event)).status_code == 200
    sweep()


def test_waits_with_the_hold_for_days(processing: Purchase) -> None:
    make_due()
    tasks.sweep_checkouts_task()

    after = processing.books()
    assert (after.orders, after.checkouts) == (["pending_payment"], ["payment_processing"])
    assert (after.entries, after.posted, after.held) == ([GRANT], VOUCHER_MINOR, VOUCHER_MINOR)
    next_look = processing.checkouts()[0].next_action_at
    assert next_look > timezone.now() + timedelta(minutes=59)
    assert Outbox.objects.filter(topic="order.paid").count() == 0
    processing.check()


@pytest.mark.parametrize("told", [True, False])
def test_sells_when_the_money_arrives(processing: Purchase, told: bool) -> None:
    standin_of(processing).settle(session_of(processing))

    tell(processing, "checkout.session.async_payment_succeeded" if told else "no.such.event")
    sweep()

    after = processing.books()
    assert (after.orders, after.checkouts) == (["paid"], ["completed"])
    assert (after.entries, after.held) == ([GRANT, ("order_spend", -VOUCHER_MINOR)], 0)
    assert Subscription.objects.get().collection == "card"
    assert standin_of(processing).captured_minor() == PLAN_MINOR - VOUCHER_MINOR
    processing.check()


@pytest.mark.parametrize("told", [True, False])
def test_lapses_when_the_payment_fails(processing: Purchase, told: bool) -> None:
    standin_of(processing).fail(session_of(processing))

    tell(processing, "checkout.session.async_payment_failed" if told else "no.such.event")
    sweep()

    after = processing.books()
    assert (after.redemptions, after.orders, after.checkouts) == (["redeemed"], ["cancelled"], ["lapsed"])
    assert (after.entries, after.posted, after.held) == ([GRANT], VOUCHER_MINOR, 0)
    assert standin_of(processing).captured_minor() == 0
    assert [row["status"] for row in standin_of(processing).all("subscription")] == ["canceled"]
    processing.check()


@pytest.mark.parametrize("is_crash", [True, False])
def test_what_a_failed_payment_left_at_the_processor_is_ended_later(processing: Purchase, is_crash: bool) -> None:
    standin = standin_of(processing)
    standin.fail(session_of(processing))
    standin.script("subscriptions.cancel", Fault.DROP_BEFORE, times=2)
    if is_crash:
        with armed("subscription.call.before_call", crash), pytest.raises(Crash):
            sweep()
    sweep()
    assert processing.books().checkouts == ["lapsed"]
    assert "canceled" not in [row["status"] for row in standin.all("subscription")]
    standin.clear_faults()

    make_due()
    sweep_subscriptions(now=timezone.now())

    assert [row["status"] for row in standin.all("subscription")] == ["canceled"]
    assert PspCall.objects.get(op="subscription.cancel").state == "succeeded"
    processing.check()


def test_another_attempt_has_to_wait(processing: Purchase) -> None:
    make_due()

    answer = processing.buy()

    assert (answer.status_code, answer.json()["code"]) == (409, "checkout_in_progress")
    assert processing.books().checkouts == ["payment_processing"]
    assert len(standin_of(processing).sessions()) == 1
