"""Refunds never exceed what was captured."""

import pytest
import stripe

from tests.stripe.orders import create_session
from tests.stripe_standin import Fault, StripeStandIn


@pytest.fixture
def charge_id(stripe_standin: StripeStandIn) -> str:
    """Return a charge of 12.340 OMR."""
    stripe_standin.pay(create_session(stripe_standin).id)
    return str(stripe_standin.all("charge")[0]["id"])


def test_refunds_in_parts_up_to_the_whole(
    stripe_standin: StripeStandIn, client: stripe.StripeClient, charge_id: str
) -> None:
    client.v1.refunds.create({"charge": charge_id, "amount": 2_340})
    rest = client.v1.refunds.create({"charge": charge_id})

    charge = client.v1.charges.retrieve(charge_id)
    assert (rest.amount, charge.amount_refunded, charge.refunded) == (10_000, 12_340, True)
    assert stripe_standin.refunded_minor() == 12_340
    assert len(stripe_standin.events("charge.refunded")) == 2


def test_refuses_a_second_full_refund(
    stripe_standin: StripeStandIn, client: stripe.StripeClient, charge_id: str
) -> None:
    client.v1.refunds.create({"charge": charge_id})

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.refunds.create({"charge": charge_id})

    assert refusal.value.code == "charge_already_refunded"
    assert stripe_standin.refunded_minor() == 12_340


@pytest.mark.parametrize("amount", [12_350, 5, 0, 1_005])
def test_refuses_more_than_was_captured_and_impossible_sums(
    stripe_standin: StripeStandIn, client: stripe.StripeClient, charge_id: str, amount: int
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.refunds.create({"charge": charge_id, "amount": amount})

    assert refusal.value.param == "amount"
    assert stripe_standin.refunded_minor() == 0


def test_refunds_once_under_one_key_though_the_reply_is_lost(
    stripe_standin: StripeStandIn, client: stripe.StripeClient, charge_id: str
) -> None:
    stripe_standin.script("refunds.create", Fault.DROP_AFTER)
    options: stripe.RequestOptions = {"idempotency_key": "refund:late:1"}
    with pytest.raises(stripe.APIConnectionError):
        client.v1.refunds.create({"charge": charge_id}, options)

    refund = client.v1.refunds.create({"charge": charge_id}, options)

    assert [row.id for row in client.v1.refunds.list({"charge": charge_id}).data] == [refund.id]
    assert client.v1.refunds.retrieve(refund.id).amount == 12_340
    assert stripe_standin.calls.effect_count("refunds.create", "refund:late:1") == 1


def test_refuses_to_refund_what_is_still_processing(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    stripe_standin.pay_later(create_session(stripe_standin).id)
    pending = stripe_standin.all("charge")[0]["id"]

    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"charge": pending})

    assert stripe_standin.all("refund") == []
