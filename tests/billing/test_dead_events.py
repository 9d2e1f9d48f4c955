"""An event that cannot be followed calls a person, who replays it or puts it aside; it stops nobody else's."""

from typing import Any

import pytest
from django.test import Client

from billing.models import StripeEvent
from billing.services import stripe_follow
from billing.services.stripe_events import MAX_ATTEMPTS, process_event, store_event
from tenancy.models import AuditEntry
from tests.billing.card_life import CardCustomer, card_customer, incidents
from tests.billing.killed import make_due, make_purchase, sweep
from tests.billing.shop import Shop
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def customer(shop: Shop) -> CardCustomer:
    return card_customer(shop)


def broken(*_args: Any, **_keywords: Any) -> bool:
    raise RuntimeError("a fault of ours")


def event_of(customer: CardCustomer, type_: str = "invoice.created") -> str:
    event = customer.standin.events(type_)[-1]
    store_event(event=event)
    return str(event["id"])


def kill(customer: CardCustomer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let a handler fail until its event is dead."""
    customer.renew()
    event_id = event_of(customer)
    monkeypatch.setitem(stripe_follow.FOLLOWERS, "invoice.created", broken)
    for _attempt in range(MAX_ATTEMPTS):
        process_event(event_id=event_id, now=customer.now())
    monkeypatch.undo()
    return event_id


def act(customer: CardCustomer, action: str, event_id: str) -> Any:
    client = Client()
    client.force_login(customer.shop.staff)
    form = {"action": action, "_selected_action": event_id, "confirmed": "yes"}
    return client.post("/admin/billing/stripeevent/", form, follow=True)


def test_eight_faults_are_an_incident(customer: CardCustomer, monkeypatch: pytest.MonkeyPatch) -> None:
    event_id = kill(customer, monkeypatch)

    event = StripeEvent.objects.get(pk=event_id)
    assert (event.state, event.attempts) == ("dead", MAX_ATTEMPTS)
    assert event.last_error == "RuntimeError: a fault of ours"
    assert incidents() == ["stripe_event_dead"]
    assert act(customer, "replay", event_id).status_code == 200


def test_a_dead_event_stops_no_other(customer: CardCustomer, monkeypatch: pytest.MonkeyPatch) -> None:
    event_id = kill(customer, monkeypatch)

    customer.tell("invoice.paid", "customer.subscription.updated")

    assert not StripeEvent.objects.exclude(pk=event_id).exclude(state="done").exists()
    act(customer, "dismiss", event_id)


def test_a_replay_follows_it_and_closes_the_incident(customer: CardCustomer, monkeypatch: pytest.MonkeyPatch) -> None:
    event_id = kill(customer, monkeypatch)

    act(customer, "replay", event_id)
    process_event(event_id=event_id, now=customer.now())

    assert StripeEvent.objects.get(pk=event_id).state == "done"
    assert (customer.invoice().state, incidents()) == ("draft", [])
    assert AuditEntry.objects.filter(action="stripe_event.replayed", target=f"stripe_event:{event_id}").count() == 1


def test_put_aside_it_is_ignored_for_good(customer: CardCustomer, monkeypatch: pytest.MonkeyPatch) -> None:
    event_id = kill(customer, monkeypatch)

    act(customer, "dismiss", event_id)
    process_event(event_id=event_id, now=customer.now())

    assert StripeEvent.objects.get(pk=event_id).state == "ignored"
    assert (customer.invoices(), incidents()) == ([], [])
    assert AuditEntry.objects.filter(action="stripe_event.dismissed").count() == 1


def test_a_living_event_cannot_be_put_aside(customer: CardCustomer) -> None:
    event_id = event_of(customer)

    act(customer, "dismiss", event_id)

    assert StripeEvent.objects.get(pk=event_id).state == "pending"
    assert not AuditEntry.objects.filter(action="stripe_event.dismissed").exists()


def test_a_silent_processor_kills_no_event(customer: CardCustomer) -> None:
    customer.renew()
    event_id = event_of(customer)
    customer.standin.script("invoices.retrieve", Fault.ERROR_500, times=None)
    for _attempt in range(MAX_ATTEMPTS + 1):
        process_event(event_id=event_id, now=customer.now())

    assert StripeEvent.objects.get(pk=event_id).state == "pending"
    customer.standin.clear_faults()
    process_event(event_id=event_id, now=customer.now())
    assert StripeEvent.objects.get(pk=event_id).state == "done"
    assert customer.invoice().state == "draft"


def test_what_is_left_of_a_sale_that_never_was_has_no_need_of_a_person(shop: Shop) -> None:
    """Paid later, and the payment failed: the subscription and the invoice over there are nobody's."""
    purchase = make_purchase(shop, "company")
    assert purchase.buy().status_code == 201
    standin = CardCustomer(purchase).standin
    session = str(purchase.checkouts()[0].psp_session_id)
    standin.pay_later(session)
    standin.fail(session)
    sweep()
    make_due()
    sweep()
    assert purchase.checkouts()[0].state == "lapsed"

    customer = CardCustomer(purchase)
    customer.tell()

    assert not StripeEvent.objects.exclude(state__in=["done", "ignored"]).exists()
    assert purchase.books().entries == [("voucher_grant", 10_000)]
