"""Changes that meet each other, a renewal, or the end: one wins, the other is told, and nothing is paid twice."""

import time
from collections import Counter
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
from tests.billing.changing import END, HALF, LARGE_MINOR, change, current_row, stock, subscribe
from tests.billing.shop import PLAN_MINOR, Shop, books
from tests.crash.races import race

pytestmark = pytest.mark.django_db(transaction=True)

UP = ChangeSelection(plan="l")
DOWN = ChangeSelection(plan="s")
AT_ONCE = 8
#: Seconds after a wish at which something quicker meets it: at first that wins, in the end the wish does.
LATER = (0.0, 0.02, 0.04, 0.5)


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


def meet(wish: Callable[[], Any], other: Callable[[], Any], *, after: float) -> Counter[str]:
    """Race a wish with something quicker that begins ``after`` seconds later."""

    def late() -> str:
        time.sleep(after)
        return told(other)

    return race([partial(told, wish), late])


def test_a_renewal_at_the_same_moment_bills_what_the_customer_then_has(shop: Shop) -> None:
    stock(shop)
    for number, after in enumerate(LATER):
        place = shop.with_customer(f"company-{number}")
        subscription = subscribe(place)

        outcomes = meet(partial(change, place, subscription, UP), partial(renew, subscription), after=after)

        invoice = Invoice.objects.get(subscription=subscription, order=None)
        row = current_row(subscription)
        assert outcomes in ({"done": 2}, {"done": 1, "invalid_transition": 1})
        # Sold before the boundary the next period costs the new price; after it the old price no longer holds.
        expected = ("l", 2, LARGE_MINOR) if outcomes["done"] == 2 else ("m", 1, PLAN_MINOR)
        assert (row.plan, row.version, invoice.total_minor) == expected


def test_an_end_at_the_same_moment_leaves_no_open_wish(shop: Shop) -> None:
    stock(shop)
    for number, after in enumerate(LATER):
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

        outcomes = meet(partial(change, place, subscription, DOWN), end, after=after)

        wishes = list(SubscriptionChange.objects.filter(subscription=subscription).values_list("state", flat=True))
        assert current_row(subscription).state == "canceled"
        assert outcomes in ({"done": 2}, {"done": 1, "subscription_not_active": 1})
        assert wishes == (["dropped"] if outcomes["done"] == 2 else [])
