"""A paid subscription, the calls that change it, and a saved card."""

from typing import Any

import stripe

from tests.stripe.orders import create_coupon, create_session
from tests.stripe_standin import StripeStandIn
from tests.stripe_standin.openapi import check_object

HOUR = 60 * 60
DAY = 24 * HOUR


def new_customer(standin: StripeStandIn) -> str:
    """Create a customer and return its id."""
    return standin.client().v1.customers.create({"email": "buyer@example.om"}).id


def subscribe(standin: StripeStandIn, *, discount: int = 0) -> tuple[str, str]:
    """Buy a subscription of 12.340 OMR a month on the card page; return the ids of subscription and customer."""
    changes: dict[str, Any] = {"customer": new_customer(standin)}
    if discount:
        create_coupon(standin, discount)
        changes["discounts"] = [{"coupon": "co_1"}]
    session = standin.pay(create_session(standin, **changes).id)
    return session["subscription"], session["customer"]


def monthly_item(standin: StripeStandIn, amount: int = 5_000, name: str = "WordPress", quantity: int = 1) -> Any:
    """Return an item with an ad-hoc price, whose product is created for it."""
    product = standin.client().v1.products.create({"name": name}).id
    price = {"currency": "omr", "product": product, "unit_amount": amount, "recurring": {"interval": "month"}}
    return {"price_data": {**price, "tax_behavior": "inclusive"}, "quantity": quantity}


def save_card(standin: StripeStandIn, customer: str) -> str:
    """Save a card through a setup session and return the payment method's id."""
    parameters: Any = {
        "mode": "setup",
        "customer": customer,
        "currency": "omr",
        "success_url": "http://127.0.0.1:8000/billing/?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:8000/billing/",
    }
    session = standin.client().v1.checkout.sessions.create(parameters)
    intent_id = standin.add_card(session.id)["setup_intent"]
    return str(standin.client().v1.setup_intents.retrieve(intent_id).payment_method)


def create_subscription(standin: StripeStandIn, customer: str, **changes: Any) -> stripe.Subscription:
    """Create a subscription over the API."""
    parameters: Any = {"customer": customer, "items": [monthly_item(standin)], "proration_behavior": "none", **changes}
    return standin.client().v1.subscriptions.create(parameters)


def event_types(standin: StripeStandIn, since: int) -> list[str]:
    """Return the types of the events after the first ``since`` ones, in order."""
    return [event["type"] for event in standin.events()[since:]]


def check_events(standin: StripeStandIn) -> None:
    """Check every event and the object in it against Stripe's document."""
    for event in standin.events():
        check_object("event", event)
        check_object(event["data"]["object"]["object"], event["data"]["object"])
