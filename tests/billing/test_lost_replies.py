"""The processor's reply is lost, late or a server error: unknown is never taken for failed, nor shown to anybody."""

import time
from dataclasses import replace
from typing import Any

import pytest

from billing.models import PspCall
from tests.billing.api.calls import refusal
from tests.billing.killed import Purchase, make_due, make_purchase, sweep
from tests.billing.shop import VOUCHER_MINOR, Books, Shop
from tests.conftest import owner_connection
from tests.factories import MembershipFactory
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)

SESSION = "checkout.sessions.create"
UNAVAILABLE = (503, "payment_processor_unavailable")
GIVEN_BACK = Books(0, 0, [], ["released"], ["cancelled"], ["compensated"], 0, 0)


@pytest.fixture
def purchase(shop: Shop) -> Purchase:
    return make_purchase(shop, "company")


def assert_next_attempt_works(purchase: Purchase) -> None:
    assert purchase.shop.standin is not None
    answer = purchase.buy()
    assert answer.status_code == 201
    assert purchase.books().entries == [("voucher_grant", VOUCHER_MINOR)]
    (payable,) = purchase.shop.standin.sessions(status="open")
    assert payable["url"] == answer.json()["session_url"]
    sweep()
    purchase.check()


@pytest.mark.parametrize(
    "fault", [Fault.DROP_AFTER, Fault.DROP_BEFORE, Fault.RESET_AFTER, Fault.ERROR_429, Fault.ERROR_500, Fault.ERROR_409]
)
@pytest.mark.parametrize("operation", ["customers.create", "coupons.create", SESSION])
def test_one_failure_is_repeated_with_the_same_key(purchase: Purchase, operation: str, fault: Fault) -> None:
    standin = purchase.shop.standin
    assert standin is not None
    standin.script(operation, fault)

    answer = purchase.buy(purchase.key)

    assert (answer.status_code, answer.json()["state"]) == (201, "awaiting_payment")
    assert standin.calls.effect_count(operation) == 1
    assert len({call.idempotency_key for call in standin.calls.find(operation)}) == 1
    assert [session["url"] for session in standin.sessions(status="open")] == [answer.json()["session_url"]]
    assert purchase.buy(purchase.key).json()["session_url"] == answer.json()["session_url"]
    sweep()
    purchase.check()


@pytest.mark.parametrize(
    ("fault", "times", "made"),
    [
        (Fault.DROP_AFTER, 2, 1),
        (Fault.RESET_AFTER, 2, 1),
        (Fault.DROP_BEFORE, 2, 0),
        (Fault.ERROR_429, 2, 0),
        (Fault.ERROR_503, 2, 0),
        # Stored under its key: the second call is answered from the store.
        (Fault.STORED_500_WITH_EFFECT, 1, 1),
        (Fault.STORED_500_WITHOUT_EFFECT, 1, 0),
    ],
)
def test_a_lasting_failure_frees_the_code_and_the_stray_session_is_expired(
    purchase: Purchase, fault: Fault, times: int, made: int
) -> None:
    standin = purchase.shop.standin
    assert standin is not None
    standin.script(SESSION, fault, times=times)

    answer = purchase.buy()

    assert refusal(answer) == UNAVAILABLE
    assert answer["Retry-After"] == "10"
    assert purchase.books() == GIVEN_BACK
    assert PspCall.objects.get(op="session.create").state == "unknown"
    assert len(standin.sessions(status="open")) == made
    assert "cs_" not in answer.content.decode()
    sweep()
    assert standin.sessions(status="open") == []
    assert standin.calls.count(SESSION) == 2
    assert_next_attempt_works(purchase)


@pytest.mark.parametrize(
    ("fault", "first", "outcome"), [(Fault.DROP_AFTER, "voided", "voided"), (Fault.DROP_BEFORE, "unknown", "absent")]
)
def test_an_unknown_call_ends_by_a_look_up(purchase: Purchase, fault: Fault, first: str, outcome: str) -> None:
    standin = purchase.shop.standin
    assert standin is not None
    standin.script(SESSION, fault, times=2)
    purchase.buy()
    sweep()
    assert PspCall.objects.get(op="session.create").state == first

    pass_the_expiry()
    sweep()

    assert PspCall.objects.get(op="session.create").state == outcome
    assert standin.calls.count(SESSION) == 2


def pass_the_expiry() -> None:
    """Let 40 minutes pass for the intents: the session that was asked for has expired by now."""
    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute(
            "UPDATE billing_pspcall SET first_sent_at = now() - interval '40 minutes',"
            " params = jsonb_set(params, '{expires_at}', to_jsonb(%s)) WHERE state = 'unknown'",
            [int(time.time()) - 61],
        )


@pytest.mark.parametrize("operation", ["customers.create", "coupons.create"])
def test_an_earlier_call_lost_for_good_frees_the_code(purchase: Purchase, operation: str) -> None:
    standin = purchase.shop.standin
    assert standin is not None
    standin.script(operation, Fault.DROP_AFTER, times=2)

    answer = purchase.buy()

    assert refusal(answer) == UNAVAILABLE
    assert purchase.books() == GIVEN_BACK
    sweep()
    purchase.check()
    assert_next_attempt_works(purchase)
    assert len(standin.all("customer")) == 1


def test_a_lost_customer_does_not_stop_a_colleague(purchase: Purchase) -> None:
    """The customer is the Organization's: the second buyer asks for the one that the first one asked for."""
    standin = purchase.shop.standin
    assert standin is not None
    standin.script("customers.create", Fault.DROP_AFTER, times=2)
    assert refusal(purchase.buy()) == UNAVAILABLE
    colleague = MembershipFactory.create(organization=purchase.shop.organization, role="org-admin").user
    shop = replace(purchase.shop, buyer=colleague)

    answer = replace(purchase, shop=shop, calls=shop.calls()).buy()

    assert answer.status_code == 201
    assert len(standin.all("customer")) == 1


def test_a_slow_processor_is_given_up_in_time(purchase: Purchase, settings: Any) -> None:
    settings.STRIPE_TIMEOUT_SECONDS, settings.STRIPE_REQUEST_BUDGET_SECONDS = 1.0, 3.0
    standin = purchase.shop.standin
    assert standin is not None
    standin.script(SESSION, Fault.DELAY_AFTER, times=2, seconds=30)
    begun = time.monotonic()

    answer = purchase.buy()

    assert time.monotonic() - begun < 4
    assert refusal(answer) == UNAVAILABLE
    assert purchase.books() == GIVEN_BACK
    make_due()
    sweep()
    assert standin.sessions(status="open") == []
    assert_next_attempt_works(purchase)


def test_an_unreachable_processor_frees_the_code(purchase: Purchase) -> None:
    standin = purchase.shop.standin
    assert standin is not None

    with standin.outage():
        answer = purchase.buy()
        sweep()

    assert refusal(answer) == UNAVAILABLE
    assert purchase.books() == GIVEN_BACK
    assert_next_attempt_works(purchase)
