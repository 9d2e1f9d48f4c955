"""What follows when nobody pays: a warning, the pause, the end. The same for credit and for cards.

Source: docs/subscriptions.md, "Grace".
"""

from datetime import datetime, timedelta

from billing.models import Subscription
from billing.services.subscriptions import end, facts_of, move, publish
from catalyst.core.failpoints import fp
from catalyst.core.models import Outbox

#: Past due until the Applications pause; the warning comes so long before that; paused until the end.
GRACE = timedelta(days=7)
WARNING = timedelta(days=2)
PAUSE = timedelta(days=30)
_ACTOR = "dunning"


def follow_grace(subscription: Subscription, *, now: datetime) -> bool:
    """Take the step of the grace that is due; a step, under the locks. Return whether there was one."""
    if subscription.state == Subscription.State.PAST_DUE and subscription.past_due_since:
        done = _follow_past_due(subscription, subscription.past_due_since, now=now)
    elif subscription.state == Subscription.State.SUSPENDED and subscription.suspended_at:
        done = now >= subscription.suspended_at + PAUSE and end(subscription, actor=_ACTOR, reason="unpaid", now=now)
    else:
        return False
    if done:
        fp("dunning.grace.in_tx")
    return done


def grace_ends(subscription: Subscription, *, now: datetime) -> list[datetime]:
    """Return the moments at which this debt has to be looked at again."""
    moments = []
    if subscription.past_due_since and subscription.state == Subscription.State.PAST_DUE:
        moments = [subscription.past_due_since + GRACE - WARNING, subscription.past_due_since + GRACE]
    if subscription.suspended_at and subscription.state == Subscription.State.SUSPENDED:
        moments = [subscription.suspended_at + PAUSE]
    return [moment for moment in moments if moment > now]


def _follow_past_due(subscription: Subscription, since: datetime, *, now: datetime) -> bool:
    if now >= since + GRACE:
        move(subscription, "suspended", actor=_ACTOR, reason="unpaid", now=now, suspended_at=now, next_action_at=now)
        return True
    if now < since + GRACE - WARNING:
        return False
    # The version is of the step into debt: the next debt is warned of again.
    key = f"subscription.suspension_ahead:{subscription.pk}:{subscription.version}"
    if Outbox.objects.filter(dedup_key=key).exists():
        return False
    payload = {**facts_of(subscription, subscription.state), "suspends_at": (since + GRACE).isoformat()}
    publish(subscription, "subscription.suspension_ahead", key, payload)
    return True
