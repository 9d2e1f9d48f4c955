"""The moves of a subscription: every one is a step of one table, a line of its history and one event.

``move`` is the only writer of ``state``. The steps below it say what each move means; use cases, the sweep and what
follows the processor call them. Source: docs/subscriptions.md. Amounts are minor units.
"""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.db.models import F
from django.utils.translation import gettext as _

from billing.models import Subscription, SubscriptionChange, SubscriptionEvent
from billing.services import subscription_calls
from billing.services.ledger import LockedAccount, lock_account
from billing.services.subscription_debts import write_off
from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, InvalidTransition, NotFound
from catalyst.core.failpoints import fp
from tenancy.models import User
from tenancy.services.audit import actor_name, append_audit, organization_stream

_TOPICS = {
    "past_due": "subscription.past_due",
    "suspended": "subscription.suspended",
    "canceled": "subscription.canceled",
}


class SubscriptionEnded(DomainError):
    code = "subscription_ended"
    status = HTTPStatus.CONFLICT


def lock_subscription(subscription_id: int) -> Subscription:
    """Lock one subscription and return it; call inside a transaction that has locked its account first.

    :raises NotFound: there is none.
    """
    rows = Subscription.objects.select_for_update(of=("self",), no_key=True)
    found = rows.select_related("order", "organization__organization").filter(pk=subscription_id).first()
    if found is None:
        raise NotFound(_("There is no such subscription."))
    return found


def lock_with_account(subscription_id: int) -> tuple[LockedAccount, Subscription]:
    """Lock the account and then its subscription, the order that everybody keeps; a step.

    :raises NotFound: there is none.
    """
    owner = Subscription.objects.filter(pk=subscription_id).values_list("organization_id", flat=True).first()
    if owner is None:
        raise NotFound(_("There is no such subscription."))
    account = lock_account(owner)
    return account, lock_subscription(subscription_id)


def move(
    subscription: Subscription,
    to: str,
    *,
    actor: str,
    reason: str = "",
    now: datetime,
    told: Mapping[str, Any] | None = None,
    **fields: Any,
) -> None:
    """Take one step with its history, its event and its audit line; call inside a transaction.

    ``fields`` are columns that change with the state; back to active clears the dates of debt. From active to active
    means that what is billed changed. ``now`` is the moment in the history, ``told`` what the event says besides.

    :raises InvalidTransition: the row is not any more what the caller read, so its step is lost.
    """
    before = subscription.state
    if to == Subscription.State.ACTIVE:
        fields = {"past_due_since": None, "suspended_at": None, **fields}
    same = Subscription.objects.filter(pk=subscription.pk, state=before, version=subscription.version)
    if not same.update(state=to, version=F("version") + 1, **fields):
        raise InvalidTransition(_("This subscription changed meanwhile. Load the page again."))
    subscription.refresh_from_db(fields=_written(fields))
    # The foreign key to the table of moves refuses a step that it does not have.
    SubscriptionEvent.objects.create(
        subscription=subscription,
        seq=subscription.version,
        from_state=before,
        to_state=to,
        plan=subscription.plan,
        monthly_minor=subscription.monthly_minor,
        actor=actor,
        reason=reason,
        at=now,
    )
    _tell(subscription, before, {**(told or {}), "reason": reason, "actor": actor})


def mark_past_due(subscription: Subscription, *, actor: str, reason: str, now: datetime) -> bool:
    """Say that an invoice of this active subscription could not be paid; a step. Return whether it was active."""
    if subscription.state != Subscription.State.ACTIVE:
        return False
    move(subscription, "past_due", actor=actor, reason=reason, now=now, past_due_since=now, next_action_at=now)
    return True


def restore(subscription: Subscription, *, actor: str, reason: str, now: datetime) -> bool:
    """Say that the debt is paid; a step. Return whether the subscription had been past due or suspended."""
    if subscription.state not in (Subscription.State.PAST_DUE, Subscription.State.SUSPENDED):
        return False
    move(subscription, "active", actor=actor, reason=reason, now=now, next_action_at=now)
    return True


def end(subscription: Subscription, *, actor: str, reason: str, now: datetime, at_processor: bool = True) -> bool:
    """End a subscription for good; a step, under the locks of account and subscription. A second end does nothing.

    What it still owes becomes uncollectible, wishes for changes are dropped, and a card subscription is ended at the
    processor after the commit (``subscription_calls``). ``at_processor`` is false when the processor said it first.
    """
    if subscription.state == Subscription.State.CANCELED:
        return False
    write_off(subscription, now=now)
    SubscriptionChange.objects.open().filter(subscription=subscription).update(state="dropped", resolved_at=now)
    if at_processor and subscription.psp_subscription_id:
        subscription_calls.intend_end(subscription)
    move(subscription, "canceled", actor=actor, reason=reason, now=now, canceled_at=now)
    return True


