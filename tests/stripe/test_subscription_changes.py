"""Subscriptions over the API: made with a saved card, changed, ended."""

from typing import Any

import pytest
import stripe

from tests.stripe.subscriptions import (
    DAY,
    HOUR,
    check_events,
    create_subscription,
    monthly_item,
    new_customer,
    save_card,
    subscribe,
)
from tests.stripe_standin import Fault, StripeStandIn


def update(standin: StripeStandIn, subscription: str, **changes: Any) -> stripe.Subscription:
    parameters: Any = changes
    return standin.client().v1.subscriptions.update(subscription, parameters)


def prices(standin: StripeStandIn, subscription: str) -> list[tuple[int, int]]:
    items = standin.get("subscription", subscription)["items"]["data"]
    return [(item["price"]["unit_amount"], item["quantity"]) for item in items]


def test_collects_the_first_invoice_from_the_saved_card(stripe_standin: StripeStandIn) -> None:
    customer = new_customer(stripe_standin)
    card = save_card(stripe_standin, customer)

    made = create_subscription(stripe_standin, customer, default_payment_method=card, metadata={"environment": "e-1"})

    invoice = stripe_standin.get("invoice", str(made.latest_invoice))
    assert (made.status, made.metadata.to_dict()) == ("active", {"environment": "e-1"})
    assert (invoice["status"], invoice["billing_reason"], invoice["amount_paid"]) == (
        "paid",
        "subscription_create",
        5_000,
    )
    check_events(stripe_standin)


def test_needs_a_card_unless_the_first_period_is_free(stripe_standin: StripeStandIn) -> None:
    customer = new_customer(stripe_standin)

    with pytest.raises(stripe.InvalidRequestError):
        create_subscription(stripe_standin, customer)

    assert stripe_standin.all("subscription") == []
    assert stripe_standin.all("invoice") == []


def test_a_declined_first_payment_leaves_it_incomplete(stripe_standin: StripeStandIn) -> None:
    customer = new_customer(stripe_standin)
    card = save_card(stripe_standin, customer)
    stripe_standin.decline(customer)

    made = create_subscription(stripe_standin, customer, default_payment_method=card)
    assert made.status == "incomplete"
    stripe_standin.clock.advance(23 * HOUR)

    assert stripe_standin.get("subscription", made.id)["status"] == "incomplete_expired"
    assert stripe_standin.get("invoice", str(made.latest_invoice))["status"] == "void"
    with pytest.raises(stripe.CardError):
        create_subscription(
            stripe_standin, customer, default_payment_method=card, payment_behavior="error_if_incomplete"
        )
    assert len(stripe_standin.all("subscription")) == 1
    assert stripe_standin.captured_minor() == 0


def test_a_trial_ends_with_an_ordinary_renewal(stripe_standin: StripeStandIn) -> None:
    customer = new_customer(stripe_standin)
    card = save_card(stripe_standin, customer)
    end = stripe_standin.clock.now() + 10 * DAY

    made = create_subscription(stripe_standin, customer, trial_end=end, default_payment_method=card)
    assert (made.status, made.trial_end, made["items"].data[0].current_period_end) == ("trialing", end, end)
    assert stripe_standin.get("invoice", str(made.latest_invoice))["total"] == 0
    draft = stripe_standin.renew(made.id)

    assert stripe_standin.get("subscription", made.id)["status"] == "active"
    assert (draft["status"], draft["total"], draft["billing_reason"]) == ("draft", 5_000, "subscription_cycle")
    stripe_standin.clock.advance(HOUR)
    assert stripe_standin.captured_minor() == 5_000
    check_events(stripe_standin)


def test_an_anchor_ahead_leaves_the_time_until_it_free_and_without_an_invoice(stripe_standin: StripeStandIn) -> None:
    customer = new_customer(stripe_standin)
    card = save_card(stripe_standin, customer)
    anchor = stripe_standin.clock.now() + 10 * DAY

    made = create_subscription(stripe_standin, customer, billing_cycle_anchor=anchor, default_payment_method=card)

    assert (made.status, made.latest_invoice, stripe_standin.all("invoice")) == ("active", None, [])
    assert stripe_standin.renew(made.id)["created"] == anchor
    with pytest.raises(stripe.InvalidRequestError):
        create_subscription(stripe_standin, customer, billing_cycle_anchor=anchor + 60 * DAY)


