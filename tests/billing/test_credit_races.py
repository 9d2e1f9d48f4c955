"""Credit for one order and sixteen checkouts at once: one is paid, and nobody ever sees a balance below zero."""

from functools import partial
from threading import Barrier
from typing import Any

import pytest

from billing.models import Account
from billing.services.psp import ProcessorUnavailable
from catalyst.core.database import execute, fetch_one, use_case
from tests.billing.api.calls import Calls
from tests.billing.killed import sweep
from tests.billing.shop import PLAN_MINOR, Shop
from tests.crash.oracle import allowed_facts, facts_of
from tests.crash.races import race, scratch_table

pytestmark = pytest.mark.django_db(transaction=True)

CHECKOUTS, ROUNDS = 16, 10
ENVIRONMENTS = ("prod", "stg", "uat", "dev")


def stocked(shop: Shop, slug: str, amount_minor: int) -> tuple[Shop, Calls]:
    """Return a customer who has credit on the balance and no code."""
    place = shop.with_customer(slug)
    calls = place.calls()
    code = place.code(place.voucher(amount_minor))
    assert calls.post("vouchers/redeem/", {"code": code}).status_code == 201
    return place, calls


def buy(place: Shop, environment: str, quote: str) -> str:
    response = place.calls().buy(environment=environment, quote=quote)
    return str(response.json().get("code") if response.status_code >= 400 else response.json()["state"])


def sixteen(place: Shop, quote: str = "") -> list[Any]:
    return [partial(buy, place, ENVIRONMENTS[number % len(ENVIRONMENTS)], quote) for number in range(CHECKOUTS)]


def assert_whole(place: Shop) -> None:
    account = Account.objects.get(pk=place.organization.pk)
    assert 0 <= account.held_minor <= account.posted_minor
    for checkout in account.checkouts.select_related("order"):
        assert facts_of(checkout) == allowed_facts(checkout)


def test_one_is_paid_and_the_others_are_told_why(shop_without_processor: Shop) -> None:
    for number in range(ROUNDS):
        place, calls = stocked(shop_without_processor, f"company-{number}", PLAN_MINOR)
        quote = calls.quote().json()["quote"]

        outcomes = race(sixteen(place, quote))

        assert outcomes["completed"] == 1
        assert set(outcomes) <= {"completed", "quote_changed", "subscription_exists", "checkout_in_progress"}
        account = Account.objects.get(pk=place.organization.pk)
        assert (account.posted_minor, account.held_minor) == (0, 0)
        assert_whole(place)


def test_one_is_paid_from_credit_and_the_card_pages_share_what_is_left(shop: Shop) -> None:
    """Without an accepted quote the card pays what the credit does not: holds never add up to more than there is."""
    assert shop.standin is not None
    for number in range(2):
        place, _calls = stocked(shop, f"company-{number}", PLAN_MINOR + 10_000)

        outcomes = race(sixteen(place))
        sweep()

        told = {"awaiting_payment", "subscription_exists", "checkout_in_progress", ProcessorUnavailable.code}
        assert outcomes["completed"] == 1
        assert set(outcomes) <= {"completed", *told}, outcomes
        account = Account.objects.get(pk=place.organization.pk)
        assert account.posted_minor == 10_000
        assert_whole(place)


@use_case
def spend_after_looking(all_have_looked: Barrier | None, lock: str) -> bool:
    """Look at the balance, decide, write: right only while nobody else can look."""
    row = fetch_one(f"SELECT posted FROM scratch {lock}")
    if all_have_looked is not None:
        all_have_looked.wait(30)
    if row is None or row[0] < PLAN_MINOR:
        return False
    return execute("UPDATE scratch SET posted = posted - %s", [PLAN_MINOR]) == 1


def test_control_without_the_lock_sixteen_spend_what_is_there_once() -> None:
    with scratch_table("posted bigint", str(PLAN_MINOR)):
        outcomes = race([partial(spend_after_looking, Barrier(CHECKOUTS), "")] * CHECKOUTS)
        balance = fetch_one("SELECT posted FROM scratch")

    assert outcomes == {"True": CHECKOUTS}
    assert balance == (PLAN_MINOR - CHECKOUTS * PLAN_MINOR,)


def test_control_with_the_lock_one_spends() -> None:
    with scratch_table("posted bigint", str(PLAN_MINOR)):
        outcomes = race([partial(spend_after_looking, None, "FOR NO KEY UPDATE")] * CHECKOUTS)
        balance = fetch_one("SELECT posted FROM scratch")

    assert outcomes == {"True": 1, "False": CHECKOUTS - 1}
    assert balance == (0,)
