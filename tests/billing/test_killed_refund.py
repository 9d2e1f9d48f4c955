"""A sweeper or an event dies while money goes back: the next one finishes, once.

The death of the request itself, of a failure and of a dispute: tests/billing/test_crash_matrix.py.
"""

import uuid

import pytest
from django.utils import timezone

from billing.models import PspCall
from billing.services.psp import get_processor
from billing.services.refund_calls import follow_refund
from catalyst.core.failpoints import Crash, armed, crash
from catalyst.core.models import Outbox
from tests.billing.shop import VOUCHER_MINOR, Shop
from tests.billing.sold import CARD_MINOR, Sold, sell, sweep_refunds
from tests.crash.client import CrashServer
from tests.crash.controls import a_new_key_for_every_call
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)

POINTS = ["refund.call.before_call", "refund.call.after_call_before_record", "refund.record.in_tx"]


@pytest.fixture
def sold(shop: Shop) -> Sold:
    return sell(shop)


def assert_refunded_once(sold: Sold) -> None:
    after = sold.state()
    assert after["notes"] == [(CARD_MINOR, VOUCHER_MINOR, "settled")]
    assert (after["invoice"], after["posted"]) == ((CARD_MINOR, VOUCHER_MINOR), VOUCHER_MINOR)
    assert (after["orders"], after["subscriptions"]) == (["refunded"], ["canceled"])
    assert after["refunds"] == [CARD_MINOR]
    assert sold.standin.calls.effect_count("refunds.create") == 1
    assert Outbox.objects.filter(topic="refund.issued").count() == 1


@pytest.mark.parametrize("point", POINTS)
def test_a_sweeper_that_dies_too_is_followed_by_another(sold: Sold, crash_server: CrashServer, point: str) -> None:
    crash_server.refund(sold.invoice.pk, None, uuid.uuid4().hex, kill_at="refund.issue.after_commit")
    PspCall.objects.filter(op="refund.create").update(next_action_at=timezone.now())
    assert crash_server.sweep(kill_at=point).is_killed

    sweep_refunds()

    assert_refunded_once(sold)


def test_control_with_a_new_key_for_every_call_the_money_goes_back_twice(sold: Sold) -> None:
    """A part, so that the charge has room for the fault."""
    with armed("refund.call.after_call_before_record", crash), pytest.raises(Crash):
        sold.refund(5_000)

    with a_new_key_for_every_call():
        sweep_refunds()

    assert sold.state()["refunds"] == [5_000, 5_000]


@pytest.mark.parametrize("point", ["refund.record.in_tx", "refund.fail.in_tx"])
def test_an_event_that_dies_half_way_is_followed_again(sold: Sold, point: str) -> None:
    failed = point == "refund.fail.in_tx"
    sold.standin.script("refunds.create", Fault.DROP_AFTER, times=2)
    sold.refund(5_000)
    (refund,) = sold.standin.all("refund")
    if failed:
        sold.standin.tamper("refund", refund["id"], status="failed")

    with armed(point, crash), pytest.raises(Crash):
        follow_refund(get_processor(), refund["id"], actor="webhook", now=timezone.now())
    assert sold.state()["notes"] == [(5_000, 0, "refund_pending")]
    follow_refund(get_processor(), refund["id"], actor="webhook", now=timezone.now())

    assert sold.state()["notes"] == [(5_000, 0, "refund_failed" if failed else "settled")]
    assert sold.state()["invoice"] == ((0, 0) if failed else (5_000, 0))
