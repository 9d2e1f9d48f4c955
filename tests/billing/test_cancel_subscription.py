"""Ending a subscription: with its period and taken back, at once by staff, and at the processor until it is done."""

from typing import Any

import pytest
from django.db import transaction

from billing.models import PspCall, Subscription
from billing.services.subscription_sweep import sweep_subscriptions
from billing.services.subscriptions import (
    SubscriptionEnded,
    cancel_subscription,
    end,
    lock_with_account,
    mark_past_due,
    resume_subscription,
)
from catalyst.core.database import execute
from catalyst.core.failpoints import Crash, armed, crash
from catalyst.core.models import Incident
from tenancy.models import AuditEntry
from tests.billing.killed import make_purchase, sweep
from tests.billing.shop import Shop
from tests.billing.subscribed import DAY, Customer, subscribe
from tests.conftest import owner_connection
from tests.stripe_standin import Fault, StripeStandIn

pytestmark = pytest.mark.django_db(transaction=True)


def cancel(customer: Customer, *, at_once: bool = False) -> Subscription:
    actor = customer.shop.staff if at_once else customer.shop.buyer
    return cancel_subscription(
        subscription_id=customer.subscription.pk, at_once=at_once, actor=actor, reason="asked", now=customer.ends - DAY
    )


def resume(customer: Customer) -> Subscription:
    return resume_subscription(
        subscription_id=customer.subscription.pk, actor=customer.shop.buyer, now=customer.ends - DAY
    )


def by_card(shop: Shop, slug: str = "payer") -> Customer:
    """Return a customer whose card pays every month."""
    assert shop.standin is not None
    purchase = make_purchase(shop, slug)
    purchase.buy()
    shop.standin.pay(str(purchase.checkouts()[0].psp_session_id))
    sweep()
    organization = purchase.shop.organization
    customer = Customer(purchase.shop, Subscription.objects.get(organization_id=organization.pk))
    assert customer.subscription.collection == "card"
    return customer


def at_stripe(customer: Customer) -> dict[str, Any]:
    assert customer.shop.standin is not None
    found: dict[str, Any] = customer.shop.standin.get("subscription", str(customer.subscription.psp_subscription_id))
    return found


def calls(customer: Customer) -> list[tuple[str, str]]:
    mine = PspCall.objects.filter(organization_id=customer.shop.organization.pk, op__startswith="subscription.")
    return list(mine.order_by("id").values_list("op", "state"))


def make_calls_due() -> None:
    execute("UPDATE billing_pspcall SET next_action_at = now() - interval '1 second'")


def test_the_wish_to_end_is_recorded_and_taken_back(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one")

    assert cancel(customer).cancel_at_period_end is True
    cancel(customer)
    assert resume(customer).cancel_at_period_end is False
    resume(customer)

    assert (customer.state, customer.history()) == ("active", [])
    assert [len(customer.events(topic)) for topic in ("subscription.ending", "subscription.kept")] == [1, 1]
    trail = AuditEntry.objects.filter(target=f"subscription:{customer.subscription.pk}").order_by("seq")
    assert [(line.action, line.actor) for line in trail] == [
        ("subscription.ending", f"user:{customer.shop.buyer.uuid}"),
        ("subscription.kept", f"user:{customer.shop.buyer.uuid}"),
    ]


def test_staff_end_it_at_once_and_twice_is_once(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=10)

    cancel(customer, at_once=True)
    before = customer.told()
    cancel(customer, at_once=True)

    assert customer.told() == before
    assert (customer.state, customer.available()) == ("canceled", 10)
    assert customer.history() == ["active > canceled"]
    (told,) = customer.events("subscription.canceled")
    assert (told["reason"], told["actor"]) == ("asked", f"user:{customer.shop.staff.uuid}")


@pytest.mark.parametrize("ask", [cancel, resume])
def test_what_has_ended_cannot_be_changed(shop_without_processor: Shop, ask: Any) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    cancel(customer, at_once=True)
    before = customer.told()

    with pytest.raises(SubscriptionEnded):
        ask(customer)

    assert customer.told() == before


def test_the_processor_is_told_to_stop_after_the_period(shop: Shop) -> None:
    customer = by_card(shop)

    cancel(customer)
    assert at_stripe(customer)["cancel_at_period_end"] is True
    resume(customer)

    assert at_stripe(customer)["cancel_at_period_end"] is False
    assert calls(customer) == [("subscription.update", "succeeded")] * 2


def test_the_processor_ends_what_staff_end(shop: Shop) -> None:
    customer = by_card(shop)

    cancel(customer, at_once=True)

    assert at_stripe(customer)["status"] == "canceled"
    assert calls(customer) == [("subscription.cancel", "succeeded")]


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.ERROR_503])
def test_an_end_without_an_answer_is_asked_for_until_it_is_true(shop: Shop, fault: Fault) -> None:
    customer = by_card(shop)
    assert shop.standin is not None
    shop.standin.script("subscriptions.cancel", fault, times=3)

    cancel(customer, at_once=True)
    assert calls(customer) == [("subscription.cancel", "unknown")]
    for _beat in range(3):
        make_calls_due()
        sweep_subscriptions(now=customer.ends)

    assert at_stripe(customer)["status"] == "canceled"
    assert calls(customer) == [("subscription.cancel", "succeeded")]
    assert shop.standin.calls.effect_count("subscriptions.cancel") == 1


