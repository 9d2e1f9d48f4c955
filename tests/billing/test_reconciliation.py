"""Our books against the processor's: equal books say nothing, and each difference says its name, once."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.models import Checkout, Subscription
from billing.services.psp import ProcessorRejected, ProcessorUnavailable, get_processor
from billing.services.psp_calls import record_intent, resolve
from billing.services.reconciliation import reconcile
from billing.tasks import reconciliation as tasks
from catalyst.core.errors import DomainError
from catalyst.core.models import Incident
from tests.billing.card_life import card_customer
from tests.billing.inbox import post_event
from tests.billing.killed import sweep
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.sold import sell
from tests.conftest import owner_connection
from tests.stripe_standin import Fault, StripeStandIn

pytestmark = pytest.mark.django_db(transaction=True)

_LATER = timedelta(hours=3)


@pytest.fixture
def sold(shop: Shop) -> Checkout:
    """A purchase that the card paid, and that we know of."""
    outcome = shop.buy()
    checkout = Checkout.objects.get(pk=outcome.checkout_id)
    standin = _standin(shop)
    standin.pay(str(checkout.psp_session_id))
    _tell(standin, "checkout.session.completed")
    checkout.refresh_from_db()
    assert checkout.state == "completed"
    return checkout


def _standin(shop: Shop) -> StripeStandIn:
    assert shop.standin is not None
    return shop.standin


def _tell(standin: StripeStandIn, kind: str) -> None:
    """Let the processor's events arrive and be followed."""
    for event in standin.events(kind):
        post_event(*standin.signed(event))
    sweep()


def _later() -> datetime:
    return timezone.now() + _LATER


def _look(now: datetime | None = None) -> list[tuple[str, str]]:
    found = reconcile(processor=get_processor(), now=now or _later())
    return [(difference.kind, difference.subject) for difference in found]


def _damage(sql: str) -> None:
    with owner_connection() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute(sql)


def test_equal_books_say_nothing(shop: Shop, sold: Checkout) -> None:
    assert _look() == []
    assert not Incident.objects.exists()


def test_what_is_on_its_way_is_left_alone(shop: Shop) -> None:
    outcome = shop.buy()
    checkout = Checkout.objects.get(pk=outcome.checkout_id)
    _standin(shop).pay(str(checkout.psp_session_id))

    assert _look(timezone.now()) == []
    assert ("paid_session_unmatched", str(checkout.psp_session_id)) in _look()


@pytest.mark.breaks_invariants
@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        ("UPDATE billing_checkout SET state = 'lapsed'", "paid_session_unmatched"),
        ("UPDATE billing_checkout SET psp_session_id = 'cs_other'", "paid_session_unmatched"),
        ("UPDATE billing_checkout SET total_minor = total_minor + 10", "paid_session_differs"),
        ("UPDATE billing_checkout SET currency = 'USD'", "paid_session_differs"),
    ],
)
def test_a_payment_that_we_book_otherwise_is_found(shop: Shop, sold: Checkout, damage: str, kind: str) -> None:
    session = str(sold.psp_session_id)
    _damage(damage)

    assert (kind, session) in _look()
    assert Incident.objects.filter(kind=kind, subject=session, resolved_at=None).count() == 1


@pytest.mark.breaks_invariants
def test_a_sale_without_a_payment_is_found(shop: Shop, sold: Checkout) -> None:
    _standin(shop).tamper("checkout.session", str(sold.psp_session_id), payment_status="unpaid")

    assert _look() == [("sale_without_payment", str(sold.pk))]


def test_a_dead_checkout_that_can_still_be_paid_is_found(shop: Shop) -> None:
    outcome = shop.buy()
    checkout = Checkout.objects.get(pk=outcome.checkout_id)
    standin = _standin(shop)
    standin.expire(str(checkout.psp_session_id))
    _tell(standin, "checkout.session.expired")
    standin.tamper("checkout.session", str(checkout.psp_session_id), status="open")

    assert _look() == [("dead_checkout_payable", str(checkout.psp_session_id))]


@pytest.mark.parametrize("there", ["canceled", "incomplete_expired"])
def test_a_subscription_that_lives_here_only_is_found(shop: Shop, sold: Checkout, there: str) -> None:
    row = Subscription.objects.get()
    _standin(shop).tamper("subscription", str(row.psp_subscription_id), status=there)

    assert _look() == [("subscription_lives_here_only", str(row.pk))]


@pytest.mark.breaks_invariants
def test_a_subscription_that_lives_there_only_is_found(shop: Shop, sold: Checkout) -> None:
    row = Subscription.objects.get()
    _damage("UPDATE billing_subscription SET state = 'canceled', canceled_at = now()")

    assert _look() == [("subscription_lives_there_only", str(row.psp_subscription_id))]


def test_one_checkout_that_was_paid_twice_is_found(shop: Shop) -> None:
    first, second = sell(shop, "first"), sell(shop, "second")
    paid, other = first.purchase.checkouts()[0], second.purchase.checkouts()[0]
    _standin(shop).tamper("checkout.session", str(other.psp_session_id), client_reference_id=str(paid.pk))

    assert ("checkout_paid_twice", str(paid.pk)) in _look()


@pytest.mark.parametrize(("ended_minutes_ago", "is_found"), [(119, False), (121, True)])
def test_what_ended_there_a_moment_ago_is_left_alone(
    shop: Shop, sold: Checkout, ended_minutes_ago: int, is_found: bool
) -> None:
    row, now = Subscription.objects.get(), _later()
    ended_at = int((now - timedelta(minutes=ended_minutes_ago)).timestamp())
    _standin(shop).tamper("subscription", str(row.psp_subscription_id), status="canceled", ended_at=ended_at)

    assert _look(now) == ([("subscription_lives_here_only", str(row.pk))] if is_found else [])


