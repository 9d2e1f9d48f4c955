"""The sweeper or the webhook is killed while it follows the processor: the next one finishes, once."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from billing.models import StripeEvent
from billing.services.checkout_settle import lapse
from catalyst.core.models import Outbox
from tests.billing.killed import Purchase, make_due, make_purchase, sweep
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Shop
from tests.crash.client import CrashServer

pytestmark = pytest.mark.django_db(transaction=True)

CHARGE_MINOR = PLAN_MINOR - VOUCHER_MINOR
SPEND = [("voucher_grant", VOUCHER_MINOR), ("order_spend", -VOUCHER_MINOR)]


@pytest.fixture
def purchase(shop: Shop) -> Purchase:
    """A purchase whose card page the shopper holds."""
    waiting = make_purchase(shop, "company")
    assert waiting.buy(waiting.key).json()["state"] == "awaiting_payment"
    return waiting


def session_of(purchase: Purchase) -> str:
    return str(purchase.checkouts()[0].psp_session_id)


def by_webhook(purchase: Purchase, server: CrashServer, kill_at: str) -> None:
    """Deliver the processor's event to a doomed web process, or process it in a doomed worker."""
    standin = purchase.shop.standin
    assert standin is not None
    (event,) = standin.events("checkout.session.completed")
    body, headers = standin.signed(event)
    server.post_raw("/webhooks/stripe/", body, headers)
    assert server.sweep(kill_at=kill_at).is_killed


def by_sweeper(purchase: Purchase, server: CrashServer, kill_at: str) -> None:
    make_due()
    assert server.sweep(kill_at=kill_at).is_killed


def assert_sold_once(purchase: Purchase) -> None:
    purchase.check()
    after = purchase.books()
    assert (after.entries, after.posted, after.held) == (SPEND, 0, 0)
    assert (after.redemptions, after.orders, after.checkouts) == (["redeemed"], ["paid"], ["completed"])
    assert Outbox.objects.filter(topic="order.paid").count() == 1
    assert purchase.shop.standin is not None
    assert purchase.shop.standin.captured_minor() == CHARGE_MINOR
    assert purchase.shop.standin.refunded_minor() == 0


@pytest.mark.parametrize("point", ["checkout.T5.in_tx", "checkout.T5.after_commit"])
@pytest.mark.parametrize("way", [by_webhook, by_sweeper])
def test_a_payment_is_sold_once(
    purchase: Purchase, crash_server: CrashServer, point: str, way: Callable[[Purchase, CrashServer, str], None]
) -> None:
    assert purchase.shop.standin is not None
    purchase.shop.standin.pay(session_of(purchase))

    way(purchase, crash_server, point)
    sweep()
    assert_sold_once(purchase)
    sweep()

    assert_sold_once(purchase)
    assert StripeEvent.objects.exclude(state="done").count() == 0


def test_an_effect_without_its_mark_is_not_repeated(purchase: Purchase, crash_server: CrashServer) -> None:
    assert purchase.shop.standin is not None
    purchase.shop.standin.pay(session_of(purchase))

    by_webhook(purchase, crash_server, "inbox.effect.in_tx")
    assert StripeEvent.objects.get().state == "pending"
    sweep()

    assert_sold_once(purchase)
    assert StripeEvent.objects.get().state == "done"


def test_a_stored_event_survives_the_death_of_its_request(purchase: Purchase, crash_server: CrashServer) -> None:
    standin = purchase.shop.standin
    assert standin is not None
    standin.pay(session_of(purchase))
    (event,) = standin.events("checkout.session.completed")
    body, headers = standin.signed(event)

    assert crash_server.post_raw("/webhooks/stripe/", body, headers, kill_at="inbox.store.after_commit").is_killed
    repeat = crash_server.post_raw("/webhooks/stripe/", body, headers)
    sweep()

    assert repeat.answer == {"status": 200, "body": ""}
    assert_sold_once(purchase)


@pytest.mark.parametrize("point", ["checkout.T6.in_tx", "checkout.T6.after_commit"])
def test_an_expired_session_lapses_once(purchase: Purchase, crash_server: CrashServer, point: str) -> None:
    assert purchase.shop.standin is not None
    purchase.shop.standin.clock.advance(36 * 60)

    by_sweeper(purchase, crash_server, point)
    sweep()
    sweep()

    purchase.check()
    after = purchase.books()
    assert (after.entries, after.posted, after.held) == ([("voucher_grant", VOUCHER_MINOR)], VOUCHER_MINOR, 0)
    assert (after.redemptions, after.orders, after.checkouts) == (["redeemed"], ["cancelled"], ["lapsed"])
    assert purchase.shop.standin.captured_minor() == 0


@pytest.mark.parametrize("point", ["refund.late.before_call", "refund.late.after_call_before_record"])
def test_late_money_is_returned_once(purchase: Purchase, crash_server: CrashServer, point: str) -> None:
    """The order was closed and the credit spent elsewhere before the money was seen."""
    standin = purchase.shop.standin
    assert standin is not None
    lapse(checkout_id=purchase.checkouts()[0].pk, reason="session_expired", actor="sweeper", now=timezone.now())
    assert purchase.buy().status_code == 201
    standin.pay(str(purchase.checkouts()[0].psp_session_id))

    by_webhook(purchase, crash_server, point)
    sweep()
    sweep()

    after = purchase.books()
    assert after.checkouts == ["refunded", "awaiting_payment"]
    assert (standin.captured_minor(), standin.refunded_minor()) == (CHARGE_MINOR, CHARGE_MINOR)
    assert standin.calls.effect_count("refunds.create") == 1
    assert [row["status"] for row in standin.all("subscription")] == ["canceled"]
    assert (after.entries, after.held) == ([("voucher_grant", VOUCHER_MINOR)], VOUCHER_MINOR)
