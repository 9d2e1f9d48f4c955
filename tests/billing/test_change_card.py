"""A person saves another card: it pays what is billed by card, what is due is tried at once, and credit gets a card."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from billing.models import PspCall
from billing.services.subscription_sweep import sweep_subscriptions
from billing.services.subscriptions import cancel_subscription
from tenancy.models import AuditEntry, Membership
from tests.billing.card_life import (
    CardCustomer,
    card_customer,
    credit_customer,
    deliver,
    incidents,
    let_credit_run_out,
    open_session,
    pending_events,
    press,
    save_card,
)
from tests.billing.killed import make_due
from tests.billing.shop import PLAN_MINOR, Shop, books
from tests.conftest import owner_connection
from tests.factories import MembershipFactory
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)


def default_of(customer: CardCustomer) -> Any:
    owner = customer.standin.get("customer", str(customer.account.psp_customer_id))
    return owner["invoice_settings"]["default_payment_method"]


def test_the_card_becomes_the_default_everywhere(shop: Shop) -> None:
    customer = card_customer(shop)
    card = save_card(customer)

    customer.tell()

    assert default_of(customer) == card
    assert customer.standin.get("subscription", customer.theirs)["default_payment_method"] == card
    assert not PspCall.objects.exclude(state="succeeded").exists()
    assert AuditEntry.objects.filter(action="card.saved").count() == 1
    assert pending_events() == 0


def test_the_return_page_follows_it_too(shop: Shop) -> None:
    customer = card_customer(shop)
    session_id = open_session(customer)
    customer.standin.add_card(session_id)
    slug = customer.shop.organization.slug

    answer = customer.person().get(f"/console/{slug}/billing/card/return/?session_id={session_id}", follow=True)

    assert answer.redirect_chain[-1] == (f"/console/{slug}/billing/", 303)
    assert [str(message) for message in answer.context["messages"]] == ["The card is saved. It pays from now on."]
    assert default_of(customer) is not None
    customer.tell()
    assert customer.standin.calls.effect_count("customers.update") == 1


def test_a_person_who_leaves_the_page_changes_nothing(shop: Shop) -> None:
    customer = card_customer(shop)
    open_session(customer)
    slug = customer.shop.organization.slug

    answer = customer.person().get(f"/console/{slug}/billing/card/return/", follow=True)

    assert [str(message) for message in answer.context["messages"]] == ["The card was not changed."]
    assert default_of(customer) is None


def test_another_organizations_session_is_not_followed(shop: Shop) -> None:
    mine, other = card_customer(shop), card_customer(shop, "other")
    session_id = open_session(other)
    other.standin.add_card(session_id)
    slug = mine.shop.organization.slug

    mine.person().get(f"/console/{slug}/billing/card/return/?session_id={session_id}")

    assert (default_of(mine), default_of(other)) == (None, None)


@pytest.mark.parametrize(("role", "status"), [(Membership.Role.DEVELOPER, 403), (Membership.Role.VIEWER, 403)])
def test_only_who_edits_billing_may_change_the_card(shop: Shop, role: str, status: int) -> None:
    customer = card_customer(shop)
    client = Client()
    client.force_login(MembershipFactory.create(organization=customer.shop.organization, role=role).user)

    assert press(customer, client).status_code == status
    assert customer.standin.sessions(mode="setup") == []


def test_a_stranger_finds_no_such_page(shop: Shop) -> None:
    customer, other = card_customer(shop), card_customer(shop, "other")

    assert press(customer, other.person()).status_code == 404
    assert customer.standin.sessions(mode="setup") == []


def test_a_processor_that_does_not_answer_is_said(shop: Shop) -> None:
    customer = card_customer(shop)
    customer.standin.script("checkout.sessions.create", Fault.DROP_AFTER, times=2)

    answer = press(customer)
    again = press(customer)

    assert answer.url == f"/console/{customer.shop.organization.slug}/billing/"
    # The second press finds the page that the first one had made.
    (session,) = customer.standin.sessions(mode="setup")
    assert again.url == session["url"]


def test_a_page_that_nobody_was_shown_is_forgotten(shop: Shop) -> None:
    customer = card_customer(shop)
    customer.standin.script("checkout.sessions.create", Fault.DROP_BEFORE, times=2)
    press(customer)
    PspCall.objects.filter(state="unknown").update(next_action_at=customer.now())
    age_calls()

    customer.sweep()

    assert PspCall.objects.get(idempotency_key__startswith="card:").state == "absent"
    assert press(customer).url.startswith(customer.standin.url)


def test_of_two_cards_the_later_page_counts_in_any_order(shop: Shop) -> None:
    customer = card_customer(shop)
    first = open_session(customer)
    customer.standin.clock.advance(60)
    press(customer)
    second = next(row["id"] for row in customer.standin.sessions(mode="setup") if row["id"] != first)
    later = customer.standin.add_card(second)
    card = customer.standin.get("setup_intent", later["setup_intent"])["payment_method"]
    customer.standin.add_card(first)

    for event in reversed(customer.standin.events("checkout.session.completed")):
        customer.tell_only(event)
    customer.tell()

    assert default_of(customer) == card


def test_what_is_due_is_tried_at_once(shop: Shop) -> None:
    customer = card_customer(shop)
    draft = customer.renew()
    customer.tell()
    customer.standin.collect(draft["id"], succeeds=False)
    customer.tell()
    assert customer.subscription.state == "past_due"
    save_card(customer)

    customer.tell()

    assert (customer.subscription.state, customer.invoice().state) == ("active", "paid")
    assert customer.standin.calls.effect_count("invoices.pay") == 1
    assert customer.standin.captured_minor() == 40_000 + PLAN_MINOR


def test_credit_gets_a_card_from_the_next_period_on(shop: Shop) -> None:
    customer = credit_customer(shop, left_minor=5_000)
    before = customer.subscription.current_period
    card = save_card(customer)

    customer.tell()

    subscription = customer.subscription
    assert (subscription.state, subscription.collection) == ("active", "card")
    assert subscription.current_period == before
    assert (customer.invoices(), customer.standin.captured_minor()) == ([], 0)
    theirs = customer.standin.get("subscription", customer.theirs)
    assert theirs["default_payment_method"] == card
    assert pending_events() == 0

    draft = customer.renew()
    customer.tell()
    customer.standin.collect(draft["id"])
    customer.tell()

    assert (customer.invoice().state, customer.invoice().credit_minor) == ("paid", 5_000)
    assert customer.standin.captured_minor() == PLAN_MINOR - 5_000
    assert customer.subscription.current_period.lower - before.upper < timedelta(seconds=1)
    assert incidents() == []


def test_a_card_pays_what_credit_could_not(shop: Shop) -> None:
    customer = credit_customer(shop)
    let_credit_run_out(customer)
    save_card(customer)

    customer.tell()

    void, paid = customer.invoices()
    assert (void.state, paid.state, paid.credit_minor) == ("void", "paid", 0)
    assert (customer.subscription.state, customer.subscription.collection) == ("active", "card")
    assert customer.subscription.current_period == paid.period
    assert customer.standin.captured_minor() == PLAN_MINOR
    assert customer.topics() == [
        "subscription.past_due",
        "subscription.resumed",
        "subscription.renewed",
    ]
    assert incidents() == []


def test_a_declined_card_leaves_everything_as_it_was(shop: Shop) -> None:
    customer = credit_customer(shop)
    let_credit_run_out(customer)
    session_id = open_session(customer)
    customer.standin.add_card(session_id)
    customer.standin.decline(str(customer.account.psp_customer_id))
    before = books(customer.shop)

    customer.tell()

    subscription = customer.subscription
    assert (subscription.state, subscription.collection, subscription.psp_subscription_id) == (
        "past_due",
        "credit",
        None,
    )
    assert (customer.invoice().state, books(customer.shop)) == ("open", before)
    assert customer.standin.captured_minor() == 0
    assert customer.standin.all("subscription") == []
    # Another card is another try.
    customer.standin.accept(str(customer.account.psp_customer_id))
    customer.standin.clock.advance(60)
    save_card(customer)
    customer.tell()
    assert customer.subscription.collection == "card"


def test_a_lost_answer_makes_no_second_subscription(shop: Shop) -> None:
    customer = credit_customer(shop)
    let_credit_run_out(customer)
    save_card(customer)
    customer.standin.script("subscriptions.create", Fault.DROP_AFTER, times=2)
    deliver(customer.standin.events(), now=customer.now())
    assert customer.subscription.collection == "credit"

    customer.sweep()

    assert customer.subscription.collection == "card"
    assert customer.standin.calls.effect_count("subscriptions.create") == 1
    assert customer.standin.captured_minor() == PLAN_MINOR


def test_credit_does_not_pay_while_a_card_is_being_added(shop: Shop) -> None:
    """The card may have paid the period already; only the answer says."""
    customer = credit_customer(shop)
    let_credit_run_out(customer)
    save_card(customer)
    customer.standin.script("subscriptions.create", Fault.DROP_AFTER, times=2)
    deliver(customer.standin.events(), now=customer.now())

    customer.add_credit(PLAN_MINOR)
    sweep_subscriptions(now=customer.now() + timedelta(days=2))
    customer.sweep()

    assert customer.spends() == []
    assert customer.standin.captured_minor() == PLAN_MINOR
    assert [row.state for row in customer.invoices()] == ["void", "paid"]


def test_a_subscription_that_ended_meanwhile_is_ended_there_too(shop: Shop) -> None:
    customer = credit_customer(shop)
    save_card(customer)
    customer.standin.script("subscriptions.create", Fault.DROP_AFTER, times=2)
    deliver(customer.standin.events(), now=customer.now())
    pk = customer.subscription.pk
    cancel_subscription(subscription_id=pk, at_once=True, actor="test", reason="test", now=customer.now())

    customer.sweep()
    make_due()
    sweep_subscriptions(now=customer.now())

    (theirs,) = customer.standin.all("subscription")
    assert (customer.subscription.state, theirs["status"]) == ("canceled", "canceled")
    assert (customer.standin.captured_minor(), incidents()) == (0, [])


def test_in_the_last_minutes_of_a_period_nothing_is_billed_twice(shop: Shop) -> None:
    customer = credit_customer(shop)
    ends = customer.subscription.current_period.upper
    customer.standin.clock.advance(int((ends - customer.now()).total_seconds()) - 60)
    save_card(customer)

    customer.tell()
    draft = customer.renew()
    customer.tell()
    customer.standin.collect(draft["id"])
    customer.tell()

    assert customer.invoice().state == "paid"
    assert timedelta() < customer.subscription.current_period.lower - ends < timedelta(minutes=6)
    assert (customer.standin.captured_minor(), incidents()) == (PLAN_MINOR, [])


def test_the_portal_needs_a_customer(shop: Shop) -> None:
    customer = credit_customer(shop)

    answer = customer.purchase.calls.post("billing-portal/", {})

    assert (answer.status_code, answer.json()["code"]) == (409, "no_card_yet")
    assert not PspCall.objects.exists()


def test_the_portal_has_an_address(shop: Shop) -> None:
    customer = card_customer(shop)

    answer = customer.purchase.calls.post("billing-portal/", {})

    (asked,) = customer.standin.calls.find("billing_portal.sessions.create")
    assert asked.parameters["customer"] == customer.account.psp_customer_id
    assert answer.status_code == 200
    assert answer.json()["portal_url"].startswith(customer.standin.url)
    assert PspCall.objects.get(op="portal.create").state == "succeeded"


def age_calls() -> None:
    """Let the time pass after which a page that nobody was shown is given up."""
    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE billing_pspcall SET first_sent_at = first_sent_at - interval '11 minutes'")
