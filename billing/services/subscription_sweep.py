"""Time passes for subscriptions: what is due is found in Postgres and takes its next step.

One subscription at a time, each step in a transaction of its own, so that one broken row stops no other and a process
that dies loses nothing. Two sweepers at once are harmless: rows are claimed, and every step looks again under locks.
"""

from datetime import datetime, timedelta

import structlog

from billing.models import Subscription
from billing.selectors.subscriptions import is_moving_to_card
from billing.services import subscription_calls
from billing.services.ledger import LockedAccount
from billing.services.subscription_dunning import follow_grace, grace_ends
from billing.services.subscription_renewals import NOTICE, bill_from_credit, is_over, needs_card
from billing.services.subscriptions import end, lock_with_account
from catalyst.core.database import fetch_all, use_case
from catalyst.core.errors import DomainError
from catalyst.core.failpoints import fp

log = structlog.get_logger(__name__)

_BATCH, _ROUNDS = 50, 20
#: A claimed row comes back after this when its process died; daily is how often a debt tries to be paid.
_CLAIM = timedelta(minutes=5)
_AGAIN, _SOON = timedelta(days=1), timedelta(minutes=5)
#: After a long downtime a subscription catches up step by step; this many in one go is years.
_MOST_STEPS = 60


def sweep_subscriptions(*, now: datetime) -> int:
    """Take every step that is due; return how many subscriptions were looked at."""
    looked = 0
    for _round in range(_ROUNDS):
        claimed = _claim(now=now)
        for subscription_id in claimed:
            try:
                advance_subscription(subscription_id=subscription_id, now=now)
            except Exception as error:
                # It stays claimed and comes back; an unforeseen reason is an alarm.
                foreseen = isinstance(error, DomainError)
                log.error("subscription_postponed", subscription=subscription_id, exc_info=error, alarm=not foreseen)
        looked += len(claimed)
        if len(claimed) < _BATCH:
            break
    subscription_calls.sweep_calls()
    return looked


def advance_subscription(*, subscription_id: int, now: datetime) -> None:
    """Take all steps of one subscription that are due, then note when to look again."""
    for _step in range(_MOST_STEPS):
        done = _take_step(subscription_id=subscription_id, now=now)
        if done == "renewal":
            fp("renewal.credit.after_commit")
        elif done == "dunning":
            fp("dunning.grace.after_commit")
        elif not done:
            return


def pay_debts(*, organization_id: int, now: datetime) -> None:
    """Try again to pay what an Organization owes, because its credit may have grown."""
    owing = Subscription.objects.filter(
        organization_id=organization_id, collection="credit", state__in=["past_due", "suspended"]
    )
    for subscription_id in owing.order_by("pk").values_list("pk", flat=True):
        advance_subscription(subscription_id=subscription_id, now=now)


@use_case
def _claim(*, now: datetime) -> list[int]:
    rows = fetch_all(
        """
        UPDATE billing_subscription SET next_action_at = %s WHERE id IN (
          SELECT id FROM billing_subscription WHERE state <> 'canceled' AND next_action_at <= %s
          ORDER BY next_action_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED)
        RETURNING id
        """,
        [now + _CLAIM, now, _BATCH],
    )
    return [row[0] for row in rows]


@use_case
def _take_step(*, subscription_id: int, now: datetime) -> str:
    """Take one step and return which kind it was; without one write down when the next is due."""
    account, subscription = lock_with_account(subscription_id)
    done = _step(account, subscription, now=now)
    if not done and subscription.state != Subscription.State.CANCELED:
        subscription.next_action_at = _next_look(subscription, now=now)
        subscription.save(update_fields=["next_action_at"])
    return done


def _step(account: LockedAccount, subscription: Subscription, *, now: datetime) -> str:
    if subscription.state == Subscription.State.CANCELED:
        return ""
    if subscription.cancel_at_period_end and is_over(subscription, now=now):
        end(subscription, actor="renewal", reason="period_end", now=now)
        return "renewal"
    from_credit = subscription.collection == Subscription.Collection.CREDIT and not is_moving_to_card(subscription)
    if from_credit and bill_from_credit(account, subscription, now=now):
        return "renewal"
    if follow_grace(subscription, now=now):
        return "dunning"
    active = subscription.state == Subscription.State.ACTIVE
    if from_credit and active and needs_card(account, subscription, now=now):
        return "notice"
    return ""


def _next_look(subscription: Subscription, *, now: datetime) -> datetime:
    """Return the next moment at which something can be due; at the latest tomorrow once time is short."""
    if subscription.collection == Subscription.Collection.CREDIT and is_over(subscription, now=now):
        again = _SOON if is_moving_to_card(subscription) else _AGAIN
        return min([now + again, *grace_ends(subscription, now=now)])
    if subscription.state != Subscription.State.ACTIVE:
        return min([now + _AGAIN, *grace_ends(subscription, now=now)])
    ends: datetime = subscription.current_period.upper
    if now < ends - NOTICE:
        return ends - NOTICE
    # In the last week the credit may still shrink; an ended card period is the processor's to renew.
    return min(ends, now + _AGAIN) if now < ends else now + _AGAIN