def cancel_subscription(
    *, subscription_id: int, at_once: bool, actor: User | str, reason: str, now: datetime
) -> Subscription:
    """End a subscription with its period, or at once; what it already is stays as it is.

    At once is for staff only (``subscription.manage``): money that is due back is a refund, which this does not make.

    :raises SubscriptionEnded: it has ended, and only "at once" may be said twice.
    """
    subscription = _cancel(subscription_id, at_once=at_once, actor=actor, reason=reason, now=now)
    fp("subscription.cancel.after_commit")
    subscription_calls.send_calls(organization_id=subscription.organization_id)
    return subscription


def resume_subscription(*, subscription_id: int, actor: User | str, now: datetime) -> Subscription:
    """Take back the wish to end with the period.

    :raises SubscriptionEnded: too late.
    """
    subscription = _set_ending(subscription_id, ends=False, actor=actor, reason="", now=now)
    fp("subscription.cancel.after_commit")
    subscription_calls.send_calls(organization_id=subscription.organization_id)
    return subscription


def _cancel(subscription_id: int, *, at_once: bool, actor: User | str, reason: str, now: datetime) -> Subscription:
    if at_once:
        return _end_at_once(subscription_id, actor=actor, reason=reason, now=now)
    return _set_ending(subscription_id, ends=True, actor=actor, reason=reason, now=now)


@use_case
def _end_at_once(subscription_id: int, *, actor: User | str, reason: str, now: datetime) -> Subscription:
    _account, subscription = lock_with_account(subscription_id)
    end(subscription, actor=actor_name(actor), reason=reason, now=now)
    fp("subscription.cancel.in_tx")
    return subscription


@use_case
def _set_ending(subscription_id: int, *, ends: bool, actor: User | str, reason: str, now: datetime) -> Subscription:
    _account, subscription = lock_with_account(subscription_id)
    if subscription.state == Subscription.State.CANCELED:
        raise SubscriptionEnded(_("This subscription has ended. Place a new order for the environment."))
    if subscription.cancel_at_period_end == ends:
        return subscription
    subscription.cancel_at_period_end = ends
    # The next sweep looks: a period may be over already.
    subscription.next_action_at = now
    subscription.save(update_fields=["cancel_at_period_end", "next_action_at"])
    topic = "subscription.ending" if ends else "subscription.kept"
    number = _record(subscription, topic, actor=actor, detail={"reason": reason})
    if subscription.psp_subscription_id:
        subscription_calls.intend_ending(subscription, ends=ends, number=number)
    payload = {**facts_of(subscription, subscription.state), "reason": reason, "actor": actor_name(actor)}
    publish(subscription, topic, f"{topic}:{subscription.pk}:{number}", payload)
    fp("subscription.cancel.in_tx")
    return subscription


def _written(fields: dict[str, Any]) -> list[str]:
    return sorted({"state", "version", "plan", "items", "monthly_minor", *fields})


def _tell(subscription: Subscription, before: str, told: dict[str, Any]) -> None:
    returned = "subscription.changed" if before == Subscription.State.ACTIVE else "subscription.resumed"
    topic = _TOPICS.get(subscription.state, returned)
    _record(subscription, topic, actor=told["actor"], detail={"previous": before, "reason": told["reason"]})
    key = f"{topic}:{subscription.pk}:{subscription.version}"
    publish(subscription, topic, key, {**facts_of(subscription, before), **told})


def facts_of(subscription: Subscription, before: str) -> dict[str, Any]:
    """Return what every event about a subscription says."""
    return {
        "subscription": subscription.pk,
        "organization": subscription.organization_id,
        "env_type": subscription.env_type,
        "plan": subscription.plan,
        "state": subscription.state,
        "previous": before,
        "user": subscription.order.buyer_id,
        "monthly": subscription.monthly_minor,
        "version": subscription.version,
        "suspended": before == Subscription.State.SUSPENDED,
    }


def _record(subscription: Subscription, action: str, *, actor: User | str, detail: dict[str, Any]) -> int:
    return append_audit(
        stream=organization_stream(subscription.organization.organization),
        actor=actor,
        action=action,
        target=f"subscription:{subscription.pk}",
        detail=detail,
    )


def publish(subscription: Subscription, topic: str, key: str, payload: dict[str, Any]) -> None:
    """Append an event to the Organization's stream; a step."""
    stream = organization_stream(subscription.organization.organization)
    outbox.publish(topic=topic, key=key, stream=stream, payload=payload)
