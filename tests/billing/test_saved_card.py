"""What a saved card comes to when it is declined, when no answer comes, and when the contents change meanwhile."""

from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from billing.models import PspCall
from billing.services.subscription_changes import ChangeSelection
from billing.tasks import changes as tasks
from tests.billing.card_life import (
    CardCustomer,
    card_customer,
    credit_customer,
    deliver,
    incidents,
    let_credit_run_out,
    open_session,
    save_card,
)
from tests.billing.changing import BACKUP_MINOR, LARGE_MINOR, ask, stock
from tests.billing.killed import make_due
from tests.billing.shop import PLAN_MINOR, Shop
from tests.conftest import owner_connection
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)

SAVED = "The card is saved. It pays from now on."
DECLINED = "The card is saved, but it was declined. Add another card, or ask your bank."
UNKNOWN = "We are confirming the card. Reload this page in a minute."


def come_back(customer: CardCustomer, session_id: str) -> list[str]:
    """Return from the processor's page; return what the person reads."""
    address = f"/console/{customer.shop.organization.slug}/billing/card/return/?session_id={session_id}"
    answer = customer.person().get(address, follow=True)
    return [str(message) for message in answer.context["messages"]]


def billed(customer: CardCustomer) -> list[tuple[str, int]]:
    """Return what the processor would bill for the next period: product and price."""
    items = customer.standin.get("subscription", customer.theirs)["items"]["data"]
    return sorted((row["price"]["product"], row["price"]["unit_amount"]) for row in items)


def alarms(logs: list[Any]) -> list[str]:
    return [line["event"] for line in logs if line.get("alarm")]


@pytest.mark.parametrize("collection", ["card", "credit"])
def test_a_person_is_told_that_the_saved_card_was_declined(shop: Shop, collection: str) -> None:
    if collection == "credit":
        customer = credit_customer(shop)
        let_credit_run_out(customer)
    else:
        customer = card_customer(shop)
        draft = customer.renew()
        customer.tell()
        customer.standin.collect(draft["id"], succeeds=False)
        customer.tell()
    session_id = open_session(customer)
    customer.standin.add_card(session_id)
    customer.standin.decline(str(customer.account.psp_customer_id))

    with capture_logs() as logs:
        assert come_back(customer, session_id) == [DECLINED]

    # That is the customer's business and nobody else's.
    assert (alarms(logs), incidents()) == ([], [])
    assert customer.subscription.state == "past_due"


def test_a_refusal_that_is_not_the_cards_is_an_alarm(shop: Shop) -> None:
    customer = credit_customer(shop)
    let_credit_run_out(customer)
    session_id = open_session(customer)
    customer.standin.add_card(session_id)
    customer.standin.script("subscriptions.create", Fault.ERROR_400, times=None, code="parameter_unknown")

    with capture_logs() as logs:
        come_back(customer, session_id)

    assert alarms(logs) == ["processor_rejected"]


def test_a_person_is_not_told_of_an_answer_that_did_not_come(shop: Shop) -> None:
    customer = card_customer(shop)
    session_id = open_session(customer)
    customer.standin.add_card(session_id)
    customer.standin.script("customers.update", Fault.DROP_AFTER, times=2)

    assert come_back(customer, session_id) == [UNKNOWN]

    customer.drive_calls()
    assert come_back(customer, session_id) == [SAVED]


def test_a_card_pays_what_was_given_up_already(shop: Shop) -> None:
    customer = card_customer(shop)
    draft = customer.renew()
    customer.tell()
    customer.standin.collect(draft["id"], succeeds=False)
    customer.standin.mark_uncollectible(draft["id"])
    customer.tell()
    assert (customer.subscription.state, customer.invoice().state) == ("past_due", "uncollectible")
    save_card(customer)

    customer.tell()

    assert (customer.subscription.state, customer.invoice().state) == ("active", "paid")
    assert customer.standin.captured_minor() == 40_000 + PLAN_MINOR
    assert incidents() == []


@pytest.mark.parametrize("is_answered", [True, False])
def test_what_was_bought_while_a_card_was_added_is_billed_from_the_next_period_on(
    shop: Shop, is_answered: bool
) -> None:
    stock(shop)
    customer = credit_customer(shop, left_minor=200_000)
    save_card(customer)
    if not is_answered:
        customer.standin.script("subscriptions.create", Fault.DROP_AFTER, times=2)
    deliver(customer.standin.events(), now=customer.now())
    assert (customer.subscription.collection == "card") is is_answered
    selection = ChangeSelection(plan="l", add_addons=("backup",))

    assert ask(customer.shop, customer.subscription, selection, now=customer.now()).state == "completed"
    customer.sweep()
    make_due()
    tasks.sweep_change_calls_task()

    assert customer.subscription.collection == "card"
    assert billed(customer) == [("addon_backup", BACKUP_MINOR), ("plan_l", LARGE_MINOR)]
    assert incidents() == []


def test_a_card_for_what_did_not_change_moves_no_items(shop: Shop) -> None:
    customer = credit_customer(shop)
    save_card(customer)

    customer.tell()

    assert not PspCall.objects.filter(idempotency_key__startswith="change:").exists()
    assert billed(customer) == [("plan_m", PLAN_MINOR)]


def test_a_request_too_old_to_repeat_that_made_nothing_is_absent(shop: Shop) -> None:
    customer = credit_customer(shop)
    save_card(customer)
    customer.standin.script("subscriptions.create", Fault.DROP_BEFORE, times=2)
    deliver(customer.standin.events(), now=customer.now())
    call = PspCall.objects.get(op="subscription.create")
    assert call.state == "unknown"
    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE billing_pspcall SET first_sent_at = first_sent_at - interval '24 hours'")

    customer.sweep(after=timedelta(minutes=11))

    call.refresh_from_db()
    assert (call.state, customer.subscription.collection) == ("absent", "credit")
    assert customer.standin.all("subscription") == []
