"""What an act may do to a customer of the model, and what the clock may have made of it."""

from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from billing.services.checkout_session import SESSION_SECONDS
from catalyst.core.invariants import check_invariants
from tests.life.model import PATIENCE, Bill, Customer, Outcome, Right, price_of_rest
from tests.life.world import PLANS

PAGE_LIVES = timedelta(seconds=SESSION_SECONDS)


def has_page(customer: Customer) -> bool:
    """Answer whether there is a card page to pay."""
    return customer.page is not None


def has_right(customer: Customer) -> bool:
    """Answer whether there is a live subscription."""
    return customer.right is not None


def after(customer: Customer, outcome: Outcome) -> Customer:
    """Return what an outcome makes of a customer, who stays as they are."""
    mine = deepcopy(customer)
    outcome(mine)
    return mine


def passed(customer: Customer, now: datetime) -> list[Customer]:
    """Return what the clock may have made of a customer: a debt that nobody was told of may be paid or not yet."""
    customer.tick(now)
    if not customer.could_pay():
        customer.could_pay_since = None
        return [customer]
    paid = after(customer, lambda mine: mine.pay_debts(now))
    since = customer.could_pay_since or now
    return [paid] if now - since > PATIENCE else [paid, customer]


def nothing(_customer: Customer) -> None:
    """What a refused act does."""


def wish(*, ends: bool) -> Outcome:
    """Return the wish to end with the period, or its withdrawal."""

    def wish(customer: Customer) -> None:
        assert customer.right is not None
        customer.right.ends = ends

    return wish


def changes(right: Right, plan: str, voucher: int) -> list[Outcome]:
    """Return what a change of the Plan may do: all of it, close an older page only, or drop an older wish besides."""
    now = timezone.now()
    monthly = PLANS[plan]

    def upgrade(customer: Customer) -> None:
        assert customer.right is not None
        price = price_of_rest(monthly - right.monthly, right.start, right.end, now)
        customer.lapse()
        customer.change(plan, monthly, price, voucher, expires=now + PAGE_LIVES)

    def schedule(customer: Customer) -> None:
        customer.lapse()
        assert customer.right is not None
        customer.right.later = (plan, monthly)

    def drop(customer: Customer) -> None:
        customer.lapse()
        assert customer.right is not None
        customer.right.later = None

    return [upgrade if monthly >= right.monthly else schedule, Customer.lapse, drop]


def find(customer: Customer, facts: tuple[Any, ...], until: datetime | None) -> Bill:
    """Return the bill that an invoice is; of equal ones the one for the same period."""
    same = [bill for bill in customer.bills if bill.facts() == facts]
    near = [bill for bill in same if (bill.until is None) == (until is None)]
    return min(near, key=lambda bill: abs(bill.until - until) if bill.until and until else timedelta())


def broken(*, safety_only: bool) -> list[str]:
    """Return the broken invariants. In the middle of trouble only safety has a meaning."""
    return [str(each) for each in check_invariants() if not safety_only or each.id < "I25"]
