"""Events come twice, in any order, late, for nothing, or beside the redirect and the sweeper: one sale."""

import time
from collections.abc import Callable
from functools import partial
from itertools import permutations
from typing import Any

import pytest

from billing.models import StripeEvent
from billing.tasks import checkouts as tasks
from catalyst.core.database import execute
from catalyst.core.models import Outbox
from tests.billing.inbox import post_event
from tests.billing.killed import Purchase, make_due, make_purchase, sweep
from tests.billing.shop import VOUCHER_MINOR, Shop
from tests.crash.races import race
from tests.stripe_standin import StripeStandIn

pytestmark = pytest.mark.django_db(transaction=True)

SOLD = [("voucher_grant", VOUCHER_MINOR), ("order_spend", -VOUCHER_MINOR)]
ROUNDS = 10


def standin_of(purchase: Purchase) -> StripeStandIn:
    assert purchase.shop.standin is not None
    return purchase.shop.standin


def waiting_purchase(shop: Shop, slug: str = "company") -> Purchase:
    purchase = make_purchase(shop, slug)
    assert purchase.buy(purchase.key).status_code == 201
    return purchase


def session_of(purchase: Purchase) -> str:
    return str(purchase.checkouts()[0].psp_session_id)


def events_of(purchase: Purchase) -> list[dict[str, Any]]:
    """Return what the processor tells about the purchase's session, oldest first."""
    session_id = session_of(purchase)
    return [event for event in standin_of(purchase).events() if event["data"]["object"].get("id") == session_id]


def post(purchase: Purchase, event: dict[str, Any]) -> int:
    return int(post_event(*standin_of(purchase).signed(event)).status_code)


def answered(call: Callable[[str], Any], argument: str) -> str:
    response = call(argument)
    return str(response.json().get("code") if response.status_code >= 400 else response.status_code)


def assert_sold_once(purchase: Purchase) -> None:
    after = purchase.books()
    assert (after.entries, after.posted, after.held) == (SOLD, 0, 0)
    assert (after.orders, after.checkouts) == (["paid"], ["completed"])
    stream = f"organization:{purchase.shop.organization.pk}"
    assert Outbox.objects.filter(topic="order.paid", stream=stream).count() == 1
    purchase.check()


def test_every_order_of_the_events_gives_the_same_end(shop: Shop) -> None:
    for number, order in enumerate(permutations(range(3))):
        purchase = waiting_purchase(shop, f"company-{number}")
        standin = standin_of(purchase)
        standin.pay_later(session_of(purchase))
        standin.settle(session_of(purchase))
        told = events_of(purchase)
        # The third is a second event object for one fact.
        told.append(standin.build_event("checkout.session.completed", told[0]["data"]["object"], stored=True))
        assert len(told) == 3

        for position in order:
            assert post(purchase, told[position]) == 200
            sweep()

        assert_sold_once(purchase)


def test_an_event_that_comes_twice_is_stored_once(shop: Shop) -> None:
    purchase = waiting_purchase(shop)
    standin_of(purchase).pay(session_of(purchase))
    (event,) = events_of(purchase)

    assert [post(purchase, event) for _ in range(3)] == [200, 200, 200]
    sweep()
    assert post(purchase, event) == 200
    sweep()

    assert StripeEvent.objects.count() == 1
    assert_sold_once(purchase)


def test_an_expiry_told_before_the_payment_changes_nothing(shop: Shop) -> None:
    """The payload lies or is stale: what counts is what the processor says when it is asked."""
    purchase = waiting_purchase(shop)
    standin = standin_of(purchase)
    paid = standin.pay(session_of(purchase))
    stale = standin.build_event("checkout.session.expired", {**paid, "status": "expired"}, stored=True)

    post(purchase, stale)
    sweep()

    assert_sold_once(purchase)


def test_no_event_at_all_is_made_good_by_the_sweeper(shop: Shop) -> None:
    purchase = waiting_purchase(shop)
    standin_of(purchase).pay(session_of(purchase))

    make_due()
    tasks.sweep_checkouts_task()

    assert StripeEvent.objects.count() == 0
    assert_sold_once(purchase)


