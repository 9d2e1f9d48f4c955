"""Two refunds at once never return more than was paid; the same one twice returns it once."""

import uuid
from functools import partial
from threading import Barrier

import pytest
from django.db import IntegrityError

from billing.models import CreditNote, PspCall
from catalyst.core.database import execute, fetch_one, use_case
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Shop
from tests.billing.sold import CARD_MINOR, Sold, sell
from tests.crash.races import race, scratch_table

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 8


def test_many_refunds_at_once_stay_within_what_was_paid(shop: Shop) -> None:
    sold = sell(shop)

    outcomes = race([partial(_refund, sold, 30_000)] * AT_ONCE)

    assert outcomes == {"done": 1, "refund_exceeds_payment": AT_ONCE - 1}
    assert sold.state()["invoice"] == (30_000, 0)
    assert sold.state()["refunds"] == [30_000]


def test_full_refunds_at_once_are_one(shop: Shop) -> None:
    sold = sell(shop)

    outcomes = race([partial(_refund, sold, None)] * AT_ONCE)

    assert outcomes == {"done": 1, "refund_exceeds_payment": AT_ONCE - 1}
    assert sold.state()["notes"] == [(CARD_MINOR, VOUCHER_MINOR, "settled")]
    assert sold.state()["posted"] == VOUCHER_MINOR
    assert sold.standin.calls.effect_count("refunds.create") == 1


def test_one_key_at_once_is_one_refund(shop: Shop) -> None:
    sold, key = sell(shop), uuid.uuid4().hex

    outcomes = race([partial(_refund, sold, 5_000, key)] * AT_ONCE)

    assert outcomes == {"done": AT_ONCE}
    assert CreditNote.objects.count() == 1
    assert PspCall.objects.filter(op="refund.create").count() == 1
    assert sold.state()["refunds"] == [5_000]


def _refund(sold: Sold, amount_minor: int | None, key: str = "") -> str:
    sold.refund(amount_minor, key=key or uuid.uuid4().hex)
    return "done"


@use_case
def refund_after_looking(all_have_looked: Barrier | None, lock: str) -> bool:
    """Look at what is left, decide, count: right only while nobody else can look, or the table refuses."""
    row = fetch_one(f"SELECT paid - refunded FROM scratch {lock}")
    if all_have_looked is not None:
        all_have_looked.wait(30)
    if row is None or row[0] < PLAN_MINOR:
        return False
    return execute("UPDATE scratch SET refunded = refunded + %s", [PLAN_MINOR]) == 1


def test_control_without_lock_and_check_everybody_is_refunded() -> None:
    with scratch_table("paid bigint, refunded bigint", f"{PLAN_MINOR}, 0"):
        outcomes = race([partial(refund_after_looking, Barrier(AT_ONCE), "")] * AT_ONCE)
        row = fetch_one("SELECT refunded FROM scratch")

    assert outcomes == {"True": AT_ONCE}
    assert row == (AT_ONCE * PLAN_MINOR,)


def test_control_with_the_lock_one_is_refunded() -> None:
    with scratch_table("paid bigint, refunded bigint", f"{PLAN_MINOR}, 0"):
        outcomes = race([partial(refund_after_looking, None, "FOR NO KEY UPDATE")] * AT_ONCE)
        row = fetch_one("SELECT refunded FROM scratch")

    assert outcomes == {"True": 1, "False": AT_ONCE - 1}
    assert row == (PLAN_MINOR,)


def test_the_check_alone_refuses_what_the_lock_missed(shop: Shop) -> None:
    """The second guard: a program without the lock could not write it either."""
    sold = sell(shop)

    with pytest.raises(IntegrityError, match="invoice_refund_within_card"):
        execute("UPDATE billing_invoice SET card_refunded_minor = %s WHERE id = %s", [CARD_MINOR + 10, sold.invoice.pk])
