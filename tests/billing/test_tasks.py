"""The periodic tasks of billing: each finds its work in Postgres."""

import pytest
from celery import current_app
from django.conf import settings

from billing.models import Checkout, Order, PspCall, StripeEvent
from billing.services.checkout_types import CheckoutOutcome
from billing.tasks import checkouts as tasks
from catalyst.core import failpoints
from catalyst.core.database import execute
from tests.billing.shop import Shop, books

pytestmark = pytest.mark.django_db(transaction=True)


def _paid_unseen(shop: Shop) -> CheckoutOutcome:
    """A shopper has paid, and nobody has told us."""
    outcome = shop.buy()
    assert shop.standin is not None
    (session,) = shop.standin.sessions(status="open")
    shop.standin.pay(session["id"])
    for event in shop.standin.events():
        shop.standin.tamper("event", event["id"], pending_webhooks=1)
    return outcome


def test_every_scheduled_task_exists() -> None:
    scheduled = {str(entry["task"]) for entry in settings.CELERY_BEAT_SCHEDULE.values()}

    assert {name for name in scheduled if name.startswith("billing.")} <= set(current_app.tasks)
    assert "billing.process_stripe_event" in current_app.tasks


def test_the_sweep_gives_back_what_a_crash_left(shop: Shop) -> None:
    voucher = shop.voucher(10_000)
    with failpoints.armed("checkout.T1.after_commit", failpoints.crash), pytest.raises(failpoints.Crash):
        shop.buy(voucher_code=shop.code(voucher))
    execute("UPDATE billing_checkout SET next_action_at = now(), lease_until = now()")

    tasks.sweep_checkouts_task()

    after = books(shop, voucher)
    assert (after.checkouts, after.redemptions, after.entries) == (["compensated"], ["released"], [])
    assert (after.reserved_count, after.redeemed_count) == (0, 0)


def test_the_sweep_sees_a_payment(shop: Shop) -> None:
    _paid_unseen(shop)
    execute("UPDATE billing_checkout SET next_action_at = now()")

    tasks.sweep_checkouts_task()

    assert (Checkout.objects.get().state, Order.objects.get().state) == ("completed", "paid")


def test_a_missed_event_is_fetched_and_followed(shop: Shop) -> None:
    _paid_unseen(shop)

    tasks.fetch_missed_stripe_events_task()
    tasks.sweep_stripe_events_task()

    assert StripeEvent.objects.get(type="checkout.session.completed").state == "done"
    assert Order.objects.get().state == "paid"


def test_a_ring_follows_one_event(shop: Shop) -> None:
    _paid_unseen(shop)
    tasks.fetch_missed_stripe_events_task()
    event_id = StripeEvent.objects.get(type="checkout.session.completed").pk

    tasks.process_stripe_event_task(event_id=event_id)
    tasks.process_stripe_event_task(event_id=event_id)

    assert Order.objects.get().state == "paid"
    assert StripeEvent.objects.get(pk=event_id).state == "done"


def test_nothing_is_fetched_without_a_processor(shop_without_processor: Shop) -> None:
    tasks.fetch_missed_stripe_events_task()
    tasks.sweep_psp_calls_task()

    assert (StripeEvent.objects.count(), PspCall.objects.count()) == (0, 0)


def test_a_processor_that_does_not_answer_stops_no_task(shop: Shop) -> None:
    _paid_unseen(shop)
    execute("UPDATE billing_checkout SET next_action_at = now()")
    assert shop.standin is not None

    with shop.standin.outage():
        tasks.sweep_checkouts_task()
        tasks.fetch_missed_stripe_events_task()

    assert Checkout.objects.get().state == "awaiting_payment"
