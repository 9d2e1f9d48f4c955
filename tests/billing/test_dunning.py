"""Nobody pays: a warning, the pause after seven days, the end after thirty more. Paying before that undoes it."""

from datetime import datetime, timedelta

import pytest
from dateutil.relativedelta import relativedelta
from django.db import IntegrityError, transaction

from billing.models import Invoice, Subscription, SubscriptionEvent
from billing.services.ledger import lock_account
from billing.services.subscription_sweep import sweep_subscriptions
from billing.services.subscriptions import cancel_subscription, end, lock_with_account, mark_past_due, move, restore
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, InvalidTransition
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.subscribed import DAY, Customer, add_credit, buy_again, subscribe
from tests.billing.test_sweeper_isolation import poisoned

pytestmark = pytest.mark.django_db(transaction=True)

SECOND = timedelta(seconds=1)


def in_debt(shop: Shop, slug: str = "acme-one") -> tuple[Customer, datetime]:
    """Return a customer who could not pay, and since when."""
    customer = subscribe(shop, slug)
    since = customer.ends
    customer.sweep(since)
    assert customer.state == "past_due"
    return customer, since


def test_warns_two_days_before_the_pause_and_once(shop_without_processor: Shop) -> None:
    customer, since = in_debt(shop_without_processor)

    customer.sweep(since + 5 * DAY - SECOND)
    assert customer.events("subscription.suspension_ahead") == []
    customer.sweep(since + 5 * DAY)
    customer.sweep(since + 6 * DAY)

    (warning,) = customer.events("subscription.suspension_ahead")
    assert warning["suspends_at"] == (since + 7 * DAY).isoformat()
    assert customer.state == "past_due"


def test_pauses_after_seven_days(shop_without_processor: Shop) -> None:
    customer, since = in_debt(shop_without_processor)

    customer.sweep(since + 7 * DAY - SECOND)
    assert customer.state == "past_due"
    customer.sweep(since + 7 * DAY)

    assert (customer.state, customer.subscription.suspended_at) == ("suspended", since + 7 * DAY)
    (told,) = customer.events("subscription.suspended")
    assert (told["previous"], told["env_type"], told["suspended"]) == ("past_due", "prod", False)


def test_ends_thirty_days_after_the_pause_and_leaves_the_invoice_unpaid(shop_without_processor: Shop) -> None:
    customer, since = in_debt(shop_without_processor)
    customer.sweep(since + 7 * DAY)

    customer.sweep(since + 37 * DAY - SECOND)
    assert customer.state == "suspended"
    customer.sweep(since + 37 * DAY)

    assert (customer.state, customer.subscription.canceled_at) == ("canceled", since + 37 * DAY)
    assert (customer.invoices(), customer.spends()) == ([("uncollectible", PLAN_MINOR)], [])
    assert customer.history() == ["active > past_due", "past_due > suspended", "suspended > canceled"]
    (told,) = customer.events("subscription.canceled")
    assert (told["reason"], told["suspended"], told["plan"]) == ("unpaid", True, "m")


def test_nothing_is_billed_while_a_debt_stands(shop_without_processor: Shop) -> None:
    customer, since = in_debt(shop_without_processor)

    for day in range(0, 37, 4):
        customer.sweep(since + day * DAY)

    assert customer.invoices() == [("open", PLAN_MINOR)]


def test_after_a_long_downtime_each_grace_is_given_in_full(shop_without_processor: Shop) -> None:
    customer, since = in_debt(shop_without_processor)
    late = since + 60 * DAY

    customer.sweep(late)

    assert (customer.state, customer.subscription.suspended_at) == ("suspended", late)
    customer.sweep(late + 30 * DAY - SECOND)
    assert customer.state == "suspended"


def test_paying_at_the_last_moment_brings_it_back(shop_without_processor: Shop) -> None:
    customer, since = in_debt(shop_without_processor)
    customer.sweep(since + 7 * DAY)
    customer.redeem(2 * PLAN_MINOR)

    customer.sweep(since + 37 * DAY)

    # The period that was owed is over by then, so the one that runs is due as well.
    assert customer.state == "active"
    assert customer.invoices() == [("paid", PLAN_MINOR)] * 2
    assert customer.ends == since + relativedelta(months=2)
    assert customer.history() == ["active > past_due", "past_due > suspended", "suspended > active"]
    (told,) = customer.events("subscription.resumed")
    assert told["suspended"] is True