def test_bills_the_new_items_from_the_next_period_on(stripe_standin: StripeStandIn) -> None:
    subscription, _ = subscribe(stripe_standin)
    old = stripe_standin.get("subscription", subscription)["items"]["data"][0]
    items = [
        {"id": old["id"], "deleted": True},
        monthly_item(stripe_standin, 20_000),
        monthly_item(stripe_standin, 3_000),
    ]

    changed = update(stripe_standin, subscription, items=items, proration_behavior="none")

    assert prices(stripe_standin, subscription) == [(20_000, 1), (3_000, 1)]
    assert changed["items"].data[0].current_period_end == old["current_period_end"]
    assert (len(stripe_standin.all("invoice")), stripe_standin.captured_minor()) == (1, 12_340)
    assert stripe_standin.renew(subscription)["total"] == 23_000
    check_events(stripe_standin)


def test_keeps_the_items_that_a_change_does_not_name(stripe_standin: StripeStandIn) -> None:
    subscription, _ = subscribe(stripe_standin)
    old = stripe_standin.get("subscription", subscription)["items"]["data"][0]

    update(stripe_standin, subscription, items=[monthly_item(stripe_standin)], proration_behavior="none")
    update(stripe_standin, subscription, items=[{"id": old["id"], "quantity": 3}], proration_behavior="none")

    assert prices(stripe_standin, subscription) == [(12_340, 3), (5_000, 1)]


def test_refuses_changes_that_stripe_or_we_would_not_do(stripe_standin: StripeStandIn) -> None:
    subscription, _ = subscribe(stripe_standin)
    item = stripe_standin.get("subscription", subscription)["items"]["data"][0]["id"]
    weekly = monthly_item(stripe_standin)
    weekly["price_data"]["recurring"]["interval"] = "week"
    refused: list[tuple[list[Any], dict[str, str]]] = [
        ([monthly_item(stripe_standin)], {}),
        ([monthly_item(stripe_standin)], {"proration_behavior": "create_prorations"}),
        ([{"id": item, "deleted": True}], {"proration_behavior": "none"}),
        ([{"id": "si_unknown", "deleted": True}], {"proration_behavior": "none"}),
        ([weekly], {"proration_behavior": "none"}),
        ([monthly_item(stripe_standin, 5_005)], {"proration_behavior": "none"}),
    ]

    for items, changes in refused:
        with pytest.raises(stripe.InvalidRequestError):
            update(stripe_standin, subscription, items=items, **changes)

    assert prices(stripe_standin, subscription) == [(12_340, 1)]
    assert stripe_standin.events("customer.subscription.updated") == []


def test_ends_at_the_end_of_the_period_unless_taken_back(stripe_standin: StripeStandIn) -> None:
    subscription, _ = subscribe(stripe_standin)
    end = stripe_standin.get("subscription", subscription)["items"]["data"][0]["current_period_end"]

    planned = update(stripe_standin, subscription, cancel_at_period_end=True)
    assert (planned.status, planned.cancel_at) == ("active", end)
    back = update(stripe_standin, subscription, cancel_at_period_end=False)
    assert (back.cancel_at, back.canceled_at) == (None, None)
    update(stripe_standin, subscription, cancel_at_period_end=True)
    stripe_standin.renew(subscription)

    ended = stripe_standin.get("subscription", subscription)
    assert (ended["status"], ended["ended_at"], len(stripe_standin.all("invoice"))) == ("canceled", end, 1)
    assert len(stripe_standin.events("customer.subscription.deleted")) == 1
    with pytest.raises(stripe.InvalidRequestError):
        update(stripe_standin, subscription, cancel_at_period_end=False)


def test_collects_nothing_after_it_was_canceled(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    subscription, _ = subscribe(stripe_standin)
    draft = stripe_standin.renew(subscription)["id"]

    client.v1.subscriptions.cancel(subscription)
    stripe_standin.clock.advance(40 * DAY)

    invoice = stripe_standin.get("invoice", draft)
    assert (invoice["status"], invoice["auto_advance"], len(stripe_standin.all("invoice"))) == ("draft", False, 2)
    assert stripe_standin.captured_minor() == 12_340


def test_changes_once_under_one_key_though_the_reply_is_lost(
    stripe_standin: StripeStandIn, client: stripe.StripeClient
) -> None:
    subscription, _ = subscribe(stripe_standin)
    parameters: Any = {"items": [monthly_item(stripe_standin)], "proration_behavior": "none"}
    options: stripe.RequestOptions = {"idempotency_key": "change:1"}
    stripe_standin.script("subscriptions.update", Fault.DROP_AFTER)

    with pytest.raises(stripe.APIConnectionError):
        client.v1.subscriptions.update(subscription, parameters, options)
    client.v1.subscriptions.update(subscription, parameters, options)

    assert prices(stripe_standin, subscription) == [(12_340, 1), (5_000, 1)]
    assert stripe_standin.calls.effect_count("subscriptions.update", "change:1") == 1
