"""However the processor answers a refund, or does not: the money goes back once, or the books say that it did not."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing.models import CreditNote, PspCall
from billing.services.psp import ProcessorUnavailable, get_processor
from billing.services.refund_calls import follow_charge, follow_refund
from billing.services.refund_sweep import sweep_refunds as sweep_at
from billing.tasks import refunds as tasks
from catalyst.core.database import execute
from catalyst.core.models import Incident
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Shop
from tests.billing.sold import CARD_MINOR, Sold, sell, sweep_refunds
from tests.conftest import owner_connection
from tests.stripe_standin import Fault

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sold(shop: Shop) -> Sold:
    return sell(shop)


def incidents() -> list[str]:
    return list(Incident.objects.filter(resolved_at=None).order_by("id").values_list("kind", flat=True))


def the_payment(sold: Sold) -> str:
    (intent,) = sold.standin.all("payment_intent")
    return str(intent["id"])


def let_time_pass(**time: Any) -> None:
    """Make the intents older, as only time can."""
    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE billing_pspcall SET first_sent_at = first_sent_at - %s", [timedelta(**time)])


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        (Fault.DROP_BEFORE, 2),
        (Fault.DROP_AFTER, 2),
        (Fault.STORED_500_WITH_EFFECT, 1),
        (Fault.ERROR_503, 2),
        (Fault.ERROR_429, 2),
        (Fault.ERROR_409, 2),
    ],
)
def test_no_answer_is_no_failure(sold: Sold, fault: Fault, times: int) -> None:
    sold.standin.script("refunds.create", fault, times=times)

    note = sold.refund(5_000)

    assert note.state == "refund_pending"
    assert sold.state()["invoice"] == (5_000, 0)
    sold.standin.clear_faults()
    sold.standin.clock.advance(25 * 3600)
    let_time_pass(hours=25)
    sweep_refunds()
    sweep_refunds()
    assert sold.state()["notes"] == [(5_000, 0, "settled")]
    assert sold.state()["refunds"] == [5_000]
    assert PspCall.objects.get(op="refund.create").state == "succeeded"


def test_the_same_key_is_repeated_while_the_processor_knows_it(sold: Sold) -> None:
    sold.standin.script("refunds.create", Fault.DROP_AFTER, times=2)
    note = sold.refund(5_000)

    sweep_refunds()

    assert sold.state()["notes"] == [(5_000, 0, "settled")]
    assert sold.standin.calls.count("refunds.create", f"refund:{note.pk}") == 3
    assert sold.standin.calls.effect_count("refunds.create") == 1
    assert sold.standin.calls.count("refunds.list") == 0


def test_a_forgotten_key_is_not_used_before_a_look(sold: Sold) -> None:
    """Control beside it: the same key, sent blindly after 24 hours, returns the money twice."""
    sold.standin.script("refunds.create", Fault.DROP_AFTER, times=2)
    sold.refund(5_000)
    sold.standin.clock.advance(25 * 3600)
    let_time_pass(hours=25)

    sweep_refunds()

    assert sold.state()["refunds"] == [5_000]
    call = PspCall.objects.get(op="refund.create")
    get_processor().create("refund.create", call.params, key=call.idempotency_key)
    assert sold.state()["refunds"] == [5_000, 5_000]


def test_the_payment_must_be_known_before_anything_is_written(sold: Sold) -> None:
    sold.standin.script("checkout.sessions.retrieve", Fault.ERROR_503, times=None)
    before = sold.state()

    with pytest.raises(ProcessorUnavailable):
        sold.refund(5_000)

    assert sold.state() == before


def test_a_definite_no_puts_the_card_money_back_on_the_books(sold: Sold) -> None:
    """The credit part stays given, and a person is called."""
    sold.standin.script("refunds.create", Fault.ERROR_402)

    note = sold.refund(None)

    assert note.state == "refund_failed"
    after = sold.state()
    assert (after["invoice"], after["posted"], after["refunds"]) == ((0, VOUCHER_MINOR), VOUCHER_MINOR, [])
    assert PspCall.objects.get(op="refund.create").state == "rejected"
    assert incidents() == ["refund.failed"]


def test_after_a_failure_the_card_can_be_tried_again(sold: Sold) -> None:
    sold.standin.script("refunds.create", Fault.ERROR_402)
    sold.refund(None)

    again = sold.refund(None)

    assert (again.card_minor, again.credit_minor, again.state) == (CARD_MINOR, 0, "settled")
    assert sold.state()["invoice"] == (CARD_MINOR, VOUCHER_MINOR)
    assert sold.state()["refunds"] == [CARD_MINOR]


def test_the_vat_of_a_refund_that_failed_is_not_taken_back_twice(sold: Sold) -> None:
    sold.standin.script("refunds.create", Fault.ERROR_402)
    failed = sold.refund(None)

    part, rest = sold.refund(5_000), sold.refund(None)

    assert (failed.tax_minor, part.tax_minor, rest.tax_minor) == (2381, 0, 0)
    assert failed.tax_minor == sold.invoice.tax_minor


@pytest.mark.parametrize("fault", [Fault.ERROR_400, Fault.ERROR_503])
def test_a_refund_that_cannot_be_read_keeps_no_other_waiting(shop: Shop, fault: Fault) -> None:
    notes = [pending_refund(sell(shop, slug)) for slug in ("first", "second")]
    standin = shop.standin
    assert standin is not None
    for note in notes:
        standin.tamper("refund", str(note.psp_refund_id), status="succeeded")
    standin.script("refunds.retrieve", fault)

    tasks.follow_pending_refunds_task()

    assert [note.state for note in CreditNote.objects.order_by("id")] == ["refund_pending", "settled"]
    tasks.follow_pending_refunds_task()
    assert [note.state for note in CreditNote.objects.order_by("id")] == ["settled", "settled"]


def test_already_refunded_with_our_mark_is_success(sold: Sold) -> None:
    """The reply to the first call was lost and its key forgotten: the processor says "already refunded"."""
    sold.standin.script("refunds.create", Fault.DROP_AFTER, times=2)
    note = sold.refund(CARD_MINOR)
    sold.standin.clock.advance(25 * 3600)

    sweep_refunds()

    note.refresh_from_db()
    (refund,) = sold.standin.all("refund")
    assert (note.state, note.psp_refund_id) == ("settled", refund["id"])
    assert incidents() == []


def test_already_refunded_by_hand_is_success_and_somebody_looks(sold: Sold) -> None:
    made = get_processor().create("refund.create", {"payment_intent": the_payment(sold)}, key="by-hand-1")

    note = sold.refund(CARD_MINOR)

    assert (note.state, note.psp_refund_id) == ("settled", made["id"])
    assert sold.state()["refunds"] == [CARD_MINOR]
    assert incidents() == ["refund.by_hand"]


def test_two_notes_never_name_one_refund(sold: Sold) -> None:
    """Half of the charge went back by a note of ours, the other half by hand: the next note is that half's."""
    half = CARD_MINOR // 2
    first = sold.refund(half)
    params = {"payment_intent": the_payment(sold), "amount": half}
    made = get_processor().create("refund.create", params, key="by-hand-4")

    second = sold.refund(half)

    assert (first.state, second.state, second.psp_refund_id) == ("settled", "settled", made["id"])
    assert sold.state()["refunds"] == [half, half]