def test_an_event_that_was_never_delivered_is_fetched(shop: Shop) -> None:
    purchase = waiting_purchase(shop)
    standin_of(purchase).pay(session_of(purchase))
    (event,) = events_of(purchase)
    standin_of(purchase).tamper("event", event["id"], pending_webhooks=1)

    tasks.fetch_missed_stripe_events_task()
    tasks.fetch_missed_stripe_events_task()
    make_due()
    tasks.sweep_stripe_events_task()

    assert_sold_once(purchase)


@pytest.mark.parametrize("case", ["wrong secret", "old timestamp", "changed body", "no signature"])
def test_a_forged_event_is_not_stored(shop: Shop, case: str) -> None:
    purchase = waiting_purchase(shop)
    before = purchase.books()
    standin = standin_of(purchase)
    event = standin.build_event("checkout.session.completed", standin.get("checkout.session", session_of(purchase)))
    body, headers = {
        "wrong secret": standin.signed(event, secret="whsec_other"),
        "old timestamp": standin.signed(event, timestamp=int(time.time()) - 301),
        "changed body": (standin.signed(event)[0] + b" ", standin.signed(event)[1]),
        "no signature": (standin.signed(event)[0], {"Content-Type": "application/json"}),
    }[case]

    answer = post_event(body, headers)
    sweep()

    assert (answer.status_code, answer.json()["code"]) == (400, "webhook_signature_invalid")
    assert StripeEvent.objects.count() == 0
    assert purchase.books() == before


def test_an_event_about_nothing_of_ours_waits_and_blocks_nobody(shop: Shop) -> None:
    purchase = waiting_purchase(shop)
    standin = standin_of(purchase)
    standin.pay(session_of(purchase))
    (event,) = events_of(purchase)
    stranger = standin.client().v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "success_url": "https://example.com/",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": "omr",
                        "unit_amount": 5_000,
                        "recurring": {"interval": "month"},
                        "product_data": {"name": "Somebody else's"},
                    },
                }
            ],
        }
    )
    theirs = standin.build_event("checkout.session.completed", standin.pay(stranger.id), stored=True)

    post(purchase, theirs)
    post(purchase, event)
    sweep()

    assert StripeEvent.objects.get(pk=theirs["id"]).state == "pending"
    assert_sold_once(purchase)
    execute("UPDATE billing_stripeevent SET received_at = now() - interval '73 hours' WHERE id = %s", [theirs["id"]])
    sweep()
    assert StripeEvent.objects.get(pk=theirs["id"]).state == "dead"
    # A dead event is an alarm until a person has dealt with it.
    StripeEvent.objects.filter(pk=theirs["id"]).update(state="ignored")


def test_an_unknown_type_is_ignored(shop: Shop) -> None:
    purchase = waiting_purchase(shop)
    standin = standin_of(purchase)
    event = standin.build_event("customer.created", standin.all("customer")[0], stored=True)

    assert post(purchase, event) == 200
    sweep()

    assert StripeEvent.objects.get().state == "ignored"
    assert purchase.books().checkouts == ["awaiting_payment"]


def test_webhook_redirect_and_sweeper_together_sell_once(shop: Shop) -> None:
    for number in range(ROUNDS):
        purchase = waiting_purchase(shop, f"company-{number}")
        standin_of(purchase).pay(session_of(purchase))
        (event,) = events_of(purchase)
        post(purchase, event)
        make_due()
        path = f"checkouts/{purchase.checkouts()[0].pk}/cancel/"

        outcomes = race(
            [
                partial(tasks.process_stripe_event_task, event_id=event["id"]),
                partial(tasks.process_stripe_event_task, event_id=event["id"]),
                tasks.sweep_checkouts_task,
                tasks.sweep_checkouts_task,
                # The shopper comes back by the wrong page; asking the processor, it finds the money.
                partial(answered, purchase.calls.post, path),
                partial(answered, purchase.buy, purchase.key),
            ]
        )

        assert (outcomes["None"], outcomes.total()) == (4, 6)
        # The repeated order finds its own, or hears that another one of these decides it at that moment.
        assert set(outcomes) - {"None"} <= {"201", "202", "already_paid", "checkout_in_progress"}, outcomes
        sweep()
        assert_sold_once(purchase)
