"""A payment leaves a subscription, an invoice, a payment intent and a charge that agree."""

import pytest
import stripe

from catalyst.local.sandbox_stripe.payment import NotOpen
from tests.stripe.orders import create_coupon, create_session, one_time_session
from tests.stripe_standin import StripeStandIn
from tests.stripe_standin.openapi import check_object


def test_pays_the_first_invoice_of_a_subscription(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"email": "buyer@example.om"})
    create_coupon(stripe_standin)
    session_id = create_session(stripe_standin, customer=customer.id, discounts=[{"coupon": "co_1"}]).id

    stripe_standin.pay(session_id)

    session = client.v1.checkout.sessions.retrieve(
        session_id, {"expand": ["subscription", "payment_intent", "invoice.payments"]}
    )
    subscription, invoice = session.subscription, session.invoice
    assert isinstance(subscription, stripe.Subscription)
    assert isinstance(invoice, stripe.Invoice)
    assert (session.status, session.payment_status, session.amount_total) == ("complete", "paid", 7_340)
    assert (subscription.status, subscription.customer) == ("active", customer.id)
    assert subscription.metadata.to_dict() == {"order": "1"}
    assert (invoice.status, invoice.amount_paid, invoice.total) == ("paid", 7_340, 7_340)
    assert session.payment_intent is None
    assert invoice.payments is not None
    intent = client.v1.payment_intents.retrieve(
        str(invoice.payments.data[0].payment.payment_intent), {"expand": ["latest_charge"]}
    )
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert (intent.status, intent.latest_charge.amount_captured) == ("succeeded", 7_340)
    assert stripe_standin.captured_minor() == 7_340


def test_pays_once(stripe_standin: StripeStandIn) -> None:
    session = create_session(stripe_standin)
    stripe_standin.pay(session.id)

    with pytest.raises(NotOpen):
        stripe_standin.pay(session.id)

    assert stripe_standin.captured_minor() == 12_340


def test_does_not_pay_an_expired_session(stripe_standin: StripeStandIn) -> None:
    session = create_session(stripe_standin)
    stripe_standin.expire(session.id)

    with pytest.raises(NotOpen):
        stripe_standin.pay(session.id)

    assert stripe_standin.all("charge") == []


def test_pays_a_single_sum_through_a_payment_intent(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    session_id = one_time_session(stripe_standin, payment_intent_data={"metadata": {"order": "1"}}).id

    stripe_standin.pay(session_id)

    session = client.v1.checkout.sessions.retrieve(session_id, {"expand": ["payment_intent.latest_charge"]})
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    assert session.payment_intent.metadata.to_dict() == {"order": "1"}
    assert (session.subscription, session.invoice) == (None, None)


def test_takes_a_coupon_off_a_single_sum(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"email": "buyer@example.om"}).id
    create_coupon(stripe_standin)

    paid = stripe_standin.pay(one_time_session(stripe_standin, customer=customer, discounts=[{"coupon": "co_1"}]).id)

    intent = client.v1.payment_intents.retrieve(paid["payment_intent"])
    assert (paid["amount_total"], intent.amount_received, intent.customer) == (7_340, 7_340, customer)
    assert client.v1.coupons.retrieve("co_1").times_redeemed == 1
    assert (stripe_standin.all("subscription"), stripe_standin.all("invoice")) == ([], [])


def test_completes_before_an_asynchronous_method_pays(stripe_standin: StripeStandIn) -> None:
    session = create_session(stripe_standin)

    waiting = stripe_standin.pay_later(session.id)
    assert (waiting["status"], waiting["payment_status"], stripe_standin.captured_minor()) == ("complete", "unpaid", 0)
    paid = stripe_standin.settle(session.id)

    assert (paid["payment_status"], stripe_standin.captured_minor()) == ("paid", 12_340)
    assert stripe_standin.get("invoice", paid["invoice"])["status"] == "paid"
    assert len(stripe_standin.events("checkout.session.async_payment_succeeded")) == 1


def test_may_fail_asynchronously(stripe_standin: StripeStandIn) -> None:
    session = create_session(stripe_standin)
    stripe_standin.pay_later(session.id)

    failed = stripe_standin.fail(session.id)

    assert (failed["status"], failed["payment_status"], stripe_standin.captured_minor()) == ("complete", "unpaid", 0)
    assert stripe_standin.get("subscription", failed["subscription"])["status"] == "past_due"
    assert len(stripe_standin.events("checkout.session.async_payment_failed")) == 1
    with pytest.raises(NotOpen):
        stripe_standin.settle(session.id)


def test_needs_no_charge_for_a_total_of_nothing(stripe_standin: StripeStandIn) -> None:
    create_coupon(stripe_standin, 12_340)
    session = create_session(stripe_standin, discounts=[{"coupon": "co_1"}])

    paid = stripe_standin.pay(session.id)

    assert (paid["amount_total"], paid["payment_status"]) == (0, "no_payment_required")
    assert (stripe_standin.all("charge"), len(stripe_standin.all("subscription"))) == ([], 1)


def test_cancels_a_subscription_once(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    paid = stripe_standin.pay(create_session(stripe_standin).id)

    assert client.v1.subscriptions.cancel(paid["subscription"]).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.subscriptions.cancel(paid["subscription"])

    assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")
    assert client.v1.subscriptions.list({"customer": paid["customer"]}).data == []
    assert len(client.v1.subscriptions.list({"customer": paid["customer"], "status": "all"}).data) == 1


def test_emits_objects_in_stripes_shapes(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    stripe_standin.pay(create_session(stripe_standin).id)
    stripe_standin.pay_later(create_session(stripe_standin).id)
    client.v1.refunds.create({"charge": stripe_standin.all("charge", status="succeeded")[0]["id"]})

    for event in stripe_standin.events():
        check_object("event", event)
        check_object(event["data"]["object"]["object"], event["data"]["object"])

    assert [event["type"] for event in stripe_standin.events()].count("checkout.session.completed") == 2
