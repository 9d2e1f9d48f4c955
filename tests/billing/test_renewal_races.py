"""Many at once: several sweepers, and renewals against checkouts for the same credit. It is spent once."""

import contextlib
import threading
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from unittest import mock

import pytest

from billing.models import Account, Invoice, Subscription
from billing.services import subscriptions
from billing.services.ledger import LockedAccount, read_account
from billing.services.subscription_sweep import advance_subscription, sweep_subscriptions
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.subscribed import Customer, add_credit, assert_paid_for, buy_again, subscribe
from tests.crash.races import race

pytestmark = pytest.mark.django_db(transaction=True)

SWEEPERS, ROUNDS = 8, 3


def advance(customer: Customer, now: datetime) -> Callable[[], Any]:
    return partial(advance_subscription, subscription_id=customer.subscription.pk, now=now)


def order(place: Shop, env_type: str, quote: str) -> str:
    outcome = place.buy(env_type=env_type, accepted_quote=quote, cart_id=uuid.uuid4())
    return outcome.state


def two_debtors(shop: Shop, slug: str) -> list[Customer]:
    """Return two subscriptions of one account that has credit for one of them."""
    first = subscribe(shop, slug, credit_minor=PLAN_MINOR)
    second = buy_again(first.shop, env_type="dev")
    add_credit(first.shop, PLAN_MINOR)
    return [first, second]


def test_many_sweepers_renew_once(shop_without_processor: Shop) -> None:
    for number in range(ROUNDS):
        customer = subscribe(shop_without_processor, f"company-{number}", credit_minor=3 * PLAN_MINOR)
        now = customer.ends

        outcomes = race([advance(customer, now)] * SWEEPERS)

        assert outcomes == {"None": SWEEPERS}
        assert (customer.state, customer.spends()) == ("active", [-PLAN_MINOR])
        assert_paid_for(customer)


def test_sweeps_at_once_share_the_work(shop_without_processor: Shop) -> None:
    customers = [subscribe(shop_without_processor, f"company-{n}", credit_minor=PLAN_MINOR) for n in range(6)]
    now = max(customer.ends for customer in customers)

    outcomes = race([partial(sweep_subscriptions, now=now)] * 3)

    assert sum(int(looked) * times for looked, times in outcomes.items()) == len(customers)
    assert [customer.spends() for customer in customers] == [[-PLAN_MINOR]] * len(customers)


def test_a_renewal_and_orders_cannot_spend_the_same_credit(shop_without_processor: Shop) -> None:
    for number in range(ROUNDS):
        customer = subscribe(shop_without_processor, f"company-{number}", credit_minor=PLAN_MINOR)
        now = customer.ends
        quote = customer.shop.calls().quote().json()["quote"]
        orders = [partial(order, customer.shop, env_type, quote) for env_type in ("dev", "stg", "uat")]
        works: list[Callable[[], Any]] = [advance(customer, now), *orders]

        outcomes = race(works)

        sold = outcomes["completed"]
        assert set(outcomes) <= {"None", "completed", "quote_changed"}, outcomes
        assert len(customer.spends()) + sold == 1
        account = Account.objects.get(pk=customer.shop.organization.pk)
        assert (account.posted_minor, account.held_minor) == (0, 0)
        assert customer.state == ("past_due" if sold else "active")
        assert_paid_for(customer)


def test_two_environments_and_credit_for_one(shop_without_processor: Shop) -> None:
    for number in range(ROUNDS):
        pair = two_debtors(shop_without_processor, f"company-{number}")
        now = max(customer.ends for customer in pair)

        outcomes = race([advance(customer, now) for customer in pair])

        assert outcomes == {"None": 2}
        assert sorted(customer.state for customer in pair) == ["active", "past_due"]
        assert pair[0].spends() == [-PLAN_MINOR]


def test_control_without_the_accounts_lock_both_believe_in_the_credit(shop_without_processor: Shop) -> None:
    """The database still refuses the second spend, as an error: the lock is what makes it a debt that can be told."""
    pair = two_debtors(shop_without_processor, "company")
    now = max(customer.ends for customer in pair)
    both_have_looked = threading.Barrier(2)

    def look_without_lock(organization_id: int) -> LockedAccount:
        account = read_account(organization_id)
        assert account is not None
        if both_have_looked.n_waiting < 2 and not both_have_looked.broken:
            with contextlib.suppress(threading.BrokenBarrierError):
                both_have_looked.wait(5)
        return account

    with mock.patch.object(subscriptions, "lock_account", look_without_lock):
        outcomes = race([advance(customer, now) for customer in pair])

    failed = [outcome for outcome in outcomes if "IntegrityError" in outcome]
    assert len(failed) == 1, outcomes
    assert sorted(customer.state for customer in pair) == ["active", "active"]
    assert Invoice.objects.filter(state="open").count() == 0
    assert Subscription.objects.filter(past_due_since__isnull=False).count() == 0