def test_what_the_processor_ended_already_is_success(shop: Shop) -> None:
    customer = by_card(shop)
    standin = shop.standin
    assert standin is not None
    standin.client().v1.subscriptions.cancel(str(customer.subscription.psp_subscription_id))

    cancel(customer, at_once=True)

    assert calls(customer) == [("subscription.cancel", "succeeded")]


def test_nothing_is_asked_when_the_processor_said_it_first(shop: Shop) -> None:
    customer = by_card(shop)

    with transaction.atomic(durable=True):
        _account, subscription = lock_with_account(customer.subscription.pk)
        assert end(subscription, actor="webhook", reason="processor", now=customer.ends, at_processor=False)

    assert (customer.state, calls(customer)) == ("canceled", [])


def test_an_older_wish_is_not_sent_after_a_newer_one(shop: Shop) -> None:
    customer = by_card(shop)
    assert shop.standin is not None
    shop.standin.script("subscriptions.update", Fault.DROP_BEFORE, times=2)

    cancel(customer)
    resume(customer)
    make_calls_due()
    sweep_subscriptions(now=customer.ends - DAY)

    assert at_stripe(customer)["cancel_at_period_end"] is False
    assert calls(customer) == [("subscription.update", "voided"), ("subscription.update", "succeeded")]


def test_an_end_overtakes_a_wish_that_was_not_sent(shop: Shop) -> None:
    customer = by_card(shop)
    assert shop.standin is not None
    shop.standin.script("subscriptions.update", Fault.DROP_BEFORE, times=2)

    cancel(customer)
    cancel(customer, at_once=True)
    make_calls_due()
    sweep_subscriptions(now=customer.ends - DAY)

    assert at_stripe(customer)["status"] == "canceled"
    assert calls(customer) == [("subscription.update", "voided"), ("subscription.cancel", "succeeded")]


def test_a_wish_that_the_processor_refuses_is_an_incident(shop: Shop) -> None:
    customer = by_card(shop)
    assert shop.standin is not None
    shop.standin.script("subscriptions.update", Fault.ERROR_400)

    cancel(customer)

    assert calls(customer) == [("subscription.update", "rejected")]
    assert list(Incident.objects.values_list("kind", "resolved_at")) == [("subscription_call_rejected", None)]
    assert Subscription.objects.get().cancel_at_period_end is True


def test_a_card_subscription_ends_with_its_period_on_both_sides(shop: Shop) -> None:
    customer = by_card(shop)
    cancel(customer)

    sweep_subscriptions(now=customer.ends)
    make_calls_due()
    sweep_subscriptions(now=customer.ends)

    assert (customer.state, customer.invoices()) == ("canceled", [])
    assert at_stripe(customer)["status"] == "canceled"


def test_a_card_debt_ends_at_the_processor_too(shop: Shop) -> None:
    customer = by_card(shop)
    since = customer.ends
    with transaction.atomic(durable=True):
        _account, subscription = lock_with_account(customer.subscription.pk)
        assert mark_past_due(subscription, actor="webhook", reason="card_declined", now=since)

    sweep_subscriptions(now=since + 7 * DAY)
    assert customer.state == "suspended"
    assert at_stripe(customer)["status"] == "active"
    sweep_subscriptions(now=since + 37 * DAY)
    make_calls_due()
    sweep_subscriptions(now=since + 37 * DAY)

    assert customer.state == "canceled"
    assert at_stripe(customer)["status"] == "canceled"


def test_control_an_older_wish_that_is_sent_late_wins_wrongly(shop: Shop) -> None:
    """Shows what the void is for: sent in the wrong order, the processor ends what the customer keeps."""
    customer = by_card(shop)
    standin: StripeStandIn | None = shop.standin
    assert standin is not None
    standin.script("subscriptions.update", Fault.DROP_BEFORE, times=2)
    cancel(customer)
    resume(customer)
    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE billing_pspcall SET state = 'unknown', resolved_at = NULL WHERE state = 'voided'")
    for wish, seconds in (("true", 1), ("false", 2)):
        execute(
            "UPDATE billing_pspcall SET next_action_at = now() - make_interval(secs => %s)"
            " WHERE params ->> 'cancel_at_period_end' = %s",
            [seconds, wish],
        )

    sweep_subscriptions(now=customer.ends - DAY)

    assert customer.subscription.cancel_at_period_end is False
    assert at_stripe(customer)["cancel_at_period_end"] is True


@pytest.mark.parametrize(
    ("point", "state"),
    [
        ("subscription.cancel.in_tx", "active"),
        ("subscription.cancel.after_commit", "canceled"),
        ("subscription.call.before_call", "canceled"),
        ("subscription.call.after_call_before_record", "canceled"),
    ],
)
def test_an_end_that_dies_is_whole_or_not_at_all(shop: Shop, point: str, state: str) -> None:
    customer = by_card(shop)
    assert shop.standin is not None

    with armed(point, crash), pytest.raises(Crash):
        cancel(customer, at_once=True)
    assert customer.state == state
    make_calls_due()
    sweep_subscriptions(now=customer.ends - DAY)

    canceled = state == "canceled"
    assert at_stripe(customer)["status"] == ("canceled" if canceled else "active")
    assert calls(customer) == [("subscription.cancel", "succeeded")] * canceled
    assert shop.standin.calls.effect_count("subscriptions.cancel") == int(canceled)
