"""Every month the processor bills and we follow: credit goes in first, the card pays the rest, the period moves."""

import contextlib
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from billing.models import Invoice, PspCall, Subscription
from billing.services import card_sweep
from billing.services.card_renewals import follow_invoice
from billing.services.change_calls import send_items
from billing.services.psp import Processor, ProcessorRejected, get_processor
from billing.services.subscription_changes import ChangeSelection
from billing.services.subscriptions import cancel_subscription
from tests.billing.card_life import card_customer, incidents, pending_events
from tests.billing.changing import SMALL_MINOR, change, stock
from tests.billing.shop import PLAN_MINOR, Shop
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_draft_takes_the_credit_in(shop: Shop) -> None:
    customer = card_customer(shop)
    customer.add_credit(20_007)
    draft = customer.renew()

    customer.tell()

    invoice = customer.invoice()
    assert (invoice.state, invoice.total_minor, invoice.credit_minor, invoice.number) == (
        "draft",
        PLAN_MINOR,
        20_000,
        None,
    )
    assert customer.holds() == [("active", 20_000)]
    assert (customer.account.posted_minor, customer.account.held_minor) == (20_007, 20_000)
    assert customer.standin.get("invoice", draft["id"])["total"] == PLAN_MINOR - 20_000
    assert customer.subscription.state == "active"


def test_a_paid_invoice_spends_the_credit_and_moves_the_period(shop: Shop) -> None:
    customer = card_customer(shop)
    customer.add_credit(20_007)
    before = customer.subscription.current_period
    draft = customer.renew()
    customer.tell()
    customer.standin.collect(draft["id"])

    customer.tell()

    invoice, subscription = customer.invoice(), customer.subscription
    assert (invoice.state, invoice.credit_minor, invoice.number) == ("paid", 20_000, 1)
    assert customer.holds() == [("captured", 20_000)]
    assert customer.spends() == [-20_000]
    assert (customer.account.posted_minor, customer.account.held_minor) == (7, 0)
    assert (subscription.state, subscription.current_period.lower) == ("active", before.upper)
    assert subscription.current_period == invoice.period
    assert customer.topics() == ["subscription.renewed"]
    assert customer.standin.captured_minor() == 40_000 + 30_000
    assert (incidents(), pending_events()) == ([], 0)


def test_without_credit_the_processor_is_asked_for_no_line(shop: Shop) -> None:
    customer = card_customer(shop)
    draft = customer.renew()
    customer.tell()
    customer.standin.collect(draft["id"])

    customer.tell()

    assert customer.standin.calls.count("invoiceitems.create") == 0
    assert (customer.invoice().state, customer.invoice().credit_minor) == ("paid", 0)
    assert (customer.holds(), customer.spends()) == ([], [])


def test_credit_that_covers_everything_charges_no_card(shop: Shop) -> None:
    customer = card_customer(shop)
    customer.add_credit(PLAN_MINOR)
    draft = customer.renew()
    customer.tell()
    customer.standin.finalize(draft["id"])

    customer.tell()

    assert (customer.invoice().state, customer.invoice().credit_minor) == ("paid", PLAN_MINOR)
    assert (customer.account.posted_minor, customer.account.held_minor) == (0, 0)
    assert customer.standin.captured_minor() == 40_000


def test_what_the_card_cannot_be_charged_stays_credit(shop: Shop) -> None:
    """49.950 of credit would leave 0.050 for the card, which is below what the processor takes."""
    customer = card_customer(shop)
    customer.add_credit(49_950)
    customer.renew()

    customer.tell()

    assert customer.invoice().credit_minor == PLAN_MINOR - 200
    assert customer.account.posted_minor - customer.account.held_minor == 150


