"""Changes that meet each other, a renewal, or the end: one wins, the other is told, and nothing is paid twice."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from billing.models import Invoice, Order, Subscription, SubscriptionChange
from billing.services import checkout_reserve, subscription_renewals
from billing.services.subscription_changes import ChangeSelection
from billing.services.subscriptions import cancel_subscription, lock_with_account
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from tests.billing.changing import END, HALF, change, current_row, stock, subscribe
from tests.billing.shop import PLAN_MINOR, Shop, books
from tests.crash.races import race

pytestmark = pytest.mark.django_db(transaction=True)

UP = ChangeSelection(plan="l")
AT_ONCE = 8


def told(act: Callable[[], Any]) -> str:
    try:
        act()
    except DomainError as error:
        return error.code
    return "done"


@use_case
def renew(subscription: Subscription) -> None:
    account, row = lock_with_account(subscription.pk)
    subscription_renewals.bill_from_credit(account, row, now=END)


def test_the_same_wish_many_times_at_once_is_paid_once(shop: Shop) -> None:
    stock(shop)
    subscription = subscribe(shop)

    outcomes = race([partial(told, partial(change, shop, subscription, UP)) for _ in range(AT_ONCE)])

    assert outcomes["done"] == 1
    assert set(outcomes) <= {"done", "invalid_transition", "nothing_changes"}
    assert books(shop).posted == 200_000 - PLAN_MINOR - 15_000
    assert current_row(subscription).version == 2
    assert Order.objects.count() == 2


def test_control_without_the_look_under_the_lock_it_is_paid_more_than_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(shop)
    subscription = subscribe(shop)
    monkeypatch.setattr(checkout_reserve, "check_changeable", lambda subscription, proposal, now: None)

    outcomes = race([partial(told, partial(change, shop, subscription, UP)) for _ in range(AT_ONCE)])

    assert outcomes["done"] > 1
    assert books(shop).posted < 200_000 - PLAN_MINOR - 15_000


def test_a_renewal_at_the_same_moment_bills_what_the_customer_then_has(shop: Shop) -> None:
    stock(shop)
    for number in range(3):
        place = shop.with_customer(f"company-{number}")
        subscription = subscribe(place)

        outcomes = race(
            [partial(told, partial(change, place, subscription, UP)), partial(told, partial(renew, subscription))]
        )

        row = current_row(subscription)
        invoice = Invoice.objects.get(subscription=subscription, order=None)
        sold = row.plan == "l"
        assert outcomes["done"] == (2 if sold else 1)
        assert invoice.total_minor in (PLAN_MINOR, row.monthly_minor)
        # Sold before the boundary the next period costs the new price; after it the old price no longer holds.
        assert (invoice.total_minor == 80_000) is sold


def test_an_end_at_the_same_moment_leaves_no_open_wish(shop: Shop) -> None:
    stock(shop)
    for number in range(3):
        place = shop.with_customer(f"company-{number}")
        subscription = subscribe(place)
        end = partial(
            cancel_subscription,
            subscription_id=subscription.pk,
            at_once=True,
            actor=shop.staff,
            reason="test",
            now=HALF,
        )

        race([partial(told, partial(change, place, subscription, ChangeSelection(plan="s"))), partial(told, end)])

        assert Subscription.objects.get(pk=subscription.pk).state == "canceled"
        assert not SubscriptionChange.objects.filter(state__in=["pending", "scheduled"]).exists()
