"""Money is seen on an order that was closed: sold if everything still fits, else returned, once."""

import pytest
from django.utils import timezone

from billing.models import PspCall, StripeEvent
from billing.services.checkout import start_checkout
from billing.services.checkout_settle import lapse
from billing.tasks import checkouts as tasks
from catalyst.core.failpoints import Crash, armed, crash
from catalyst.core.models import Outbox
from catalyst.local.sandbox_stripe.payment import NotOpen
from tests.billing.inbox import post_event
from tests.billing.killed import Purchase, make_purchase, sweep
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Shop
from tests.conftest import owner_connection
from tests.stripe_standin import Fault, StripeStandIn

pytestmark = pytest.mark.django_db(transaction=True)

CHARGE_MINOR = PLAN_MINOR - VOUCHER_MINOR
GRANT = ("voucher_grant", VOUCHER_MINOR)


@pytest.fixture
def lapsed(shop: Shop) -> Purchase:
    """A purchase that we took for lapsed while its page stayed payable at the processor."""
    purchase = make_purchase(shop, "company")
    purchase.buy(purchase.key)
    lapse(checkout_id=purchase.checkouts()[0].pk, reason="session_expired", actor="sweeper", now=timezone.now())
    assert purchase.books().checkouts == ["lapsed"]
    return purchase


@pytest.fixture
def compensated(shop: Shop) -> Purchase:
    """A purchase that was undone; its session exists, and nobody was ever shown its page."""
    purchase = make_purchase(shop, "company")
    assert shop.standin is not None
    shop.standin.script("checkout.sessions.create", Fault.DROP_AFTER, times=2)
    assert purchase.buy(purchase.key).status_code == 503
    assert purchase.books().checkouts == ["compensated"]
    return purchase


def standin_of(purchase: Purchase) -> StripeStandIn:
    assert purchase.shop.standin is not None
    return purchase.shop.standin


def pay_and_tell(purchase: Purchase, session_id: str) -> None:
    """Pay at the processor, and let its event come twice."""
    standin = standin_of(purchase)
    standin.pay(session_id)
    tell(purchase)
    tell(purchase)


def tell(purchase: Purchase) -> None:
    standin = standin_of(purchase)
    for event in standin.events("checkout.session.completed"):
        assert post_event(*standin.signed(event)).status_code == 200
    sweep()


def stray_session(purchase: Purchase) -> str:
    (session,) = standin_of(purchase).sessions(status="open")
    return str(session["id"])


def assert_returned_once(purchase: Purchase, left_open: int = 0) -> None:
    standin = standin_of(purchase)
    assert (standin.captured_minor(), standin.refunded_minor()) == (CHARGE_MINOR, CHARGE_MINOR)
    assert standin.calls.effect_count("refunds.create") == 1
    assert standin.calls.effect_count("subscriptions.cancel") == 1
    assert [row["status"] for row in standin.all("subscription")] == ["canceled"]
    assert Outbox.objects.filter(topic="payment.refunded").count() == 1
    assert Outbox.objects.filter(topic="order.paid").count() == 0
    assert len(standin.sessions(status="open")) == left_open


def test_a_lapsed_order_is_completed_while_everything_still_fits(lapsed: Purchase) -> None:
    pay_and_tell(lapsed, str(lapsed.checkouts()[0].psp_session_id))

    after = lapsed.books()
    assert (after.orders, after.checkouts) == (["paid"], ["completed"])
    assert after.entries == [GRANT, ("order_spend", -VOUCHER_MINOR)]
    assert (after.posted, after.held) == (0, 0)
    assert Outbox.objects.filter(topic="order.paid").count() == 1
    assert (standin_of(lapsed).captured_minor(), standin_of(lapsed).refunded_minor()) == (CHARGE_MINOR, 0)
    lapsed.check()


def test_a_lapsed_order_is_returned_when_another_one_is_open(lapsed: Purchase) -> None:
    assert lapsed.buy().status_code == 201

    pay_and_tell(lapsed, str(lapsed.checkouts()[0].psp_session_id))

    after = lapsed.books()
    assert (after.orders, after.checkouts) == (["cancelled", "pending_payment"], ["refunded", "awaiting_payment"])
    assert (after.entries, after.posted, after.held) == ([GRANT], VOUCHER_MINOR, VOUCHER_MINOR)
    assert_returned_once(lapsed, left_open=1)