@pytest.mark.parametrize("is_fresh", [True, False])
def test_what_was_handed_over_a_moment_ago_is_left_alone(shop: Shop, sold: Checkout, is_fresh: bool) -> None:
    """The list was read before; a Subscription that is billed by card only now is not in it yet."""
    row, now = Subscription.objects.get(), timezone.now()
    hidden, created = str(row.psp_subscription_id), int((now - _LATER).timestamp())
    _standin(shop).tamper("subscription", hidden, status="incomplete_expired", created=created)
    if is_fresh:
        record_intent(organization_id=row.organization_id, op="subscription.create", key="adopt:1", params={})
        resolve(key="adopt:1", state="succeeded", object_id=hidden)

    assert _look(now) == ([] if is_fresh else [("subscription_lives_here_only", str(row.pk))])


def test_a_renewal_that_was_paid_there_only_is_found(shop: Shop) -> None:
    customer = card_customer(shop)
    invoice = customer.standin.collect(customer.renew()["id"])

    assert _look(customer.now()) == []
    assert _look(customer.now() + _LATER) == [("renewal_paid_there_only", invoice["id"])]


def test_a_renewal_of_another_amount_is_found(shop: Shop) -> None:
    customer = card_customer(shop)
    draft = customer.renew()
    customer.tell()
    invoice = customer.standin.collect(draft["id"])
    customer.tell()
    assert _look(customer.now() + _LATER) == []
    customer.standin.tamper("invoice", invoice["id"], amount_paid=invoice["amount_paid"] - 10)

    assert _look(customer.now() + _LATER) == [("renewal_differs", invoice["id"])]


def test_a_refund_of_another_amount_is_found(shop: Shop) -> None:
    sale = sell(shop)
    note = sale.refund(5_000)
    sale.standin.tamper("refund", str(note.psp_refund_id), amount=4_990)

    assert _look() == [("refund_differs", str(note.psp_refund_id))]


def test_a_refund_that_is_missing_there_is_found(shop: Shop) -> None:
    sale = sell(shop)
    note = sale.refund(5_000)
    sale.standin.tamper("refund", str(note.psp_refund_id), status="canceled")

    assert _look(timezone.now()) == []
    assert _look() == [("refund_missing_there", str(note))]


def test_a_refund_that_was_sent_a_moment_ago_is_left_alone(shop: Shop) -> None:
    """A note whose call was long without an answer is old; its refund is not."""
    sale = sell(shop)
    note = sale.refund(5_000, now=timezone.now() - _LATER)
    sale.standin.tamper("refund", str(note.psp_refund_id), status="canceled")

    assert _look(timezone.now()) == []
    assert _look() == [("refund_missing_there", str(note))]


def test_a_dispute_that_nobody_here_knows_is_found(shop: Shop) -> None:
    sale = sell(shop)
    dispute = sale.standin.dispute(sale.standin.all("charge")[0]["id"])

    assert _look(timezone.now()) == []
    assert _look() == [("dispute_unknown_here", dispute["id"])]


def test_more_sales_need_no_more_statements(shop: Shop) -> None:
    statements = []
    for slug in ("first", "second", "third"):
        sell(shop, slug)
        with CaptureQueriesContext(connection) as queries:
            assert _look() == []
        statements.append(len(queries))

    assert statements == [statements[0]] * 3


def test_a_refund_that_nobody_here_gave_is_found(shop: Shop, sold: Checkout) -> None:
    standin = _standin(shop)
    intent = standin.all("payment_intent")[0]["id"]
    refund = standin.client().v1.refunds.create({"payment_intent": intent, "amount": 1000})

    assert _look() == [("refund_unknown_here", refund.id)]


def test_a_balance_at_the_processor_is_found(shop: Shop, sold: Checkout) -> None:
    customer = _standin(shop).all("customer")[0]["id"]
    _standin(shop).tamper("customer", customer, balance=-500)

    assert _look() == [("customer_balance", customer)]


def test_the_same_difference_the_next_day_is_one_incident(shop: Shop, sold: Checkout) -> None:
    customer = _standin(shop).all("customer")[0]["id"]
    _standin(shop).tamper("customer", customer, balance=-500)

    _look()
    _look()

    assert list(Incident.objects.values_list("kind", "count")) == [("customer_balance", 2)]


def test_the_coupon_of_a_dead_checkout_goes(shop: Shop) -> None:
    voucher = shop.voucher(PLAN_MINOR // 5)
    outcome = shop.buy(voucher_code=shop.code(voucher))
    checkout = Checkout.objects.get(pk=outcome.checkout_id)
    standin = _standin(shop)
    standin.script("coupons.delete", Fault.DROP_BEFORE, times=None)
    standin.expire(str(checkout.psp_session_id))
    _tell(standin, "checkout.session.expired")
    standin.clear_faults()
    assert [coupon["id"] for coupon in standin.all("coupon")] == [f"co_{checkout.pk}"]

    _look()

    assert standin.all("coupon") == []


@pytest.mark.parametrize(
    ("fault", "refusal"), [(Fault.ERROR_500, ProcessorUnavailable), (Fault.ERROR_400, ProcessorRejected)]
)
def test_what_could_not_be_read_to_the_end_judges_nothing(
    shop: Shop, sold: Checkout, fault: Fault, refusal: type[DomainError]
) -> None:
    standin = _standin(shop)
    standin.tamper("customer", standin.all("customer")[0]["id"], balance=-500)
    standin.script("subscriptions.list", fault, times=None)

    with pytest.raises(refusal):
        _look()
    tasks.reconcile_task()

    assert not Incident.objects.exists()
