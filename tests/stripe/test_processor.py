"""The adapter: its writes are keyed and go to the right place, its lists reach the end."""

from typing import Any

import pytest

from billing.services.psp import Processor, ProcessorRejected, ProcessorUnavailable
from tests.stripe.orders import create_coupon, create_session
from tests.stripe.subscriptions import monthly_item, new_customer, save_card, subscribe
from tests.stripe_standin import DEFAULT_KEY, Fault, StripeStandIn


@pytest.fixture
def processor(stripe_standin: StripeStandIn, settings: Any) -> Processor:
    """Return the adapter, pointed at the stand-in."""
    settings.STRIPE_API_BASE = stripe_standin.url
    return Processor(DEFAULT_KEY)


def test_makes_what_a_card_subscription_needs(stripe_standin: StripeStandIn, processor: Processor) -> None:
    customer = new_customer(stripe_standin)
    card = save_card(stripe_standin, customer)
    product = processor.create("product.create", {"name": "Plan M", "id": "plan_m"}, key="p:1")
    price: dict[str, Any] = {"currency": "omr", "unit_amount": 12_340, "recurring": {"interval": "month"}}
    items = [{"price_data": {**price, "product": product["id"]}, "quantity": 1}]
    start = stripe_standin.clock.now() + 86_400
    params = {"customer": customer, "items": items, "default_payment_method": card, "trial_end": start}

    made = processor.create("subscription.create", {**params, "proration_behavior": "none"}, key="s:1")
    processor.create("customer.update", {"customer": customer, "name": "Acme LLC"}, key="c:1")
    processor.create("subscription.update", {"subscription": made["id"], "cancel_at_period_end": True}, key="s:2")
    portal = processor.create("portal.create", {"customer": customer}, key="b:1")

    subscription = processor.retrieve_subscription(made["id"])
    assert (subscription["status"], subscription["cancel_at_period_end"]) == ("trialing", True)
    assert processor.retrieve_customer(customer)["name"] == "Acme LLC"
    assert portal["url"].startswith(stripe_standin.url)
    assert stripe_standin.calls.find("subscriptions.update")[0].idempotency_key == "s:2"


def test_repeats_an_update_once_with_the_same_key(stripe_standin: StripeStandIn, processor: Processor) -> None:
    subscription, _ = subscribe(stripe_standin)
    params = {"subscription": subscription, "items": [monthly_item(stripe_standin)], "proration_behavior": "none"}
    stripe_standin.script("subscriptions.update", Fault.DROP_AFTER)

    changed = processor.create("subscription.update", params, key="change:1")

    assert len(changed["items"]["data"]) == 2
    assert stripe_standin.calls.count("subscriptions.update", "change:1") == 2
    assert stripe_standin.calls.effect_count("subscriptions.update", "change:1") == 1
    stripe_standin.script("subscriptions.update", Fault.DROP_BEFORE, times=2)
    with pytest.raises(ProcessorUnavailable):
        processor.create("subscription.update", params, key="change:2")


def test_puts_a_credit_on_a_draft_and_follows_it(stripe_standin: StripeStandIn, processor: Processor) -> None:
    subscription, customer = subscribe(stripe_standin)
    invoice = stripe_standin.renew(subscription)["id"]
    credit = {"customer": customer, "invoice": invoice, "amount": -2_340, "currency": "omr"}

    processor.create("invoice_item.create", credit, key=f"inv:{invoice}:credit")
    assert processor.create("invoice.pay", {"invoice": invoice}, key="pay:1")["status"] == "paid"

    paid = processor.retrieve_invoice(invoice)
    intent = processor.retrieve_intent(paid["payments"]["data"][0]["payment"]["payment_intent"])
    charge = processor.retrieve_charge(intent["latest_charge"])
    assert (paid["amount_paid"], charge["amount_captured"]) == (10_000, 10_000)
    with pytest.raises(ProcessorRejected) as refusal:
        processor.create("invoice_item.create", credit, key="late")
    assert refusal.value.extra == {"processor_code": "invoice_not_editable"}
    refund = processor.create("refund.create", {"payment_intent": intent["id"], "amount": 1_000}, key="r:1")
    dispute = stripe_standin.dispute(charge["id"])
    assert processor.retrieve_refund(refund["id"])["amount"] == 1_000
    assert processor.retrieve_dispute(dispute["id"])["amount"] == 9_000


def test_reads_every_page_of_a_list(
    stripe_standin: StripeStandIn, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.services.psp_reads._PAGE", 2)
    since = stripe_standin.clock.now()
    customer = new_customer(stripe_standin)
    for number in range(5):
        create_coupon(stripe_standin, id=f"co_{number}")
        session = stripe_standin.pay(create_session(stripe_standin, customer=customer).id)
        intent = stripe_standin.all("payment_intent")[-1]["id"]
        processor.create("refund.create", {"payment_intent": intent, "amount": 1_000}, key=f"r:{number}")
        stripe_standin.dispute(intent)
    processor.cancel_subscription(session["subscription"], key="cancel:1")

    lists = [
        processor.list_all_sessions(created_from=since),
        processor.list_sessions(customer=customer, created_from=since),
        processor.list_subscriptions(customer),
        processor.list_invoices(created_from=since),
        processor.list_all_refunds(created_from=since),
        processor.list_disputes(created_from=since),
        processor.list_coupons(),
    ]

    assert [len({row["id"] for row in rows}) for rows in lists] == [5] * 7
    assert list(processor.list_disputes(created_from=since + 3_600)) == []


def test_says_what_is_missing(processor: Processor) -> None:
    for read in (processor.retrieve_subscription, processor.retrieve_invoice, processor.retrieve_refund):
        with pytest.raises(ProcessorRejected) as refusal:
            read("no_such_thing")
        assert refusal.value.extra == {"processor_code": "resource_missing"}
