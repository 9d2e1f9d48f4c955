"""A payment of a debt that dies half way is whole or has not happened.

Deaths in a renewal, a pause or an end by the sweeper: tests/billing/test_crash_matrix.py.
"""

from unittest import mock

import pytest
from django.utils import timezone

from billing.services import subscription_renewals
from billing.services.invoices import add_renewal_invoice
from billing.services.ledger import Entry, post_entries
from billing.services.subscriptions import lock_with_account
from billing.tasks import subscriptions as tasks
from catalyst.core.database import use_case
from catalyst.core.failpoints import Crash, armed, crash
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.subscribed import Customer, assert_paid_for, end_period, make_due, subscribe

pytestmark = pytest.mark.django_db(transaction=True)

RENEWAL = ["renewal.credit.in_tx", "renewal.credit.after_commit"]


def sweep_again() -> None:
    make_due()
    tasks.sweep_subscriptions_task()


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
    sweep_again()

    with pytest.raises(AssertionError):
        assert_paid_for(customer)
