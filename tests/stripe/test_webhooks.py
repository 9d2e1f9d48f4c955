"""Events are signed as Stripe signs them, in any order and number, and delivered until somebody takes them."""

import pytest
import stripe

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.clock import Clock
from catalyst.local.sandbox_stripe.store import Store
from catalyst.local.sandbox_stripe.webhooks import Courier
from tests.stripe.orders import create_session
from tests.stripe.shop import Shop
from tests.stripe_standin import DEFAULT_WEBHOOK_SECRET, StripeStandIn


def test_signs_as_the_library_verifies(stripe_standin: StripeStandIn) -> None:
    stripe_standin.pay(create_session(stripe_standin).id)
    event = stripe_standin.events("checkout.session.completed")[0]
    body, headers = stripe_standin.signed(event)

    verified = stripe.Webhook.construct_event(body, headers["Stripe-Signature"], DEFAULT_WEBHOOK_SECRET)

    assert (verified.id, verified.type, verified.livemode) == (event["id"], "checkout.session.completed", False)
    assert verified.data.object["client_reference_id"] == "checkout-1"
    assert verified.api_version == "2026-10-28.endive"


def test_lets_wrong_and_old_signatures_be_built(stripe_standin: StripeStandIn) -> None:
    event = stripe_standin.build_event("checkout.session.completed", {"object": "checkout.session", "id": "cs_forged"})
    foreign = stripe_standin.signed(event, secret="whsec_other")
    old = stripe_standin.signed(event, timestamp=1_000_000_000)

    for body, headers in (foreign, old):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body, headers["Stripe-Signature"], DEFAULT_WEBHOOK_SECRET)

    assert stripe_standin.events() == []


def test_delivers_the_same_event_as_often_as_told(stripe_standin: StripeStandIn, shop: Shop) -> None:
    stripe_standin.pay(create_session(stripe_standin).id)
    first, *_, last = stripe_standin.events()

    statuses = [stripe_standin.deliver(event, shop.url) for event in (last, first, first)]

    assert statuses == [200, 200, 200]
    names = [stripe.Webhook.construct_event(*got, DEFAULT_WEBHOOK_SECRET).id for got in shop.received]
    assert names == [last["id"], first["id"], first["id"]]


def test_says_when_nobody_answers(stripe_standin: StripeStandIn) -> None:
    event = stripe_standin.build_event("charge.refunded", {"object": "charge", "id": "ch_1"}, stored=True)

    assert stripe_standin.deliver(event, "http://127.0.0.1:9/") == 0


def test_lists_events_for_recovery(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    stripe_standin.pay(create_session(stripe_standin).id)

    listed = client.v1.events.list({"types": ["checkout.session.completed", "invoice.paid"]}).data

    assert [event.type for event in listed] == ["invoice.paid", "checkout.session.completed"]
    assert client.v1.events.retrieve(listed[0].id).id == listed[0].id


def test_retries_a_refused_delivery_until_it_is_taken(shop: Shop) -> None:
    account = Account(Store(), Clock(), has_webhook=True)
    courier = Courier(account, shop.url, DEFAULT_WEBHOOK_SECRET)
    event = account.emit("customer.created", {"object": "customer", "id": "cus_1"})
    shop.statuses = [503]

    assert courier.deliver_next() is True
    assert courier.deliver_next() is False  # The next attempt waits a second.
    assert account.find("event", event["id"])["pending_webhooks"] == 1
    account.store.postpone_delivery(event["id"], 0)
    assert courier.deliver_next() is True

    assert account.find("event", event["id"])["pending_webhooks"] == 0
    assert account.store.next_delivery() is None
    assert [body for body, _ in shop.received] == [shop.received[0][0]] * 2
