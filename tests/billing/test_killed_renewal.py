"""The process is killed in a renewal, a pause or an end: the next sweep finishes it, and nothing is paid twice."""

from datetime import timedelta
from unittest import mock

import pytest
from django.utils import timezone

from billing.models import Subscription
from billing.services import subscription_renewals
from billing.services.invoices import add_renewal_invoice
from billing.services.ledger import Entry, post_entries
from billing.services.subscriptions import lock_with_account
from billing.tasks import subscriptions as tasks
from catalyst.core.database import use_case
from catalyst.core.failpoints import Crash, armed, crash
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.subscribed import Customer, assert_paid_for, end_period, make_due, owe_for, subscribe
from tests.crash.client import CrashServer

pytestmark = pytest.mark.django_db(transaction=True)

RENEWAL = ["renewal.credit.in_tx", "renewal.credit.after_commit"]
GRACE = ["dunning.grace.in_tx", "dunning.grace.after_commit"]
SWEEPS = [1, 2]


def sweep_again(times: int) -> None:
    for _beat in range(times):
        make_due()
        tasks.sweep_subscriptions_task()


@pytest.mark.parametrize("point", RENEWAL)
@pytest.mark.parametrize("sweeps", SWEEPS)
def test_a_renewal_happens_whole_or_not_at_all(
    shop_without_processor: Shop, crash_server: CrashServer, point: str, sweeps: int
) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=2 * PLAN_MINOR)
    end_period(customer)

    assert crash_server.sweep(kill_at=point).is_killed
    assert len(customer.spends()) == int(point.endswith("after_commit"))
    assert_paid_for(customer)
    sweep_again(sweeps)

    assert (customer.state, customer.spends(), customer.available()) == ("active", [-PLAN_MINOR], PLAN_MINOR)
    assert_paid_for(customer)


@pytest.mark.parametrize("point", RENEWAL)
def test_a_debt_is_written_down_whole_or_not_at_all(
    shop_without_processor: Shop, crash_server: CrashServer, point: str
) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=PLAN_MINOR - 1)
    end_period(customer)

    assert crash_server.sweep(kill_at=point).is_killed
    committed = point.endswith("after_commit")
    assert customer.state == ("past_due" if committed else "active")
    assert customer.invoices() == [("open", PLAN_MINOR)] * committed
    sweep_again(2)

    assert (customer.state, customer.invoices()) == ("past_due", [("open", PLAN_MINOR)])
    assert (customer.available(), customer.history()) == (PLAN_MINOR - 1, ["active > past_due"])


@pytest.mark.parametrize("point", GRACE)
@pytest.mark.parametrize("sweeps", SWEEPS)
def test_a_pause_happens_once(shop_without_processor: Shop, crash_server: CrashServer, point: str, sweeps: int) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    end_period(customer)
    sweep_again(1)
    owe_for(customer, 8)

    assert crash_server.sweep(kill_at=point).is_killed
    assert customer.state == ("suspended" if point.endswith("after_commit") else "past_due")
    sweep_again(sweeps)

    assert customer.state == "suspended"
    assert len(customer.events("subscription.suspended")) == 1


@pytest.mark.parametrize("point", GRACE)
def test_an_end_happens_once(shop_without_processor: Shop, crash_server: CrashServer, point: str) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    end_period(customer)
    sweep_again(1)
    owe_for(customer, 8)
    sweep_again(1)
    paused = timezone.now() - timedelta(days=30)
    Subscription.objects.filter(pk=customer.subscription.pk).update(suspended_at=paused)
    make_due()

    assert crash_server.sweep(kill_at=point).is_killed
    sweep_again(2)

    assert (customer.state, customer.invoices()) == ("canceled", [("uncollectible", PLAN_MINOR)])
    assert len(customer.events("subscription.canceled")) == 1


@pytest.mark.parametrize("point", RENEWAL)
def test_a_payment_that_new_credit_triggers_is_whole(shop_without_processor: Shop, point: str) -> None:
    customer = subscribe(shop_without_processor, "acme-one")
    customer.sweep(customer.ends)
    customer.redeem(PLAN_MINOR)
    message = mock.Mock(stream=f"organization:{customer.shop.organization.pk}")

    with armed(point, crash), pytest.raises(Crash):
        tasks.pay_debts(message)
    assert customer.state == ("active" if point.endswith("after_commit") else "past_due")
    assert_paid_for(customer)
    tasks.pay_debts(message)
    tasks.pay_debts(message)

    assert (customer.state, customer.spends(), customer.available()) == ("active", [-PLAN_MINOR], 0)
    assert_paid_for(customer)


@use_case
def pay_first_and_move_later(customer: Customer) -> None:
    """The wrong way: the money in one transaction, the period in another, which a killed process never reaches."""
    account, subscription = lock_with_account(customer.subscription.pk)
    period = subscription_renewals.next_period(subscription)
    invoice = add_renewal_invoice(
        subscription=subscription, period=period, state="paid", credit_minor=PLAN_MINOR, now=timezone.now()
    )
    key = f"invoice:{invoice.pk}"
    post_entries(
        account, [Entry("invoice_spend", -PLAN_MINOR, "settlement", key, invoice_id=invoice.pk)], actor="control"
    )


@pytest.mark.breaks_invariants
def test_control_sees_money_that_bought_no_time(shop_without_processor: Shop) -> None:
    customer = subscribe(shop_without_processor, "acme-one", credit_minor=2 * PLAN_MINOR)
    end_period(customer)

    pay_first_and_move_later(customer)
    sweep_again(1)

    with pytest.raises(AssertionError):
        assert_paid_for(customer)
