"""One idempotency key, one effect, one reply: Stripe's contract."""

from contextlib import suppress
from threading import Barrier, Thread

import pytest
import stripe

from tests.stripe.orders import create_session, header, session_parameters
from tests.stripe_standin import Fault, StripeStandIn

CREATE = "checkout.sessions.create"


def test_replays_the_first_reply(stripe_standin: StripeStandIn) -> None:
    parameters = session_parameters(stripe_standin)
    sessions = stripe_standin.client().v1.checkout.sessions

    first = sessions.create(parameters, {"idempotency_key": "co:1:session"})
    second = sessions.create(parameters, {"idempotency_key": "co:1:session"})

    assert first.id == second.id
    assert first.to_dict() == second.to_dict()
    assert (header(first, "Idempotent-Replayed"), header(second, "Idempotent-Replayed")) == ("", "true")
    assert header(second, "Original-Request") == header(first, "Request-Id") != header(second, "Request-Id")
    assert stripe_standin.calls.count(CREATE, "co:1:session") == 2
    assert stripe_standin.calls.effect_count(CREATE, "co:1:session") == 1
    assert len(stripe_standin.sessions()) == 1


def test_refuses_other_parameters_under_the_same_key(stripe_standin: StripeStandIn) -> None:
    create_session(stripe_standin, "co:1:session")

    with pytest.raises(stripe.IdempotencyError) as refusal:
        create_session(stripe_standin, "co:1:session", client_reference_id="checkout-2")

    assert refusal.value.http_status == 400
    assert len(stripe_standin.sessions()) == 1


def test_forgets_a_key_after_a_day(stripe_standin: StripeStandIn) -> None:
    first = create_session(stripe_standin, "co:1:session")
    stripe_standin.clock.advance(24 * 60 * 60 + 1)

    second = create_session(stripe_standin, "co:1:session")

    assert first.id != second.id


def test_keeps_a_stored_500_and_says_nothing_of_the_object(stripe_standin: StripeStandIn) -> None:
    stripe_standin.script(CREATE, Fault.STORED_500_WITH_EFFECT)
    parameters = session_parameters(stripe_standin)
    sessions = stripe_standin.client().v1.checkout.sessions

    with pytest.raises(stripe.APIError) as first:
        sessions.create(parameters, {"idempotency_key": "co:1:session"})
    with pytest.raises(stripe.APIError) as second:
        sessions.create(parameters, {"idempotency_key": "co:1:session"})

    assert (first.value.http_status, second.value.http_status) == (500, 500)
    assert (second.value.headers or {})["Idempotent-Replayed"] == "true"
    assert len(stripe_standin.sessions(client_reference_id="checkout-1", status="open")) == 1
    assert stripe_standin.calls.effect_count(CREATE) == 1


def test_keeps_a_stored_500_without_an_object(stripe_standin: StripeStandIn) -> None:
    stripe_standin.script(CREATE, Fault.STORED_500_WITHOUT_EFFECT)
    parameters = session_parameters(stripe_standin)
    sessions = stripe_standin.client().v1.checkout.sessions

    for _ in range(2):
        with pytest.raises(stripe.APIError):
            sessions.create(parameters, {"idempotency_key": "co:1:session"})

    assert stripe_standin.sessions() == []
    assert sessions.create(parameters, {"idempotency_key": "co:2:session"}).status == "open"


def test_refuses_a_key_that_is_in_use(stripe_standin: StripeStandIn) -> None:
    stripe_standin.script(CREATE, Fault.DELAY_BEFORE, seconds=1.0)
    parameters = session_parameters(stripe_standin)
    sessions = stripe_standin.client().v1.checkout.sessions
    options: stripe.RequestOptions = {"idempotency_key": "co:1:session"}
    slow = Thread(target=sessions.create, args=(parameters, options))
    slow.start()
    while "co:1:session" not in stripe_standin.keys_in_use():
        slow.join(0.01)

    with pytest.raises(stripe.APIError, match="in-progress request") as refusal:
        sessions.create(parameters, options)
    slow.join()

    # The library drops the code; the status is what a caller can tell it by.
    assert refusal.value.http_status == 409
    assert len(stripe_standin.sessions()) == 1
    assert sessions.create(parameters, options).id == stripe_standin.sessions()[0]["id"]


def test_makes_one_object_for_sixteen_callers_at_once(stripe_standin: StripeStandIn) -> None:
    parameters = session_parameters(stripe_standin)
    client, made = stripe_standin.client(), set[str]()
    gate = Barrier(16)

    def press() -> None:
        gate.wait()
        with suppress(stripe.APIError):
            made.add(client.v1.checkout.sessions.create(parameters, {"idempotency_key": "co:1:session"}).id)

    tabs = [Thread(target=press) for _ in range(16)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()

    assert made == {row["id"] for row in stripe_standin.sessions()}
    assert len(made) == 1
    assert {call.status for call in stripe_standin.calls.find(CREATE)} <= {200, 409}


def test_stores_a_refusal_of_the_endpoint(stripe_standin: StripeStandIn) -> None:
    parameters = session_parameters(stripe_standin, discounts=[{"coupon": "co_1"}])
    sessions = stripe_standin.client().v1.checkout.sessions
    with pytest.raises(stripe.InvalidRequestError):
        sessions.create(parameters, {"idempotency_key": "co:1:session"})
    stripe_standin.client().v1.coupons.create({"id": "co_1", "amount_off": 100, "currency": "omr", "duration": "once"})

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sessions.create(parameters, {"idempotency_key": "co:1:session"})

    assert refusal.value.code == "resource_missing"
    assert stripe_standin.sessions() == []
    # The refused call left no stray price behind either.
    assert stripe_standin.all("price") == []


def test_forgets_a_key_whose_parameters_were_malformed(stripe_standin: StripeStandIn) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        create_session(stripe_standin, "co:1:session", success_url="")
    stripe_standin.validate = False
    with pytest.raises(stripe.InvalidRequestError):
        create_session(stripe_standin, "co:2:session", mode="nonsense")

    session = create_session(stripe_standin, "co:2:session")

    assert session.status == "open"
