"""A subscription renews by the clock: a draft, an hour for changes, then the card."""

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from catalyst.local.sandbox_stripe.payment import NotOpen
from catalyst.local.sandbox_stripe.periods import next_end
from tests.stripe.subscriptions import DAY, HOUR, check_events, event_types, subscribe
from tests.stripe_standin import StripeStandIn


def status_of(standin: StripeStandIn, subscription: str) -> str:
    return str(standin.get("subscription", subscription)["status"])


def credit(standin: StripeStandIn, customer: str, invoice: str, amount: int) -> stripe.InvoiceItem:
    line = {"amount": -amount, "currency": "omr", "description": "Credit"}
    parameters: Any = {"customer": customer, "invoice": invoice, **line}
    return standin.client().v1.invoice_items.create(parameters)


def test_drafts_at_the_end_of_the_period(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    subscription, _ = subscribe(stripe_standin, discount=5_000)
    before = stripe_standin.get("subscription", subscription)["items"]["data"][0]
    seen = len(stripe_standin.events())

    draft = stripe_standin.renew(subscription)

    item = stripe_standin.get("subscription", subscription)["items"]["data"][0]
    assert event_types(stripe_standin, seen) == ["invoice.created", "customer.subscription.updated"]
    assert item["current_period_start"] == before["current_period_end"] == draft["created"]
    invoice = client.v1.invoices.retrieve(draft["id"])
    assert (invoice.status, invoice.billing_reason, invoice.total) == ("draft", "subscription_cycle", 12_340)
    assert (invoice.period_start, invoice.period_end) == (
        before["current_period_start"],
        before["current_period_end"],
    )
    period = invoice.lines.data[0].period
    assert (period.start, period.end) == (item["current_period_start"], item["current_period_end"])
    assert invoice.auto_advance is True


def test_collects_an_hour_later(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    subscription, _ = subscribe(stripe_standin)
    draft = stripe_standin.renew(subscription)
    seen = len(stripe_standin.events())

    stripe_standin.clock.advance(HOUR - 60)
    assert stripe_standin.get("invoice", draft["id"])["status"] == "draft"
    stripe_standin.clock.advance(60)

    invoice = client.v1.invoices.retrieve(draft["id"], {"expand": ["payments"]})
    assert (invoice.status, invoice.amount_paid, invoice.amount_remaining) == ("paid", 12_340, 0)
    assert invoice.payments is not None
    intent = client.v1.payment_intents.retrieve(str(invoice.payments.data[0].payment.payment_intent))
    assert (intent.status, intent.amount_received) == ("succeeded", 12_340)
    assert event_types(stripe_standin, seen) == [
        "invoice.finalized",
        "payment_intent.succeeded",
        "charge.succeeded",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]
    assert stripe_standin.captured_minor() == 2 * 12_340
    check_events(stripe_standin)


def test_takes_a_credit_on_a_draft_only(stripe_standin: StripeStandIn) -> None:
    subscription, customer = subscribe(stripe_standin)
    draft = stripe_standin.renew(subscription)

    item = credit(stripe_standin, customer, draft["id"], 2_340)

    invoice = stripe_standin.get("invoice", draft["id"])
    assert (invoice["total"], invoice["amount_due"], item.invoice) == (10_000, 10_000, draft["id"])
    stripe_standin.clock.advance(HOUR)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        credit(stripe_standin, customer, draft["id"], 1_000)
    assert refusal.value.code == "invoice_not_editable"
    assert stripe_standin.get("invoice", draft["id"])["amount_paid"] == 10_000
    assert len(stripe_standin.all("invoiceitem")) == 1


def test_drafts_get_their_numbers_one_by_one(stripe_standin: StripeStandIn) -> None:
    (subscription, _customer), _other = subscribe(stripe_standin), subscribe(stripe_standin)
    first = {each["number"] for each in stripe_standin.all("invoice")}
    stripe_standin.renew(subscription)  # both end at the same time
    drafts = [each for each in stripe_standin.all("invoice") if each["status"] == "draft"]
    assert [draft["number"] for draft in drafts] == [None, None]

    numbers = [stripe_standin.finalize(draft["id"])["number"] for draft in drafts]

    assert numbers == ["SANDBOX-0003", "SANDBOX-0004"]
    assert first == {"SANDBOX-0001", "SANDBOX-0002"}


def test_pays_a_total_of_nothing_without_the_card(stripe_standin: StripeStandIn) -> None:
    subscription, customer = subscribe(stripe_standin)
    draft = stripe_standin.renew(subscription)
    credit(stripe_standin, customer, draft["id"], 12_340)

    paid = stripe_standin.finalize(draft["id"])

    assert (paid["status"], paid["amount_due"], paid["amount_paid"]) == ("paid", 0, 0)
    assert stripe_standin.captured_minor() == 12_340
    assert stripe_standin.get("customer", customer)["balance"] == 0


def test_what_is_below_zero_becomes_the_customers_balance(stripe_standin: StripeStandIn) -> None:
    subscription, customer = subscribe(stripe_standin)
    draft = stripe_standin.renew(subscription)
    credit(stripe_standin, customer, draft["id"], 14_340)

    paid = stripe_standin.finalize(draft["id"])
    assert (paid["amount_due"], paid["ending_balance"]) == (0, -2_000)
    assert stripe_standin.get("customer", customer)["balance"] == -2_000

    following = stripe_standin.collect(stripe_standin.renew(subscription)["id"])
    assert (following["starting_balance"], following["amount_paid"]) == (-2_000, 10_340)
    assert stripe_standin.get("customer", customer)["balance"] == 0


def test_carries_what_is_too_small_for_a_card(stripe_standin: StripeStandIn) -> None:
    subscription, customer = subscribe(stripe_standin)
    draft = stripe_standin.renew(subscription)
    credit(stripe_standin, customer, draft["id"], 12_240)

    paid = stripe_standin.finalize(draft["id"])

    assert (paid["status"], paid["amount_due"], stripe_standin.captured_minor()) == ("paid", 0, 12_340)
    assert stripe_standin.get("customer", customer)["balance"] == 100


def test_a_declined_card_makes_it_past_due_and_is_tried_again(stripe_standin: StripeStandIn) -> None:
    subscription, customer = subscribe(stripe_standin)
    stripe_standin.decline(customer)
    invoice = stripe_standin.renew(subscription)["id"]
    stripe_standin.clock.advance(HOUR)

    assert status_of(stripe_standin, subscription) == "past_due"
    tries = []
    for days in (0, 1, 2, 2, 2):
        stripe_standin.clock.advance(days * DAY)
        tries.append(stripe_standin.get("invoice", invoice)["attempt_count"])
    assert tries == [1, 2, 3, 4, 5]
    given_up = stripe_standin.get("invoice", invoice)
    assert (given_up["status"], given_up["next_payment_attempt"]) == ("open", None)
    stripe_standin.clock.advance(9 * DAY)
    assert stripe_standin.get("invoice", invoice)["attempt_count"] == 5
    assert status_of(stripe_standin, subscription) == "past_due"
    assert len(stripe_standin.events("invoice.payment_failed")) == 5
    assert stripe_standin.captured_minor() == 12_340
    check_events(stripe_standin)


def test_a_later_try_brings_it_back(stripe_standin: StripeStandIn) -> None:
    subscription, customer = subscribe(stripe_standin)
    stripe_standin.decline(customer)
    invoice = stripe_standin.renew(subscription)["id"]
    stripe_standin.clock.advance(HOUR)
    stripe_standin.accept(customer)

    stripe_standin.clock.advance(DAY)

    assert stripe_standin.get("invoice", invoice)["status"] == "paid"
    assert status_of(stripe_standin, subscription) == "active"
    assert len(stripe_standin.all("payment_intent")) == 2
    assert [row["status"] for row in stripe_standin.all("charge")] == ["succeeded", "failed", "succeeded"]


def test_collects_by_hand_either_way(stripe_standin: StripeStandIn) -> None:
    subscription, _ = subscribe(stripe_standin)
    invoice = stripe_standin.renew(subscription)["id"]

    failed = stripe_standin.collect(invoice, succeeds=False)
    assert (failed["status"], status_of(stripe_standin, subscription)) == ("open", "past_due")
    paid = stripe_standin.collect(invoice)

    assert (paid["status"], paid["attempt_count"], status_of(stripe_standin, subscription)) == ("paid", 2, "active")
    with pytest.raises(NotOpen):
        stripe_standin.collect(invoice)
    assert stripe_standin.captured_minor() == 2 * 12_340


@pytest.mark.parametrize(("ending", "event"), [("void", "voided"), ("mark_uncollectible", "marked_uncollectible")])
def test_ends_an_invoice_that_is_not_paid(stripe_standin: StripeStandIn, ending: str, event: str) -> None:
    subscription, _ = subscribe(stripe_standin)
    invoice = stripe_standin.renew(subscription)["id"]

    ended = getattr(stripe_standin, ending)(invoice)

    stripe_standin.clock.advance(10 * DAY)
    assert stripe_standin.get("invoice", invoice)["status"] == ended["status"]
    assert len(stripe_standin.events(f"invoice.{event}")) == 1
    assert stripe_standin.captured_minor() == 12_340
    check_events(stripe_standin)


def test_pays_out_of_turn_over_the_api(stripe_standin: StripeStandIn, client: stripe.StripeClient) -> None:
    subscription, customer = subscribe(stripe_standin)
    stripe_standin.decline(customer)
    invoice = stripe_standin.renew(subscription)["id"]
    stripe_standin.clock.advance(HOUR)

    with pytest.raises(stripe.CardError) as refusal:
        client.v1.invoices.pay(invoice)
    tried = stripe_standin.get("invoice", invoice)
    assert (refusal.value.code, tried["status"], tried["attempt_count"]) == ("card_declined", "open", 2)
    assert len(stripe_standin.events("invoice.payment_failed")) == 2
    stripe_standin.accept(customer)
    assert client.v1.invoices.pay(invoice).status == "paid"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoices.pay(invoice)
    assert stripe_standin.captured_minor() == 2 * 12_340


def test_catches_up_month_by_month(stripe_standin: StripeStandIn) -> None:
    subscription, _ = subscribe(stripe_standin)
    first = stripe_standin.get("subscription", subscription)["items"]["data"][0]["current_period_end"]

    stripe_standin.clock.advance(first - stripe_standin.clock.now() + 75 * DAY)

    invoices = [row for row in stripe_standin.all("invoice") if row["billing_reason"] == "subscription_cycle"]
    starts = [row["lines"]["data"][0]["period"]["start"] for row in invoices]
    assert ([row["status"] for row in invoices], starts[0]) == (["paid"] * 3, first)
    assert [row["created"] for row in invoices] == starts
    assert [row["status_transitions"]["paid_at"] - row["created"] for row in invoices] == [HOUR] * 3


def test_a_month_without_the_day_ends_on_its_last_one() -> None:
    anchor = int(datetime(2027, 1, 31, 9, tzinfo=UTC).timestamp())
    every = {"interval": "month", "interval_count": 1}

    february = next_end(anchor, every, anchor)
    march = next_end(anchor, every, february)

    assert [datetime.fromtimestamp(end, UTC).day for end in (february, march)] == [28, 31]
    assert next_end(anchor, {"interval": "year", "interval_count": 1}, anchor) == anchor + 365 * DAY