def test_a_refund_that_is_under_way_is_followed_to_its_end(sold: Sold) -> None:
    note = pending_refund(sold)

    sweep_refunds()
    assert sold.state()["notes"] == [(5_000, 0, "refund_pending")]
    sold.standin.tamper("refund", str(note.psp_refund_id), status="succeeded")
    sweep_refunds()

    assert sold.state()["notes"] == [(5_000, 0, "settled")]


def pending_refund(sold: Sold) -> CreditNote:
    """Return a note whose refund the processor has taken and not finished."""
    sold.standin.script("refunds.create", Fault.DROP_AFTER, times=2)
    note = sold.refund(5_000)
    refund = next(row for row in sold.standin.all("refund") if row["metadata"]["credit_note"] == str(note.uuid))
    sold.standin.tamper("refund", refund["id"], status="pending")
    follow_refund(get_processor(), refund["id"], actor="webhook", now=timezone.now())
    note.refresh_from_db()
    assert (note.state, note.psp_refund_id) == ("refund_pending", refund["id"])
    return note


@pytest.mark.parametrize("twice", [1, 2])
def test_a_refund_that_the_bank_sends_back_fails_once(sold: Sold, twice: int) -> None:
    note = sold.refund(None)
    sold.standin.tamper("refund", str(note.psp_refund_id), status="failed", failure_reason="lost_or_stolen_card")

    for _ in range(twice):
        assert follow_refund(get_processor(), str(note.psp_refund_id), actor="webhook", now=timezone.now())

    after = sold.state()
    assert (after["invoice"], after["posted"]) == ((0, VOUCHER_MINOR), VOUCHER_MINOR)
    assert after["notes"] == [(CARD_MINOR, VOUCHER_MINOR, "refund_failed")]
    assert incidents() == ["refund.failed"]