def test_money_after_the_end_revives_nothing(shop_without_processor: Shop) -> None:
    customer, since = in_debt(shop_without_processor)
    customer.sweep(since + 7 * DAY)
    customer.sweep(since + 37 * DAY)
    customer.redeem(PLAN_MINOR)
    before = customer.told()

    customer.sweep(since + 60 * DAY)

    assert customer.told() == before
    assert buy_again(customer.shop).state == "active"


def test_a_suspended_environment_takes_no_order(shop_without_processor: Shop) -> None:
    customer, since = in_debt(shop_without_processor)
    customer.sweep(since + 7 * DAY)
    add_credit(customer.shop, PLAN_MINOR - 1)
    before = customer.told()

    with pytest.raises(DomainError) as refusal:
        customer.shop.buy()

    assert refusal.value.code == "subscription_exists"
    assert customer.told() == before


def test_a_debt_may_be_given_up_by_its_customer(shop_without_processor: Shop) -> None:
    customer, since = in_debt(shop_without_processor)
    cancel_subscription(
        subscription_id=customer.subscription.pk, at_once=False, actor=customer.shop.buyer, reason="", now=since + DAY
    )

    customer.sweep(since + DAY)

    assert (customer.state, customer.invoices()) == ("canceled", [("uncollectible", PLAN_MINOR)])


def test_one_broken_row_stops_no_other(shop_without_processor: Shop) -> None:
    poison, healthy = (subscribe(shop_without_processor, slug, credit_minor=PLAN_MINOR) for slug in ("bad", "good"))
    now = healthy.ends
    Subscription.objects.filter(pk=poison.subscription.pk).update(next_action_at=now - DAY)

    with poisoned("billing_invoice", f"new.organization_id = {poison.shop.organization.pk}"):
        sweep_subscriptions(now=now)

    assert (poison.state, poison.invoices()) == ("active", [])
    assert (healthy.state, healthy.spends()) == ("active", [-PLAN_MINOR])
    sweep_subscriptions(now=now + timedelta(minutes=5))
    assert poison.spends() == [-PLAN_MINOR]


@use_case
def _step(subscription_id: int, to: str, now: datetime) -> None:
    _account, subscription = lock_with_account(subscription_id)
    move(subscription, to, actor="test", now=now, suspended_at=now if to == "suspended" else None)


@use_case
def _move_as_read(old: Subscription) -> None:
    lock_account(old.organization_id)
    move(old, "past_due", actor="test", now=old.created_at, past_due_since=old.created_at)


@pytest.mark.parametrize("to", ["suspended", "nowhere"])
def test_a_step_outside_the_table_is_refused(shop_without_processor: Shop, to: str) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    before = customer.told()

    with pytest.raises(IntegrityError):
        _step(customer.subscription.pk, to, customer.ends)

    assert customer.told() == before


@pytest.mark.parametrize("to", ["active", "past_due", "suspended"])
def test_the_end_absorbs(shop_without_processor: Shop, to: str) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    now = customer.ends
    cancel_subscription(
        subscription_id=customer.subscription.pk, at_once=True, actor=customer.shop.staff, reason="asked", now=now
    )
    before = customer.told()

    with pytest.raises(IntegrityError):
        _step(customer.subscription.pk, to, now)
    with transaction.atomic(durable=True):
        account, ended = lock_with_account(customer.subscription.pk)
        assert account.organization_id == customer.shop.organization.pk
        assert not mark_past_due(ended, actor="test", reason="", now=now)
        assert not restore(ended, actor="test", reason="", now=now)
        assert not end(ended, actor="test", reason="", now=now)

    assert customer.told() == before


def test_a_step_from_an_old_reading_is_lost(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    old = Subscription.objects.select_related("order", "organization__organization").get(pk=customer.subscription.pk)
    customer.sweep(customer.ends)
    before = customer.told()

    with pytest.raises(InvalidTransition):
        _move_as_read(old)

    assert customer.told() == before


def test_the_history_tells_when_and_what_it_cost(shop_without_processor: Shop) -> None:
    customer, since = in_debt(shop_without_processor)

    (line,) = SubscriptionEvent.objects.filter(subscription=customer.subscription)

    assert (line.seq, line.at, line.plan, line.monthly_minor) == (2, since, "m", PLAN_MINOR)
    assert (line.actor, line.reason) == ("renewal", "credit_short")
    assert Invoice.objects.get(subscription=customer.subscription, order=None).issued_at == since
