"""Scripted faults hit the named calls and no others, with the effect they announce."""

import time

import pytest
import stripe

from tests.stripe.orders import create_session, header, session_parameters
from tests.stripe_standin import Fault, StripeStandIn

CREATE = "checkout.sessions.create"


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.RESET_BEFORE])
def test_drops_the_connection_before_the_effect(stripe_standin: StripeStandIn, fault: Fault) -> None:
    stripe_standin.script(CREATE, fault)

    with pytest.raises(stripe.APIConnectionError):
        create_session(stripe_standin, "co:1:session")

    assert stripe_standin.sessions() == []
    assert [call.status for call in stripe_standin.calls.find(CREATE)] == [0]


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.RESET_AFTER])
def test_loses_the_reply_and_gives_it_to_the_retry(stripe_standin: StripeStandIn, fault: Fault) -> None:
    stripe_standin.script(CREATE, fault)
    parameters = session_parameters(stripe_standin)
    sessions = stripe_standin.client().v1.checkout.sessions
    with pytest.raises(stripe.APIConnectionError):
        sessions.create(parameters, {"idempotency_key": "co:1:session"})

    session = sessions.create(parameters, {"idempotency_key": "co:1:session"})

    assert [row["id"] for row in stripe_standin.sessions()] == [session.id]
    assert header(session, "Idempotent-Replayed") == "true"
    assert stripe_standin.calls.effect_count(CREATE) == 1


def test_loses_the_reply_as_often_as_scripted(stripe_standin: StripeStandIn) -> None:
    stripe_standin.script(CREATE, Fault.DROP_AFTER, times=2)
    parameters = session_parameters(stripe_standin)
    sessions = stripe_standin.client().v1.checkout.sessions

    for _ in range(2):
        with pytest.raises(stripe.APIConnectionError):
            sessions.create(parameters, {"idempotency_key": "co:1:session"})

    assert sessions.create(parameters, {"idempotency_key": "co:1:session"}).status == "open"
    assert stripe_standin.calls.counts() == {("POST", "/v1/checkout/sessions", "co:1:session"): 3}


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        (Fault.ERROR_400, stripe.InvalidRequestError, 400),
        (Fault.ERROR_401, stripe.AuthenticationError, 401),
        (Fault.ERROR_402, stripe.CardError, 402),
        (Fault.ERROR_403, stripe.PermissionError, 403),
        (Fault.ERROR_409, stripe.APIError, 409),
        (Fault.ERROR_429, stripe.RateLimitError, 429),
        (Fault.ERROR_500, stripe.APIError, 500),
        (Fault.ERROR_503, stripe.APIError, 503),
    ],
)
def test_answers_an_error(
    stripe_standin: StripeStandIn, fault: Fault, error: type[stripe.StripeError], status: int
) -> None:
    stripe_standin.script(CREATE, fault)

    with pytest.raises(error) as refusal:
        create_session(stripe_standin, "co:1:session")

    assert refusal.value.http_status == status
    assert stripe_standin.sessions() == []
    assert create_session(stripe_standin, "co:2:session").status == "open"


def test_says_when_to_come_back(stripe_standin: StripeStandIn) -> None:
    stripe_standin.script(CREATE, Fault.ERROR_429, retry_after=7)

    with pytest.raises(stripe.RateLimitError) as refusal:
        create_session(stripe_standin)

    assert (refusal.value.headers or {})["Retry-After"] == "7"


def test_skips_calls_and_leaves_other_operations_alone(stripe_standin: StripeStandIn) -> None:
    stripe_standin.script(CREATE, Fault.ERROR_503, skip=1)
    client = stripe_standin.client()
    create_session(stripe_standin)

    customer = client.v1.customers.create({"email": "buyer@example.om"})
    with pytest.raises(stripe.APIError):
        create_session(stripe_standin)

    assert customer.email == "buyer@example.om"
    assert len(stripe_standin.sessions()) == 1


def test_answers_too_late_after_the_effect(stripe_standin: StripeStandIn) -> None:
    stripe_standin.script(CREATE, Fault.DELAY_AFTER, seconds=30)
    client = stripe_standin.client(timeout=0.3)

    started = time.monotonic()
    with pytest.raises(stripe.APIConnectionError):
        client.v1.checkout.sessions.create(session_parameters(stripe_standin))

    assert time.monotonic() - started < 5
    assert len(stripe_standin.sessions(status="open")) == 1


def test_is_unreachable_during_an_outage_and_remembers(stripe_standin: StripeStandIn) -> None:
    session = create_session(stripe_standin)
    client = stripe_standin.client()
    client.v1.checkout.sessions.retrieve(session.id)

    with stripe_standin.outage(), pytest.raises(stripe.APIConnectionError):
        client.v1.checkout.sessions.retrieve(session.id)

    assert client.v1.checkout.sessions.retrieve(session.id).id == session.id


@pytest.mark.parametrize("key", ["sk_test_", "sk_test_unknown", "sk_live_standin"])
def test_refuses_an_unknown_key(stripe_standin: StripeStandIn, key: str) -> None:
    with pytest.raises(stripe.AuthenticationError) as refusal:
        stripe_standin.client(key).v1.customers.list()

    assert refusal.value.http_status == 401


def test_refuses_a_key_from_the_moment_it_is_revoked(stripe_standin: StripeStandIn) -> None:
    create_session(stripe_standin)
    stripe_standin.keys.clear()

    with pytest.raises(stripe.AuthenticationError):
        create_session(stripe_standin)

    assert len(stripe_standin.sessions()) == 1