def test_a_lapsed_order_is_returned_when_the_credit_is_spent(lapsed: Purchase) -> None:
    voucher = lapsed.shop.voucher(40_000)
    assert lapsed.calls.buy(environment="dev", voucher_code=lapsed.shop.code(voucher)).json()["state"] == "completed"

    pay_and_tell(lapsed, str(lapsed.checkouts()[0].psp_session_id))

    after = lapsed.books()
    assert (after.orders, after.checkouts) == (["cancelled", "paid"], ["refunded", "completed"])
    assert (after.posted, after.held) == (0, 0)
    standin = standin_of(lapsed)
    assert (standin.captured_minor(), standin.refunded_minor()) == (CHARGE_MINOR, CHARGE_MINOR)
    assert standin.calls.effect_count("refunds.create") == 1


def test_an_order_that_was_undone_is_always_returned(compensated: Purchase) -> None:
    pay_and_tell(compensated, stray_session(compensated))

    after = compensated.books()
    assert (after.redemptions, after.orders, after.checkouts) == (["released"], ["cancelled"], ["refunded"])
    assert (after.entries, after.posted, after.held) == ([], 0, 0)
    assert (after.reserved_count, after.redeemed_count) == (0, 0)
    assert_returned_once(compensated)
    assert compensated.buy().status_code == 201


@pytest.mark.parametrize(
    ("operation", "fault", "times"),
    [
        ("refunds.create", Fault.DROP_AFTER, 1),
        ("refunds.create", Fault.DROP_AFTER, 2),
        ("refunds.create", Fault.ERROR_503, 4),
        ("refunds.list", Fault.DROP_BEFORE, 1),
        ("subscriptions.cancel", Fault.DROP_AFTER, 1),
    ],
)
def test_the_money_is_returned_once_however_the_refund_fails(
    compensated: Purchase, operation: str, fault: Fault, times: int
) -> None:
    standin = standin_of(compensated)
    standin.script(operation, fault, times=times)

    pay_and_tell(compensated, stray_session(compensated))
    sweep()
    sweep()

    assert compensated.books().checkouts == ["refunded"]
    assert_returned_once(compensated)


def test_a_page_in_an_old_tab_cannot_be_paid_after_supersession(shop: Shop) -> None:
    purchase = make_purchase(shop, "company")
    purchase.buy()
    old = str(purchase.checkouts()[0].psp_session_id)
    purchase.buy()

    with pytest.raises(NotOpen):
        standin_of(purchase).pay(old)

    assert purchase.books().checkouts == ["lapsed", "awaiting_payment"]
    purchase.check()


def test_a_page_in_an_old_tab_that_was_paid_first_is_the_order(shop: Shop) -> None:
    purchase = make_purchase(shop, "company")
    purchase.buy()
    standin_of(purchase).pay(str(purchase.checkouts()[0].psp_session_id))

    answer = purchase.buy()

    assert answer.status_code == 409
    assert answer.json()["code"] == "already_paid"
    assert purchase.books().checkouts == ["completed"]
    purchase.check()


def refund_intent() -> PspCall:
    return PspCall.objects.get(op="refund.create")


def test_a_refund_that_is_owed_never_counts_as_absent(compensated: Purchase) -> None:
    standin_of(compensated).script("refunds.create", Fault.ERROR_503, times=None)
    pay_and_tell(compensated, stray_session(compensated))

    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE billing_pspcall SET first_sent_at = first_sent_at - interval '1 day'")

    sweep()

    assert refund_intent().state in ("requested", "unknown")
    standin_of(compensated).clear_faults()
    sweep()
    assert refund_intent().state == "succeeded"
    assert_returned_once(compensated)


def test_money_without_any_event_is_found_by_the_cleaner(compensated: Purchase) -> None:
    standin_of(compensated).pay(stray_session(compensated))

    sweep()
    sweep()

    assert compensated.books().checkouts == ["refunded"]
    assert_returned_once(compensated)
    assert PspCall.objects.get(op="session.create").state == "voided"


def test_money_that_overtakes_the_compensation_waits_for_it(shop: Shop) -> None:
    """The process died before the hand-over, and the processor tells of a payment before the sweeper comes."""
    purchase = make_purchase(shop, "company")
    request = purchase.shop.request(voucher_code=purchase.shop.code(purchase.voucher))
    with armed("checkout.T3.in_tx", crash), pytest.raises(Crash):
        start_checkout(request=request, now=timezone.now())
    standin_of(purchase).pay(stray_session(purchase))
    (event,) = standin_of(purchase).events("checkout.session.completed")

    post_event(*standin_of(purchase).signed(event))
    tasks.process_stripe_event_task(event_id=event["id"])

    assert purchase.books().checkouts == ["session_requested"]
    assert StripeEvent.objects.get().state == "pending"
    sweep()
    sweep()
    assert (purchase.books().checkouts, purchase.books().entries) == (["refunded"], [])
    assert StripeEvent.objects.get().state == "done"
    assert_returned_once(purchase)
