"""Parameters of calls as Catalyst makes them: an order of 12.340 OMR, paid by card or partly by credit."""

from typing import Any

import stripe

from tests.stripe_standin import StripeStandIn

TOTAL = 12_340


def line(unit_amount: int = TOTAL, **changes: Any) -> dict[str, Any]:
    """Return one monthly line."""
    price = {
        "currency": "omr",
        "unit_amount": unit_amount,
        "tax_behavior": "inclusive",
        "product_data": {"name": "Plan M"},
        "recurring": {"interval": "month"},
    }
    return {"quantity": 1, "price_data": {**price, **changes}}


def session_parameters(standin: StripeStandIn, **changes: Any) -> Any:
    """Return the parameters of a subscription session; a change to None leaves the parameter out."""
    parameters = {
        "mode": "subscription",
        "client_reference_id": "checkout-1",
        "success_url": "http://127.0.0.1:8000/orders/1/?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:8000/checkout/",
        "expires_at": standin.clock.now() + 35 * 60,
        "line_items": [line()],
        "metadata": {"order": "1"},
        "payment_method_collection": "always",
        "subscription_data": {"metadata": {"order": "1"}, "proration_behavior": "none"},
        **changes,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def create_session(standin: StripeStandIn, key: str = "", **changes: Any) -> stripe.checkout.Session:
    """Create a session over HTTP."""
    options: Any = {"idempotency_key": key} if key else {}
    return standin.client().v1.checkout.sessions.create(session_parameters(standin, **changes), options)


def one_time_session(standin: StripeStandIn, **changes: Any) -> stripe.checkout.Session:
    """Create a session in mode payment."""
    once = line()
    del once["price_data"]["recurring"]
    alone = {"mode": "payment", "line_items": [once], "payment_method_collection": None, "subscription_data": None}
    return create_session(standin, **{**alone, **changes})


def create_coupon(standin: StripeStandIn, amount_off: int = 5_000, **changes: Any) -> stripe.Coupon:
    """Create the coupon that carries an order's credit part."""
    parameters: Any = {
        "id": "co_1",
        "amount_off": amount_off,
        "currency": "omr",
        "duration": "once",
        "max_redemptions": 1,
        "redeem_by": standin.clock.now() + 35 * 60,
        **changes,
    }
    return standin.client().v1.coupons.create(parameters)


def header(thing: stripe.StripeObject, name: str) -> str:
    """Return a header of the reply that brought ``thing``."""
    response = thing.last_response
    return response.headers.get(name, "") if response else ""