def test_the_webhook_may_overtake_the_answer(sold: Sold) -> None:
    sold.standin.script("refunds.create", Fault.DROP_AFTER, times=2)
    sold.refund(5_000)
    (refund,) = sold.standin.all("refund")

    assert follow_refund(get_processor(), refund["id"], actor="webhook", now=timezone.now())
    sweep_refunds()

    assert sold.state()["notes"] == [(5_000, 0, "settled")]
    assert sold.standin.calls.count("refunds.create") == 2


def test_a_refund_of_nobody_is_not_ours(sold: Sold) -> None:
    by_hand = get_processor().create(
        "refund.create", {"payment_intent": the_payment(sold), "amount": 1_000}, key="by-hand-2"
    )
    before = sold.state()

    assert follow_refund(get_processor(), by_hand["id"], actor="webhook", now=timezone.now()) is False
    assert follow_charge(get_processor(), by_hand["charge"], actor="webhook", now=timezone.now()) is False

    assert sold.state() == before


def test_a_refund_that_carries_our_mark_and_another_amount_is_left_to_a_person(sold: Sold) -> None:
    sold.standin.script("refunds.create", Fault.DROP_BEFORE, times=2)
    note = sold.refund(5_000)
    params = {
        "payment_intent": the_payment(sold),
        "amount": PLAN_MINOR - VOUCHER_MINOR - 10,
        "metadata": {"credit_note": str(note.uuid)},
    }
    forged = get_processor().create("refund.create", params, key="by-hand-3")

    assert follow_refund(get_processor(), forged["id"], actor="webhook", now=timezone.now())

    assert sold.state()["notes"] == [(5_000, 0, "refund_pending")]
    assert incidents() == ["refund.mismatch"]


def test_a_charge_brings_all_its_refunds(sold: Sold) -> None:
    sold.refund(5_000)
    sold.refund(1_000)
    (charge,) = sold.standin.all("charge")

    assert follow_charge(get_processor(), charge["id"], actor="webhook", now=timezone.now())

    assert sold.state()["notes"] == [(5_000, 0, "settled"), (1_000, 0, "settled")]


def test_somebody_is_called_when_there_is_no_answer_for_days(sold: Sold) -> None:
    sold.standin.script("refunds.create", Fault.ERROR_503, times=None)
    sold.refund(5_000)
    assert incidents() == []

    execute("UPDATE billing_pspcall SET next_action_at = now() - interval '1 second'")
    sweep_at(now=timezone.now() + timedelta(days=4))

    assert incidents() == ["refund.unanswered"]
    assert sold.state()["notes"] == [(5_000, 0, "refund_pending")]
