"""The rows of a change of a subscription: one open wish at a time, and how it comes to nothing.

All functions are steps: call inside a transaction that holds the account's lock. Rules: docs/subscriptions.md.
"""

import uuid
from datetime import datetime
from http import HTTPStatus

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from billing.models import Checkout, Subscription, SubscriptionChange
from billing.services import change_calls
from billing.services.change_pricing import Proposal
from catalyst.core.errors import DomainError, InvalidTransition
from tenancy.models import User

_RETRY_SECONDS = 120


class SubscriptionNotActive(DomainError):
    code = "subscription_not_active"
    status = HTTPStatus.CONFLICT


def check_changeable(subscription: Subscription, proposal: Proposal, *, now: datetime) -> None:
    """Check a locked subscription against what was priced.

    :raises SubscriptionNotActive: it owes money, is suspended, has ended, or ends with its period.
    :raises InvalidTransition: it moved on since the price was made.
    """
    check_active(subscription, now=now)
    period_end = proposal.subscription.current_period.upper
    if subscription.version != proposal.version or subscription.current_period.upper != period_end:
        raise InvalidTransition(_("This subscription changed meanwhile. Load the page again."))


def check_active(subscription: Subscription, *, now: datetime) -> None:
    """Check that a subscription can be changed at all.

    Between the end of a period and its renewal the next one is being billed for what there was: a change would come
    too late for the bill.

    :raises SubscriptionNotActive: as above.
    """
    if subscription.state != Subscription.State.ACTIVE:
        raise SubscriptionNotActive(_("Only an active subscription can be changed. Pay what is due first."))
    if subscription.cancel_at_period_end:
        raise SubscriptionNotActive(_("This subscription ends with its period. Keep it first, then change it."))
    if now >= subscription.current_period.upper:
        message = _("The next period is being billed right now. Try again in a few minutes.")
        raise SubscriptionNotActive(message, retry_after=_RETRY_SECONDS)


def write_change(proposal: Proposal, *, state: str, actor: User, now: datetime) -> SubscriptionChange:
    """Write the wish down in place of an older one that is still open: the last wish wins."""
    subscription = proposal.subscription
    drop_open_change(subscription, now=now)
    return SubscriptionChange.objects.create(
        id=uuid.uuid4(),
        organization_id=subscription.organization_id,
        subscription=subscription,
        kind=proposal.kind,
        state=state,
        plan=proposal.priced.plan,
        items=proposal.items,
        install=list(proposal.install),
        config=dict(proposal.config),
        remove=list(proposal.remove),
        price_minor=proposal.price_minor,
        effective_at=proposal.effective_at,
        requested_by=actor,
        created_at=now,
    )


def open_changes(subscription: Subscription) -> QuerySet[SubscriptionChange]:
    """Return the open wish of a subscription; there is one at most."""
    return SubscriptionChange.objects.open().filter(subscription=subscription)


def drop_open_change(subscription: Subscription, *, now: datetime) -> SubscriptionChange | None:
    """Drop the open wish and return it; what was prepared for it at the processor is put back."""
    change = open_changes(subscription).first()
    if change is None:
        return None
    was_scheduled = change.state == SubscriptionChange.State.SCHEDULED
    _resolve(change, "dropped", now=now)
    if was_scheduled:
        change_calls.intend_items(subscription, items=subscription.items, key=f"change:{change.pk}:undo")
    return change


def drop_change_of(checkout: Checkout, *, now: datetime) -> None:
    """Drop the wish that a checkout would have sold; nothing for a first purchase."""
    if checkout.change_id is None:
        return
    waiting = SubscriptionChange.objects.filter(pk=checkout.change_id, state="pending")
    waiting.update(state="dropped", resolved_at=now)


def finish_change(change: SubscriptionChange, *, now: datetime) -> None:
    """Mark the wish as fulfilled."""
    _resolve(change, "applied", now=now)


def _resolve(change: SubscriptionChange, state: str, *, now: datetime) -> None:
    change.state, change.resolved_at = state, now
    change.save(update_fields=["state", "resolved_at"])
