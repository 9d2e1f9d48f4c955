"""Calls to the processor that are due: one after the other, none lost, none in the way of another."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from structlog.testing import capture_logs

from billing.models import PspCall
from billing.services import psp_calls
from billing.services.psp import Deadline, Processor
from billing.services.psp_errors import ProcessorRejected, ProcessorUnavailable, unavailable
from billing.services.psp_replies import note_reply, take_reply
from tests.billing.shop import Shop
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = ("first", "second", "third")


@pytest.fixture
def tried(shop: Shop) -> list[str]:
    """Three calls that are due; the list takes the keys of those that were tried."""
    for name in NAMES:
        psp_calls.record_intent(organization_id=shop.organization.pk, op="customer.update", key=name, params={})
    return []


def drive(tried: list[str], error: Exception | None = None, **limits: Any) -> int:
    """Drive all of them; the first fails with ``error``."""

    def send(_processor: Processor, call: PspCall) -> None:
        tried.append(call.idempotency_key)
        if error is not None and call.idempotency_key == "first":
            raise error
        psp_calls.resolve(key=call.idempotency_key, state="succeeded")

    return psp_calls.drive(PspCall.objects.undecided().order_by("pk"), send, **limits)


def states() -> list[str]:
    return list(PspCall.objects.order_by("pk").values_list("state", flat=True))


def test_all_come_to_an_outcome_in_order(tried: list[str]) -> None:
    assert drive(tried) == 3

    assert (tried, states()) == (list(NAMES), ["succeeded"] * 3)
    assert drive(tried) == 0


def test_a_processor_that_does_not_answer_is_asked_once(tried: list[str]) -> None:
    assert drive(tried, unavailable()) == 1

    assert (tried, states()) == (["first"], ["unknown", "requested", "requested"])


@pytest.mark.parametrize(("error", "alarm"), [(ProcessorRejected("no"), False), (RuntimeError("a fault"), True)])
def test_one_that_fails_waits_and_stops_no_other(tried: list[str], error: Exception, alarm: bool) -> None:
    with capture_logs() as logs:
        assert drive(tried, error) == 3

    assert (tried, states()) == (list(NAMES), ["unknown", "succeeded", "succeeded"])
    assert PspCall.objects.get(idempotency_key="first").next_action_at > timezone.now() + timedelta(seconds=50)
    assert [bool(line.get("alarm")) for line in logs] == [alarm]


def test_no_call_begins_after_the_deadline(tried: list[str]) -> None:
    assert drive(tried, deadline=Deadline(0)) == 0

    assert (tried, states()) == ([], ["requested"] * 3)


def test_without_a_processor_nothing_is_tried(shop_without_processor: Shop) -> None:
    organization_id = shop_without_processor.organization.pk
    psp_calls.record_intent(organization_id=organization_id, op="customer.update", key="first", params={})
    tried: list[str] = []

    assert drive(tried) == 0

    assert (tried, states()) == ([], ["requested"])


def test_the_status_of_each_reply_is_kept_with_the_outcome(shop: Shop) -> None:
    assert shop.standin is not None
    shop.buy(voucher_code=shop.code(shop.voucher()))
    first = replies()
    shop.standin.script("checkout.sessions.create", Fault.ERROR_503, times=2)
    with pytest.raises(ProcessorUnavailable):
        shop.with_customer("other").buy()

    assert first == [("coupon.create", 200), ("customer.create", 200), ("session.create", 200)]
    assert replies()[3:] == [("customer.create", 200), ("session.create", 503)]


def test_what_nobody_answered_has_no_status(shop: Shop) -> None:
    assert shop.standin is not None
    shop.standin.script("checkout.sessions.create", Fault.DROP_BEFORE, times=2)
    with pytest.raises(ProcessorUnavailable):
        shop.buy()

    assert replies() == [("customer.create", 200), ("session.create", None)]


def test_replies_that_nobody_asks_for_are_forgotten() -> None:
    for number in range(300):
        note_reply(f"key-{number}", 200)

    assert (take_reply("key-0"), take_reply("key-299"), take_reply("key-299")) == (None, 200, None)


def replies() -> list[tuple[str, int | None]]:
    """Return what was heard, in each customer by operation."""
    calls = PspCall.objects.order_by("organization", "op")
    return [(call.op, call.http_status) for call in calls]
