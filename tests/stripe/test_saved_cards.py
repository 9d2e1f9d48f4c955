"""A card is saved without a payment, and used when somebody says so."""

from typing import Any

import pytest
import stripe

from catalyst.local.sandbox_stripe.payment import NotOpen
from tests.stripe.orders import line
from tests.stripe.pages import visit
from tests.stripe.subscriptions import HOUR, check_events, new_customer, save_card, subscribe
from tests.stripe_standin import StripeStandIn

SUCCESS = "http://127.0.0.1:8000/billing/?session={CHECKOUT_SESSION_ID}"


def setup_session(standin: StripeStandIn, **changes: Any) -> stripe.checkout.Session:
    parameters: Any = {"mode": "setup", "currency": "omr", "success_url": SUCCESS, **changes}
    return standin.client().v1.checkout.sessions.create(parameters)


def test_saves_a_card_without_money(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    customer = new_customer(stripe_standin)
    made = setup_session(stripe_standin, customer=customer, setup_intent_data={"metadata": {"organization": "o-1"}})
    assert (made.amount_total, made.payment_status, made.url is None) == (None, "no_payment_required", False)

    stripe_standin.add_card(made.id)

    session = client.v1.checkout.sessions.retrieve(made.id, {"expand": ["setup_intent.payment_method"]})
    assert isinstance(session.setup_intent, stripe.SetupIntent)
    assert isinstance(session.setup_intent.payment_method, stripe.PaymentMethod)
    assert (session.status, session.setup_intent.status, session.subscription) == ("complete", "succeeded", None)
    assert session.setup_intent.payment_method.customer == customer
    assert stripe_standin.get("customer", customer)["invoice_settings"]["default_payment_method"] is None
    assert (stripe_standin.all("charge"), stripe_standin.captured_minor()) == ([], 0)
    with pytest.raises(NotOpen):
        stripe_standin.add_card(made.id)
    check_events(stripe_standin)


@pytest.mark.parametrize(
    "changes",
    [
        {"currency": ""},
        {"line_items": [line()]},
        {"subscription_data": {"metadata": {"order": "1"}}},
        {"discounts": [{"coupon": "co_1"}]},
    ],
)
def test_refuses_what_a_setup_session_cannot_have(stripe_standin: StripeStandIn, changes: dict[str, Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        setup_session(stripe_standin, **changes)

    assert (stripe_standin.sessions(), stripe_standin.all("setup_intent")) == ([], [])


def test_pays_the_renewal_with_the_customers_new_card(
    stripe_standin: StripeStandIn, client: stripe.StripeClient
) -> None:
    subscription, customer = subscribe(stripe_standin)
    card = save_card(stripe_standin, customer)
    client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": card}})
    client.v1.subscriptions.update(subscription, {"default_payment_method": card})

    stripe_standin.renew(subscription)
    stripe_standin.clock.advance(HOUR)

    assert stripe_standin.all("charge")[-1]["payment_method"] == card
    assert stripe_standin.get("customer", customer)["invoice_settings"]["default_payment_method"] == card


def test_refuses_a_card_of_somebody_else(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    subscription, customer = subscribe(stripe_standin)
    foreign = save_card(stripe_standin, new_customer(stripe_standin))
    before = stripe_standin.get("subscription", subscription)

    for card in (foreign, "pm_unknown"):
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": card}})
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.subscriptions.update(subscription, {"default_payment_method": card})

    assert stripe_standin.get("subscription", subscription) == before
    assert stripe_standin.get("customer", customer)["invoice_settings"]["default_payment_method"] is None


def test_the_card_page_saves_a_card(stripe_standin: StripeStandIn) -> None:
    session = setup_session(stripe_standin, cancel_url="http://127.0.0.1:8000/billing/")

    reply, text = visit(str(session.url))
    assert (reply.status, "Save your card" in text, "<table" in text, "Pay later" in text) == (200, True, False, False)
    assert "احفظ" in visit(str(session.url), language="ar")[1]
    declined, _ = visit(str(session.url), "decline")
    assert (declined.status, stripe_standin.get("checkout.session", session.id)["status"]) == (402, "open")
    done, _ = visit(str(session.url), "pay")

    assert (done.status, done.headers["Location"]) == (303, SUCCESS.replace("{CHECKOUT_SESSION_ID}", session.id))
    assert stripe_standin.get("checkout.session", session.id)["status"] == "complete"
    assert "Already saved" in visit(str(session.url))[1]


def test_the_portal_leads_back_and_breaks_the_card_on_request(
    stripe_standin: StripeStandIn, client: stripe.StripeClient
) -> None:
    subscription, customer = subscribe(stripe_standin)
    back = "http://127.0.0.1:8000/billing/?from=portal&tab=1"
    portal = client.v1.billing_portal.sessions.create({"customer": customer, "return_url": back})

    reply, text = visit(portal.url)
    assert (reply.status, back.replace("&", "&amp;") in text, "4242" in text) == (200, True, True)
    assert "script" not in text
    pressed, _ = visit(portal.url, "decline")
    assert pressed.status == 200
    stripe_standin.renew(subscription)
    stripe_standin.clock.advance(HOUR)
    assert stripe_standin.get("subscription", subscription)["status"] == "past_due"
    visit(portal.url, "accept")
    stripe_standin.clock.advance(24 * HOUR)
    assert stripe_standin.get("subscription", subscription)["status"] == "active"
    assert visit(portal.url + "0")[0].status == 404


def test_refuses_a_portal_for_nobody(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.billing_portal.sessions.create({"customer": "cus_unknown"})

    assert refusal.value.code == "resource_missing"
