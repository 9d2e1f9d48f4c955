"""What comes next for a subscription: the next charge and what pays it, or the end of a grace. Reads only.

Amounts are minor units.
"""

from dataclasses import dataclass
from datetime import datetime

from billing.models import Subscription
from billing.services.ledger import read_account
from billing.services.split import split_total
from billing.services.subscription_dunning import GRACE, PAUSE
from billing.services.subscription_renewals import next_price
from catalyst.core.models import Currency


@dataclass(frozen=True, slots=True)
class NextCharge:
    """``missing_minor`` is what the credit lacks today, for a subscription that only credit pays."""

    at: datetime
    total_minor: int
    credit_minor: int
    card_minor: int
    missing_minor: int


def next_charge(subscription: Subscription) -> NextCharge | None:
    """Return the next charge by today's balance, or None when nothing follows the current period."""
    if subscription.cancel_at_period_end or subscription.state == Subscription.State.CANCELED:
        return None
    total = next_price(subscription)
    account = read_account(subscription.organization_id)
    available = account.available_minor if account else 0
    at = subscription.current_period.upper
    if subscription.collection == Subscription.Collection.CREDIT:
        return NextCharge(at, total, total, 0, max(total - available, 0))
    currency = Currency.objects.get(pk=subscription.currency_id)
    split = split_total(
        total_minor=total,
        available_minor=available,
        step=currency.psp_step,
        minimum_minor=currency.psp_min_minor,
    )
    return NextCharge(at, total, split.credit_minor, split.charge_minor, 0)


def grace_end(subscription: Subscription) -> datetime | None:
    """Return when an unpaid subscription is suspended, or a suspended one ends; None while nothing is owed."""
    if subscription.state == Subscription.State.PAST_DUE and subscription.past_due_since:
        return subscription.past_due_since + GRACE
    if subscription.state == Subscription.State.SUSPENDED and subscription.suspended_at:
        return subscription.suspended_at + PAUSE
    return None
