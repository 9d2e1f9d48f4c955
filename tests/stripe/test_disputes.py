"""Money that goes back after the fact: a refund that fails, a cardholder who complains."""

import pytest
import stripe

from catalyst.local.sandbox_stripe.reversals import NotReversible
from tests.stripe.orders import create_session
from tests.stripe.subscriptions import check_events
from tests.stripe_standin import Fault, StripeStandIn


@pytest.fixture
def charge_id(stripe_standin: StripeStandIn) -> str:
    """Return a charge of 12.340 OMR."""
    stripe_standin.pay(create_session(stripe_standin).id)
    return str(stripe_standin.all("charge")[0]["id"])


def test_a_refund_may_fail_later(stripe_standin: StripeStandIn, client: stripe.StripeClient, charge_id: str) -> None:
    refund = client.v1.refunds.create({"charge": charge_id, "amount": 2_340})

    stripe_standin.fail_refund(refund.id)

    assert client.v1.refunds.retrieve(refund.id).status == "failed"
    charge = client.v1.charges.retrieve(charge_id)
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    assert len(stripe_standin.events("refund.failed")) == 1
    with pytest.raises(NotReversible):
        stripe_standin.fail_refund(refund.id)
    assert client.v1.refunds.create({"charge": charge_id}).amount == 12_340
    check_events(stripe_standin)


def test_refuses_a_refund_without_funds(
    stripe_standin: StripeStandIn, client: stripe.StripeClient, charge_id: str
) -> None:
    stripe_standin.script("refunds.create", Fault.ERROR_400, code="balance_insufficient")

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.refunds.create({"charge": charge_id})

    assert refusal.value.code == "balance_insufficient"
    assert stripe_standin.refunded_minor() == 0


@pytest.mark.parametrize("won", [True, False])
def test_a_dispute_is_won_or_lost(
    stripe_standin: StripeStandIn, client: stripe.StripeClient, charge_id: str, won: bool
) -> None:
    intent = str(client.v1.charges.retrieve(charge_id).payment_intent)
    opened = stripe_standin.dispute(intent)

    dispute = client.v1.disputes.retrieve(opened["id"])
    assert (dispute.status, dispute.amount, dispute.charge) == ("needs_response", 12_340, charge_id)
    assert client.v1.charges.retrieve(charge_id).disputed is True
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.refunds.create({"charge": charge_id})
    assert (refusal.value.code, stripe_standin.refunded_minor()) == ("charge_disputed", 0)

    stripe_standin.close_dispute(opened["id"], won=won)

    assert client.v1.disputes.list({"charge": charge_id}).data[0].status == ("won" if won else "lost")
    assert len(stripe_standin.events("charge.dispute.created", "charge.dispute.closed")) == 2
    with pytest.raises(NotReversible):
        stripe_standin.close_dispute(opened["id"], won=won)
    check_events(stripe_standin)


def test_disputes_what_was_not_refunded_and_only_once(
    stripe_standin: StripeStandIn, client: stripe.StripeClient, charge_id: str
) -> None:
    client.v1.refunds.create({"charge": charge_id, "amount": 2_340})

    assert stripe_standin.dispute(charge_id)["amount"] == 10_000
    with pytest.raises(NotReversible):
        stripe_standin.dispute(charge_id)

    assert len(stripe_standin.all("dispute")) == 1
