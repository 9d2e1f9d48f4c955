"""Stripe's published document decides whether a call or a reply has a right shape."""

from typing import Any

import pytest
import stripe

from tests.stripe.orders import create_session, line, session_parameters
from tests.stripe_standin import StripeStandIn


@pytest.mark.parametrize(
    ("changes", "misspelt"),
    [
        ({"client_reference": "checkout-1"}, "client_reference"),
        ({"subscription_data": {"proration_behaviour": "none"}}, "proration_behaviour"),
        ({"line_items": [{**line(), "amount": 3}]}, "amount"),
        ({"line_items": [line(product_data={"title": "Plan M", "name": "Plan M"})]}, "title"),
    ],
)
def test_refuses_a_misspelt_key(stripe_standin: StripeStandIn, changes: dict[str, Any], misspelt: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        create_session(stripe_standin, **changes)

    assert misspelt in str(refusal.value)
    assert len(stripe_standin.violations) == 1
    assert stripe_standin.sessions() == []
    stripe_standin.violations.clear()


def test_the_core_refuses_a_misspelt_key_by_itself(stripe_standin: StripeStandIn) -> None:
    stripe_standin.validate = False

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        create_session(stripe_standin, subscription_data={"proration_behaviour": "none"})

    assert (refusal.value.code, refusal.value.param) == (
        "parameter_unknown",
        "subscription_data[proration_behaviour]",
    )
    assert stripe_standin.sessions() == []


def test_refuses_an_unknown_filter(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    unknown: Any = {"client_reference_id": "checkout-1"}

    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.list(unknown)

    assert "client_reference_id" in stripe_standin.violations.pop()


@pytest.mark.parametrize("changes", [{"amount_totals": 1}, {"amount_total": "12.340"}, {"payment_status": "payed"}])
def test_reports_a_reply_that_stripe_would_not_send(
    stripe_standin: StripeStandIn, client: stripe.StripeClient, changes: dict[str, object]
) -> None:
    session = create_session(stripe_standin)
    stripe_standin.tamper("checkout.session", session.id, **changes)

    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.retrieve(session.id)

    assert next(iter(changes)) in stripe_standin.violations.pop()


def test_refuses_an_expansion_that_is_too_deep_or_unknown(
    stripe_standin: StripeStandIn, client: stripe.StripeClient
) -> None:
    session = stripe_standin.pay(create_session(stripe_standin).id)

    for path in ("invoice.payments.data.payment.payment_intent", "nonsense", "status"):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.checkout.sessions.retrieve(session["id"], {"expand": [path]})
        assert refusal.value.param == "expand"


def test_accepts_the_calls_that_catalyst_makes(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    client.v1.checkout.sessions.create(session_parameters(stripe_standin))

    assert stripe_standin.violations == []
