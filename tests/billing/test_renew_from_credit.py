"""A subscription that is paid from credit renews from credit: each period once, whole, or it falls past due."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from dateutil.relativedelta import relativedelta
from django.db import transaction
from psycopg.types.range import TimestamptzRange

from billing.models import Account, Invoice, Subscription
from billing.services.psp_calls import record_intent, resolve
from billing.services.subscription_renewals import next_period
from billing.services.subscription_sweep import sweep_subscriptions
from billing.services.subscriptions import cancel_subscription
from billing.tasks import subscriptions as tasks
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.subscribed import DAY, add_credit, buy_again, deliver, let_contain, subscribe

pytestmark = pytest.mark.django_db(transaction=True)

MONTH = relativedelta(months=1)


def test_does_nothing_before_the_period_ends(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=PLAN_MINOR)
    before = customer.told()

    customer.sweep(customer.ends - timedelta(seconds=1))

    assert customer.told() == before


def test_pays_the_next_period_at_its_start(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=PLAN_MINOR + 7)
    ended = customer.ends

    customer.sweep(ended)

    assert (customer.state, customer.available()) == ("active", 7)
    assert (customer.invoices(), customer.spends()) == ([("paid", PLAN_MINOR)], [-PLAN_MINOR])
    assert customer.subscription.current_period == TimestamptzRange(ended, ended + MONTH)
    invoice = Invoice.objects.get(subscription=customer.subscription, order=None)
    assert (invoice.period, invoice.credit_minor) == (TimestamptzRange(ended, ended + MONTH), PLAN_MINOR)
    assert customer.history() == []
    assert customer.events("subscription.renewed") == [
        {
            "subscription": customer.subscription.pk,
            "organization": customer.shop.organization.pk,
            "env_type": "prod",
            "invoice": invoice.pk,
            "user": customer.shop.buyer.pk,
            "period_end": (ended + MONTH).isoformat(),
        }
    ]


def test_a_second_sweep_bills_nothing(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=3 * PLAN_MINOR)
    now = customer.ends
    customer.sweep(now)
    before = customer.told()

    Subscription.objects.update(next_action_at=now)
    customer.sweep(now)

    assert customer.told() == before


def test_credit_that_is_short_buys_nothing_and_is_kept(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=PLAN_MINOR - 1)
    ended = customer.ends

    customer.sweep(ended)

    assert (customer.state, customer.available()) == ("past_due", PLAN_MINOR - 1)
    assert (customer.invoices(), customer.spends()) == ([("open", PLAN_MINOR)], [])
    assert (customer.ends, customer.subscription.past_due_since) == (ended, ended)
    (told,) = customer.events("subscription.past_due")
    assert (told["state"], told["previous"], told["reason"]) == ("past_due", "active", "credit_short")


@pytest.mark.parametrize("days", [0, 3, 20])
def test_new_credit_pays_the_open_invoice_of_a_debt(shop_without_processor: Shop, days: int) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    ended = customer.ends
    for day in range(days + 1):
        customer.sweep(ended + day * DAY)

    customer.redeem(PLAN_MINOR)
    deliver("billing.pay_debts")

    assert (customer.state, customer.available(), customer.ends) == ("active", 0, ended + MONTH)
    assert (customer.invoices(), customer.spends()) == ([("paid", PLAN_MINOR)], [-PLAN_MINOR])
    assert customer.subscription.past_due_since is None
    assert customer.subscription.suspended_at is None
    (resumed,) = customer.events("subscription.resumed")
    assert resumed["suspended"] is (days == 20)


def test_a_debt_is_tried_again_every_day(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    ended = customer.ends
    customer.sweep(ended)
    customer.redeem(PLAN_MINOR)

    customer.sweep(ended + DAY)

    assert (customer.state, customer.spends()) == ("active", [-PLAN_MINOR])


def test_three_missed_months_are_billed_one_after_the_other(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=3 * PLAN_MINOR)
    first = customer.ends

    customer.sweep(first + relativedelta(months=2) + DAY)

    assert customer.invoices() == [("paid", PLAN_MINOR)] * 3
    assert customer.spends() == [-PLAN_MINOR] * 3
    periods = [first]
    for invoice in Invoice.objects.filter(subscription=customer.subscription, order=None).order_by("period"):
        assert invoice.period is not None
        assert invoice.period.lower == periods[-1]
        periods.append(invoice.period.upper)
    assert customer.ends == periods[-1]
    assert customer.state == "active"


def test_of_three_missed_months_the_first_unpaid_one_stops(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=PLAN_MINOR)
    first = customer.ends
    now = first + relativedelta(months=2) + DAY

    customer.sweep(now)

    assert customer.invoices() == [("paid", PLAN_MINOR), ("open", PLAN_MINOR)]
    assert (customer.state, customer.subscription.past_due_since) == ("past_due", now)


def test_a_frozen_account_spends_nothing(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=PLAN_MINOR)
    Account.objects.filter(pk=customer.shop.organization.pk).update(frozen_at=customer.ends)

    customer.sweep(customer.ends)

    assert (customer.state, customer.spends()) == ("past_due", [])


def test_credit_that_a_checkout_holds_is_not_spent(shop: Shop) -> None:
    customer = subscribe(shop, "acme-one", credit_minor=PLAN_MINOR - 10_000)
    assert customer.shop.buy(env_type="dev").state == "awaiting_payment"
    customer.redeem(20_000)
    assert customer.available() == 20_000

    customer.sweep(customer.ends)

    assert (customer.state, customer.spends(), customer.available()) == ("past_due", [], 20_000)
    account = Account.objects.get(pk=customer.shop.organization.pk)
    assert (account.posted_minor, account.held_minor) == (PLAN_MINOR + 10_000, PLAN_MINOR - 10_000)


@pytest.mark.parametrize("in_debt", [True, False])
def test_nothing_is_taken_while_a_new_card_may_be_charged(shop_without_processor: Shop, in_debt: bool) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    now = customer.ends
    if in_debt:
        customer.sweep(now)
    with transaction.atomic(durable=True):
        record_intent(
            organization_id=customer.shop.organization.pk,
            op="subscription.create",
            key="adopt",
            params={"metadata": {"subscription": str(customer.subscription.pk)}},
        )
    customer.redeem(PLAN_MINOR)
    before = customer.told()

    deliver("billing.pay_debts")
    customer.sweep(now + DAY)
    assert customer.told() == before
    resolve(key="adopt", state="rejected")
    customer.sweep(now + DAY + timedelta(minutes=5))

    assert (customer.state, customer.invoices(), customer.spends()) == ("active", [("paid", PLAN_MINOR)], [-PLAN_MINOR])


def test_what_costs_nothing_renews_without_credit(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    free = [{**item, "unit_minor": 0} for item in customer.subscription.items]
    let_contain(customer.subscription, free)
    ended = customer.ends

    customer.sweep(ended)

    assert (customer.state, customer.ends) == ("active", ended + MONTH)
    assert (customer.invoices(), customer.spends()) == ([("paid", 0)], [])


def test_a_subscription_that_ends_with_its_period_is_not_billed(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=2 * PLAN_MINOR)
    cancel_subscription(
        subscription_id=customer.subscription.pk,
        at_once=False,
        actor=customer.shop.buyer,
        reason="moving",
        now=customer.ends - 9 * DAY,
    )

    customer.sweep(customer.ends - timedelta(seconds=1))
    assert customer.state == "active"
    customer.sweep(customer.ends)

    assert (customer.state, customer.invoices(), customer.available()) == ("canceled", [], 2 * PLAN_MINOR)
    assert customer.history() == ["active > canceled"]
    assert buy_again(customer.shop).state == "active"


def test_two_environments_share_what_there_is(shop_without_processor: Shop) -> None:
    first = subscribe(shop_without_processor, "acme-one", credit_minor=2 * PLAN_MINOR)
    second = buy_again(first.shop, env_type="dev")

    sweep_subscriptions(now=second.ends)

    assert [first.state, second.state] == ["active", "past_due"]
    assert (first.spends(), first.available()) == ([-PLAN_MINOR], 0)


def test_says_a_week_ahead_that_credit_will_be_short_and_says_it_once(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=PLAN_MINOR - 10)
    ended = customer.ends

    customer.sweep(ended - 7 * DAY - timedelta(seconds=1))
    assert customer.events("subscription.card_needed") == []
    for day in range(7, 0, -1):
        customer.sweep(ended - day * DAY)

    (notice,) = customer.events("subscription.card_needed")
    assert (notice["amount"], notice["missing"]) == (PLAN_MINOR, 10)
    assert notice["period_end"] == ended.isoformat()


def test_credit_that_goes_in_the_last_week_is_noticed(shop_without_processor: Shop) -> None:
    first = subscribe(shop_without_processor, "acme-one", credit_minor=PLAN_MINOR)
    first.sweep(first.ends - 6 * DAY)
    assert first.events("subscription.card_needed") == []
    buy_again(first.shop, env_type="dev")

    first.sweep(first.ends - 5 * DAY)

    assert [notice["missing"] for notice in first.events("subscription.card_needed")] == [PLAN_MINOR]


def test_credit_that_another_environment_takes_first_is_not_counted_twice(shop_without_processor: Shop) -> None:
    first = subscribe(shop_without_processor, "acme-one", credit_minor=PLAN_MINOR)
    add_credit(first.shop, PLAN_MINOR)
    second = buy_again(first.shop, env_type="dev")

    sweep_subscriptions(now=second.ends - 5 * DAY)

    assert first.events("subscription.card_needed") == []
    assert [notice["missing"] for notice in second.events("subscription.card_needed")] == [PLAN_MINOR]


def test_an_unrelated_event_moves_nobody(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=PLAN_MINOR)
    before = customer.told()

    deliver("billing.pay_debts")

    assert tasks.pay_debts.__doc__
    assert customer.told() == before


def _walk(first_day: datetime, months: int) -> list[str]:
    subscription: Any = SimpleNamespace(current_period=TimestamptzRange(first_day, first_day + MONTH))
    days = []
    for _month in range(months):
        start, end = next_period(subscription)
        assert start == subscription.current_period.upper
        subscription.current_period = TimestamptzRange(start, end)
        days.append(end.strftime("%m-%d"))
    return days


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (31, ["03-31", "04-30", "05-31", "06-30", "07-31", "08-31", "09-30", "10-31", "11-30", "12-31", "01-31"]),
        (30, ["03-30", "04-30", "05-30", "06-30", "07-30", "08-30", "09-30", "10-30", "11-30", "12-30", "01-30"]),
        (29, ["03-29", "04-29", "05-29", "06-29", "07-29", "08-29", "09-29", "10-29", "11-29", "12-29", "01-29"]),
        (15, ["03-15", "04-15", "05-15", "06-15", "07-15", "08-15", "09-15", "10-15", "11-15", "12-15", "01-15"]),
    ],
)
def test_periods_keep_the_day_of_the_first_one(day: int, expected: list[str]) -> None:
    assert _walk(datetime(2027, 1, day, 10, tzinfo=UTC), 11) == expected


def test_a_leap_day_is_kept_too() -> None:
    assert _walk(datetime(2028, 1, 31, 10, tzinfo=UTC), 3) == ["03-31", "04-30", "05-31"]
    assert _walk(datetime(2027, 12, 30, 10, tzinfo=UTC), 3) == ["02-29", "03-30", "04-30"]
