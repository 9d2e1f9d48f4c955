"""A Checkout Session: what it costs, what Stripe refuses, how it expires."""

from typing import Any

import pytest
import stripe

from tests.stripe.orders import create_coupon, create_session, line, one_time_session
from tests.stripe_standin import StripeStandIn


def test_takes_the_credit_off_the_first_invoice(stripe_standin: StripeStandIn) -> None:
    create_coupon(stripe_standin, 5_000)

    session = create_session(stripe_standin, discounts=[{"coupon": "co_1"}])

    assert (session.amount_subtotal, session.amount_total, session.currency) == (12_340, 7_340, "omr")
    assert session.to_dict()["total_details"]["amount_discount"] == 5_000
    assert session.url == f"{stripe_standin.url}/pay/{session.id}"
    assert (session.status, session.payment_status) == ("open", "unpaid")


def test_spreads_the_discount_over_the_lines(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    create_coupon(stripe_standin, 1_000)
    session = create_session(
        stripe_standin, line_items=[line(1_000), line(2_000), line(10)], discounts=[{"coupon": "co_1"}]
    )

    lines = client.v1.checkout.sessions.line_items.list(session.id).data

    assert sum(item.amount_discount for item in lines) == 1_000
    assert [item.amount_subtotal for item in lines] == [1_000, 2_000, 10]
    assert all(item.amount_total == item.amount_subtotal - item.amount_discount >= 0 for item in lines)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"customer": "cus_unknown"}, "customer"),
    ({"line_items": [line(12_345)]}, "line_items[0][price_data][unit_amount]"),
    ({"line_items": [line(-10)]}, "line_items[0][price_data][unit_amount]"),
    ({"line_items": [line(currency="xts")]}, "line_items[0][price_data][currency]"),
    ({"line_items": [line(), line(currency="usd")]}, "line_items"),
    ({"line_items": []}, "line_items"),
    ({"mode": "payment", "payment_method_collection": None, "subscription_data": None}, "line_items"),
    ({"mode": "payment"}, "payment_method_collection"),
    ({"success_url": "/orders/1/"}, "success_url"),
    ({"discounts": [{"coupon": "unknown"}]}, "discounts[0][coupon]"),
]


@pytest.mark.parametrize(("changes", "param"), REFUSED)
def test_refuses_what_stripe_refuses(stripe_standin: StripeStandIn, changes: dict[str, Any], param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        create_session(stripe_standin, **changes)

    assert refusal.value.param == param
    assert (stripe_standin.sessions(), stripe_standin.all("price")) == ([], [])


@pytest.mark.parametrize("seconds", [30 * 60 - 5, 24 * 60 * 60 + 5])
def test_refuses_an_expiry_outside_its_window(stripe_standin: StripeStandIn, seconds: int) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        create_session(stripe_standin, expires_at=stripe_standin.clock.now() + seconds)

    assert refusal.value.param == "expires_at"


def test_refuses_a_total_that_no_card_can_pay(stripe_standin: StripeStandIn) -> None:
    create_coupon(stripe_standin, 12_150)

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        create_session(stripe_standin, discounts=[{"coupon": "co_1"}])

    assert refusal.value.code == "amount_too_small"


def test_refuses_a_language_that_the_hosted_page_lacks(stripe_standin: StripeStandIn) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        create_session(stripe_standin, locale="ar")

    assert refusal.value.param == "locale"
    assert stripe_standin.sessions() == []


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"amount_off": 12_350}, "discounts[0][coupon]"),
        ({"currency": "usd"}, "discounts[0][coupon]"),
    ],
)
def test_refuses_a_coupon_that_does_not_fit(stripe_standin: StripeStandIn, changes: Any, param: str) -> None:
    create_coupon(stripe_standin, **{"amount_off": 5_000, **changes})

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        create_session(stripe_standin, discounts=[{"coupon": "co_1"}])

    assert refusal.value.param == param


def test_refuses_a_coupon_that_is_used_up(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    create_coupon(stripe_standin)
    stripe_standin.pay(create_session(stripe_standin, discounts=[{"coupon": "co_1"}]).id)

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        create_session(stripe_standin, discounts=[{"coupon": "co_1"}])

    assert refusal.value.code == "coupon_expired"
    assert client.v1.coupons.retrieve("co_1").valid is False


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "resource_already_exists"),
        ({"id": "co_2", "amount_off": 5_005}, "parameter_invalid_integer"),
        ({"id": "co_2", "redeem_by": 1_000_000_000}, "parameter_invalid_integer"),
    ],
)
def test_refuses_a_second_or_a_wrong_coupon(stripe_standin: StripeStandIn, changes: Any, code: str) -> None:
    create_coupon(stripe_standin)

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        create_coupon(stripe_standin, **{"amount_off": 5_000, **changes})

    assert (refusal.value.http_status, refusal.value.code) == (400, code)
    assert len(stripe_standin.all("coupon")) == 1


def test_deletes_a_coupon(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    create_coupon(stripe_standin)

    assert client.v1.coupons.delete("co_1").deleted is True

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.coupons.retrieve("co_1")
    assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")


def test_expires_by_the_clock(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    session = create_session(stripe_standin)

    stripe_standin.clock.advance(35 * 60 + 1)

    events = stripe_standin.events("checkout.session.expired")
    assert [event["data"]["object"]["id"] for event in events] == [session.id]
    after = client.v1.checkout.sessions.retrieve(session.id)
    assert (after.status, after.payment_status, after.url) == ("expired", "unpaid", None)


def test_expires_on_request_and_only_once(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    session = create_session(stripe_standin)

    assert client.v1.checkout.sessions.expire(session.id).status == "expired"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.expire(session.id)

    assert len(stripe_standin.events("checkout.session.expired")) == 1


def test_does_not_expire_a_paid_session(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    session = create_session(stripe_standin)
    stripe_standin.pay(session.id)

    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.expire(session.id)
    stripe_standin.clock.advance(24 * 60 * 60)

    assert stripe_standin.get("checkout.session", session.id)["payment_status"] == "paid"
    assert stripe_standin.events("checkout.session.expired") == []


def test_finds_a_customers_sessions_since_a_moment(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"email": "buyer@example.om"})
    create_session(stripe_standin)
    create_session(stripe_standin, customer=customer.id, client_reference_id="old")
    stripe_standin.clock.advance(60)
    since = stripe_standin.clock.now()
    mine = create_session(stripe_standin, customer=customer.id)

    found = client.v1.checkout.sessions.list({"customer": customer.id, "created": {"gte": since}, "status": "open"})

    assert [session.id for session in found.data] == [mine.id]


def test_pages_through_a_list(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    made = [one_time_session(stripe_standin).id for _ in range(5)]

    found = [session.id for session in client.v1.checkout.sessions.list({"limit": 2}).auto_paging_iter()]

    assert found == made[::-1]