def test_an_invoice_seen_too_late_is_the_cards_alone(shop: Shop) -> None:
    customer = card_customer(shop)
    customer.add_credit(20_000)
    draft = customer.renew()
    customer.standin.finalize(draft["id"])
    customer.tell()

    assert (customer.invoice().state, customer.invoice().credit_minor) == ("draft", 0)
    customer.standin.collect(draft["id"])
    customer.tell()

    assert (customer.invoice().state, customer.spends()) == ("paid", [])
    assert (customer.account.posted_minor, customer.account.held_minor) == (20_000, 0)
    assert customer.standin.captured_minor() == 40_000 + PLAN_MINOR


@pytest.mark.parametrize("end", ["void", "uncollectible"])
def test_a_dropped_invoice_gives_the_credit_back(shop: Shop, end: str) -> None:
    customer = card_customer(shop)
    customer.add_credit(20_000)
    draft = customer.renew()
    customer.tell()
    assert customer.holds() == [("active", 20_000)]
    if end == "void":
        customer.standin.void(draft["id"])
    else:
        customer.standin.mark_uncollectible(draft["id"])

    customer.tell()

    assert customer.invoice().state == end
    assert customer.holds() == [("voided", 20_000)]
    assert (customer.account.posted_minor, customer.account.held_minor) == (20_000, 0)
    assert customer.subscription.state == {"void": "active", "uncollectible": "past_due"}[end]


def test_a_declined_card_is_past_due_and_a_later_payment_brings_it_back(shop: Shop) -> None:
    customer = card_customer(shop)
    customer.add_credit(20_000)
    draft = customer.renew()
    customer.tell()
    customer.standin.collect(draft["id"], succeeds=False)
    customer.tell()

    due, subscription = customer.invoice(), customer.subscription
    assert (due.state, due.number, due.credit_minor) == ("open", 1, 20_000)
    assert (subscription.state, subscription.past_due_since is None) == ("past_due", False)
    assert customer.holds() == [("active", 20_000)]

    customer.standin.collect(draft["id"])
    customer.tell()

    assert (customer.invoice().state, customer.invoice().number) == ("paid", 1)
    assert (customer.subscription.state, customer.subscription.past_due_since) == ("active", None)
    assert customer.topics() == ["subscription.past_due", "subscription.resumed", "subscription.renewed"]
    assert customer.spends() == [-20_000]


def test_a_payment_that_differs_is_an_incident_and_books_nothing(shop: Shop) -> None:
    customer = card_customer(shop)
    before = customer.subscription.current_period
    draft = customer.renew()
    customer.tell()
    customer.standin.collect(draft["id"])
    customer.standin.tamper("invoice", draft["id"], amount_paid=PLAN_MINOR - 10)

    customer.tell()

    assert incidents() == ["renewal_payment"]
    assert (customer.invoice().state, customer.spends()) == ("draft", [])
    assert customer.subscription.current_period == before
    assert "subscription.renewed" not in customer.topics()


@pytest.mark.parametrize("credit", [0, 20_000])
@pytest.mark.parametrize("more", [1_000, -1_000])
def test_a_draft_with_another_price_is_brought_to_ours_and_a_person_told(shop: Shop, more: int, credit: int) -> None:
    customer = card_customer(shop)
    if credit:
        customer.add_credit(credit)
    draft = customer.renew()
    customer.standin.tamper("invoice", draft["id"], total=PLAN_MINOR + more)

    customer.tell()

    assert incidents() == ["renewal_price"]
    [line] = customer.standin.calls.find("invoiceitems.create")
    assert line.parameters["amount"] == str(-credit - more)
    assert customer.invoice().credit_minor == credit
    assert customer.holds() == ([("active", credit)] if credit else [])


def test_a_finalized_invoice_with_another_price_takes_no_credit_and_calls_a_person(shop: Shop) -> None:
    customer = card_customer(shop)
    customer.add_credit(20_000)
    draft = customer.renew()
    customer.standin.tamper("invoice", draft["id"], total=PLAN_MINOR + 1_000)
    customer.standin.finalize(draft["id"])

    customer.tell()

    assert incidents() == ["renewal_price"]
    assert (customer.invoice().credit_minor, customer.holds()) == (0, [])
    assert customer.standin.calls.find("invoiceitems.create") == []


