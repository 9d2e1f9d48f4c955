"""A change takes effect: the subscription's contents move, and delivery is told.

All functions are steps: call inside a transaction that holds the account's lock. Rules: docs/subscriptions.md.
"""

from datetime import datetime
from uuid import UUID

from billing.models import Subscription, SubscriptionChange
from billing.services import change_calls
from billing.services.change_rows import finish_change
from billing.services.subscriptions import lock_subscription, move


def fits_still(change_id: UUID | None, *, now: datetime) -> bool:
    """Tell whether a paid change can still take effect; true without one.

    It cannot when another wish replaced it, the subscription is not active, or its period is over: of the next one,
    whether it is billed already or not, it did not pay the price.
    """
    if change_id is None:
        return True
    change = SubscriptionChange.objects.get(pk=change_id)
    subscription = lock_subscription(change.subscription_id)
    return (
        change.state == SubscriptionChange.State.PENDING
        and subscription.state == Subscription.State.ACTIVE
        and subscription.current_period.lower <= change.effective_at
        and now < subscription.current_period.upper
    )


def apply_change(change_id: UUID | None, *, actor: str, now: datetime) -> None:
    """Give a subscription the contents that an order has paid for; nothing without a change.

    What was bought is installed by ``order.paid``, so ``subscription.changed`` names nothing to install.
    """
    if change_id is None:
        return
    change = SubscriptionChange.objects.get(pk=change_id)
    _apply(change, lock_subscription(change.subscription_id), actor=actor, install=(), now=now)


def apply_due_change(subscription: Subscription, *, now: datetime) -> bool:
    """Apply what was scheduled for the end of the period; call at that boundary, on a locked subscription, before the
    next period is billed. Return whether there was something.

    What the subscription does not contain any more is removed by ``subscription.changed``, what it newly contains is
    installed by it.
    """
    change = (
        SubscriptionChange.objects.scheduled().filter(subscription=subscription).select_related("requested_by").first()
    )
    if change is None or subscription.state != Subscription.State.ACTIVE:
        return False
    actor = f"user:{change.requested_by.uuid}"
    _apply(change, subscription, actor=actor, install=tuple(change.install), now=now)
    return True


def _apply(
    change: SubscriptionChange, subscription: Subscription, *, actor: str, install: tuple[str, ...], now: datetime
) -> None:
    told = {
        "change": str(change.pk),
        "user": change.requested_by_id,
        "remove": change.remove,
        "install": list(install),
        "config": change.config if install else {},
    }
    finish_change(change, now=now)
    move(
        subscription,
        Subscription.State.ACTIVE,
        actor=actor,
        reason="change",
        now=now,
        told=told,
        plan=change.plan,
        items=change.items,
    )
    change_calls.intend_items(subscription, items=change.items, key=f"change:{change.pk}:items")