def test_no_event_is_needed(shop: Shop) -> None:
    customer = card_customer(shop)
    customer.add_credit(20_000)
    draft = customer.renew()

    customer.sweep()
    assert customer.holds() == [("active", 20_000)]
    customer.standin.collect(draft["id"])
    customer.sweep(after=timedelta(hours=2))

    assert (customer.invoice().state, customer.spends()) == ("paid", [-20_000])
    assert customer.subscription.current_period == customer.invoice().period


def test_months_that_nobody_told_us_of_are_found(shop: Shop) -> None:
    customer = card_customer(shop)
    for _month in range(3):
        customer.standin.collect(customer.renew()["id"])

    asked = len(customer.standin.calls.find("subscriptions.retrieve"))

    customer.sweep()

    (listed,) = customer.standin.calls.find("invoices.list")
    assert listed.parameters["subscription"] == customer.theirs
    assert len(customer.standin.calls.find("subscriptions.retrieve")) == asked + 1
    assert [invoice.state for invoice in customer.invoices()] == ["paid"] * 3
    assert customer.subscription.current_period == customer.invoices()[-1].period
    assert customer.topics() == ["subscription.renewed"] * 3
    assert customer.standin.captured_minor() == 40_000 + 3 * PLAN_MINOR


def test_the_first_invoice_is_the_orders(shop: Shop) -> None:
    customer = card_customer(shop)

    customer.tell()

    assert not Invoice.objects.filter(order=None).exists()
    assert pending_events() == 0


def test_an_end_at_the_processor_is_an_end(shop: Shop) -> None:
    customer = card_customer(shop)
    customer.standin.client().v1.subscriptions.cancel(customer.theirs)

    customer.tell("customer.subscription.deleted")

    subscription = customer.subscription
    assert (subscription.state, subscription.canceled_at is None) == ("canceled", False)
    customer.tell("customer.subscription.updated", "customer.subscription.deleted")
    assert customer.topics() == ["subscription.canceled"]


def test_a_stale_event_takes_no_end_back(shop: Shop) -> None:
    """The update came before the end and is told after it: asked, the processor says what is true now."""
    customer = card_customer(shop)
    draft = customer.renew()
    customer.standin.collect(draft["id"])
    customer.standin.client().v1.subscriptions.cancel(customer.theirs)
    customer.tell("customer.subscription.deleted")

    customer.tell("customer.subscription.updated", "invoice.paid", "invoice.created")

    assert customer.subscription.state == "canceled"
    assert customer.invoice().state == "paid"
    assert incidents() == []


def test_money_for_a_draft_that_ended_calls_a_person(shop: Shop) -> None:
    customer = card_customer(shop)
    draft = customer.renew()
    customer.standin.client().v1.subscriptions.cancel(customer.theirs)
    customer.tell("customer.subscription.deleted")
    customer.standin.collect(draft["id"])

    customer.tell()

    assert (customer.subscription.state, customer.invoice().state) == ("canceled", "void")
    assert incidents() == ["renewal_payment"]


def test_a_debt_paid_after_the_end_is_booked_and_calls_a_person(shop: Shop) -> None:
    customer = card_customer(shop)
    customer.add_credit(20_000)
    before = customer.subscription.current_period
    draft = customer.renew()
    customer.tell()
    customer.standin.collect(draft["id"], succeeds=False)
    customer.tell()
    cancel_subscription(
        subscription_id=customer.subscription.pk, at_once=True, actor="test", reason="test", now=customer.now()
    )
    assert (customer.invoice().state, customer.account.held_minor) == ("uncollectible", 0)
    customer.standin.collect(draft["id"])

    customer.tell()

    assert (customer.subscription.state, customer.invoice().state) == ("canceled", "paid")
    assert (customer.subscription.current_period, customer.spends()) == (before, [-20_000])
    assert incidents() == ["paid_after_end"]


def test_an_invoice_of_nobody_waits(shop: Shop) -> None:
    customer = card_customer(shop)
    draft = customer.renew()
    customer.standin.tamper("invoice", draft["id"], parent=None)

    customer.tell("invoice.created")

    assert pending_events() == 1
    assert customer.invoices() == []


def test_a_change_for_the_next_period_is_in_its_invoice(shop: Shop) -> None:
    stock(shop)
    customer = card_customer(shop)
    customer.add_credit(5_000)
    change(customer.shop, customer.subscription, ChangeSelection(plan="s"), now=timezone.now())
    send_items(organization_id=customer.organization_id)
    draft = customer.renew()

    customer.tell()
    customer.standin.collect(draft["id"])
    customer.tell()

    subscription, invoice = customer.subscription, customer.invoice()
    assert (subscription.plan, subscription.monthly_minor) == ("s", SMALL_MINOR)
    assert (invoice.state, invoice.total_minor, invoice.credit_minor) == ("paid", SMALL_MINOR, 5_000)
    assert customer.topics() == ["subscription.change_scheduled", "subscription.changed", "subscription.renewed"]
    assert incidents() == []


@pytest.mark.parametrize(("code", "state"), [("resource_missing", "void"), ("parameter_unknown", "draft")])
def test_only_a_draft_that_is_gone_is_forgotten(shop: Shop, code: str, state: str) -> None:
    customer = card_customer(shop)
    customer.add_credit(20_000)
    draft = customer.renew()
    customer.tell()
    customer.standin.script("invoices.retrieve", Fault.ERROR_400, times=None, code=code)

    follow_quietly(draft["id"], now=customer.now())

    held = {"void": 0, "draft": 20_000}[state]
    assert (customer.invoice().state, customer.account.held_minor) == (state, held)


def test_a_credit_line_for_a_draft_that_is_gone_is_asked_for_no_more(shop: Shop) -> None:
    customer = card_customer(shop)
    customer.add_credit(20_000)
    customer.standin.script("invoiceitems.create", Fault.DROP_BEFORE, times=None)
    draft = customer.renew()
    customer.tell()
    call = PspCall.objects.get(op="invoice_item.create")
    assert call.state == "unknown"
    customer.standin.clear_faults()
    customer.standin.script("invoices.retrieve", Fault.ERROR_400, times=None, code="resource_missing")

    follow_quietly(draft["id"], now=customer.now())

    call.refresh_from_db()
    assert (call.state, customer.invoice().state, customer.account.held_minor) == ("absent", "void", 0)
    customer.drive_calls()
    assert incidents() == []


def test_one_that_cannot_be_followed_lets_others_have_their_turn(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    poison, healthy = card_customer(shop), card_customer(shop, "healthy")
    monkeypatch.setattr(card_sweep, "_BATCH", 1)
    healthy.renew()  # bought last, so that the other's period is over too
    follow_all = card_sweep.follow_all

    def fail_for_one(processor: Processor, subscription: Subscription, *, now: datetime) -> None:
        if subscription.pk == poison.subscription.pk:
            raise RuntimeError("a fault of ours")
        follow_all(processor, subscription, now=now)

    monkeypatch.setattr(card_sweep, "follow_all", fail_for_one)

    poison.sweep()
    poison.sweep()

    assert (poison.invoices(), [row.state for row in healthy.invoices()]) == ([], ["draft"])
    monkeypatch.undo()
    poison.sweep(after=timedelta(minutes=20))
    assert [row.state for row in poison.invoices()] == ["draft"]


def follow_quietly(psp_invoice: str, *, now: datetime) -> None:
    with contextlib.suppress(ProcessorRejected):
        follow_invoice(get_processor(), psp_invoice, actor="test", now=now)
