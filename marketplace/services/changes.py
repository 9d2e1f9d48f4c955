"""The states of a Change: one table of moves, one conditional update, one event for each.

Source: docs/delivery.md.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import structlog
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, InvalidTransition
from catalyst.core.incidents import open_incident, resolve_subject
from marketplace.models import Application, Change
from marketplace.selectors.installed import (
    EDITS,
    REMOVALS,
    applications_of,
    has_newer_standing,
    is_offboarded_since,
    waiting_for,
)
from tenancy.models import User
from tenancy.services.audit import append_audit, organization_stream

log = structlog.get_logger(__name__)

#: How long a Change may take in all, from the order to the last Application that is ready.
DEADLINE = timedelta(minutes=30)

State = Change.State
#: To → from. ``succeeded`` from ``failed``: the cluster went on after our deadline and made it. ``committed`` is no
#: step of its own: recording a commit begins its roll-out.
_ALLOWED_FROM: Mapping[str, frozenset[str]] = {
    State.AWAITING_GATES: frozenset({State.COMMITTING}),
    State.COMMITTING: frozenset({State.FAILED, State.AWAITING_GATES}),
    State.COMMITTED: frozenset(),
    State.RECONCILING: frozenset({State.COMMITTING, State.COMMITTED, State.FAILED}),
    State.SUCCEEDED: frozenset({State.RECONCILING, State.FAILED}),
    State.FAILED: frozenset({State.COMMITTING, State.COMMITTED, State.RECONCILING}),
    State.SUPERSEDED: frozenset({State.AWAITING_GATES, State.COMMITTING, State.RECONCILING}),
    State.CANCELLED: frozenset({State.AWAITING_GATES}),
}
_ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.SUPERSEDED, State.CANCELLED})


class DeadlinePassed(DomainError):
    """The Change was not done in time."""

    code = "deadline_passed"
    status = HTTPStatus.CONFLICT


class ChangeReplaced(DomainError):
    """What the Change wants is not true any more; doing it now would undo something newer."""

    code = "change_replaced"
    status = HTTPStatus.CONFLICT


def move(change: Change, to: str, **fields: Any) -> None:
    """Take one step; call inside a transaction. ``fields`` are further columns to set.

    :raises InvalidTransition: somebody else moved the Change first.
    """
    values = {"state": to, **fields}
    if not Change.objects.filter(pk=change.pk, state__in=_ALLOWED_FROM[to]).update(**values):
        raise InvalidTransition(_("This change is in another state by now."))
    for name, value in values.items():
        setattr(change, name, value)


def publish(change: Change, topic: str, *, times: int = 0, **payload: Any) -> None:
    """Append one event about a Change; call inside a transaction. ``times`` tells repeated events apart."""
    key = f"{topic}:{change.pk}:{times}" if times else f"{topic}:{change.pk}"
    outbox.publish(
        topic=topic,
        key=key,
        stream=organization_stream(change.organization),
        payload={
            "change": str(change.pk),
            "kind": change.kind,
            "environment": change.environment.name,
            "environment_id": change.environment_id,
            "order": change.order_number,
            "status": change.state,
            "commit": change.commit,
            "summary": change.summary,
            "author": change.author_id,
            "finished_at": change.finished_at.isoformat() if change.finished_at else "",
            **payload,
        },
    )


@use_case
def fail_change(*, change_id: Any, reason: str, now: datetime) -> bool:
    """End a Change with a reason that people can read; False when it is over already.

    Git stays as it is. Whoever fails a Change that is not committed holds the Environment's lease.
    """
    change = lock_change(change_id)
    if change.state in _ENDED:
        return False
    # A sequence number that no commit took is free again; the commit time stays, to know a commit of ours by.
    seq = change.seq if change.commit else None
    move(change, State.FAILED, status_reason=reason, finished_at=now, seq=seq)
    publish_failure(change)
    if change.kind in EDITS:
        withdraw(change)
    elif change.kind != Change.Kind.INSTALL:
        # Nobody waits for it at a page: what should be paused or gone may still run.
        open_incident(
            kind="change_failed", subject=incident_subject(change), detail=f"{change.environment.name}: {reason}"
        )
    log.error("change_failed", change=str(change.pk), environment=change.environment.name, reason=reason, alarm=True)
    return True


@use_case
def supersede_change(*, change_id: Any, reason: str, now: datetime) -> bool:
    """End a Change that is not saved because what it was previewed upon has moved; False when it is over already."""
    change = lock_change(change_id)
    if change.commit or change.state not in {State.AWAITING_GATES, State.COMMITTING}:
        return False
    move(change, State.SUPERSEDED, status_reason=reason, finished_at=now, seq=None)
    withdraw(change)
    publish(change, "change.superseded", applications=[], status_reason=reason)
    return True


def withdraw(change: Change) -> None:
    """Free the names of what an edit wanted to bring along and never did, save what somebody else counts on by now."""
    if change.commit:
        return
    rows = Application.objects.filter(environment=change.environment_id, removed_by__isnull=True)
    own = [row for row in rows if row.change_id == change.pk]
    bound = {name for row in rows if row.change_id != change.pk for name in row.bindings.values()}
    unused = [row.pk for row in own if row.slug not in bound]
    Application.objects.filter(pk__in=unused).update(removed_by=change)


def incident_subject(change: Change) -> str:
    return f"change:{change.pk}"


def publish_failure(change: Change) -> None:
    """Tell that a Change failed, and which Applications that concerns; call inside a transaction."""
    slugs = list(applications_of(change).values_list("slug", flat=True))
    # A Change may fail again after a retry; each failure is a fact of its own.
    times = int(change.finished_at.timestamp() * 1_000_000) if change.finished_at else 0
    publish(change, "change.failed", times=times, applications=slugs, status_reason=change.status_reason)


@use_case
def retry_change(*, change_id: Any, actor: User | str, now: datetime) -> None:
    """Try a failed Change again, with a new deadline; the sweep does the rest.

    :raises InvalidTransition: it has not failed, or was never planned: the event of its order plans it.
    :raises ChangeReplaced: something newer was decided for its Environment, or it edits what runs and is not saved.
    """
    change = lock_change(change_id)
    to = State.RECONCILING if change.commit else State.COMMITTING
    fields = {"status_reason": "", "finished_at": None, "attempts": 0, "deadline_at": now + DEADLINE}
    if change.state != State.FAILED:
        raise InvalidTransition(_("Only a failed change can be tried again."))
    if change.kind in EDITS and not change.commit:
        raise ChangeReplaced(_("What it was decided upon may have changed since. Ask for it again."))
    if is_bare(change):
        raise InvalidTransition(_("This installation was never planned. Replay the event of its order instead."))
    if not change.commit and _is_replaced(change):
        raise ChangeReplaced(_("A newer change has replaced this one, so it is not tried again."))
    move(change, to, next_action_at=Now(), **fields)
    publish(change, "change.retried", times=int(now.timestamp() * 1_000_000))
    stream = organization_stream(change.organization)
    append_audit(stream=stream, actor=actor, action="change.retried", target=f"change:{change.pk}", detail={})


def is_bare(change: Change) -> bool:
    """Tell whether an installation failed before it was planned: it has no Applications to be committed."""
    is_install = change.kind == Change.Kind.INSTALL and not change.commit
    return is_install and not Application.objects.filter(change=change).exists()


@use_case
def settle_change(*, change_id: Any, now: datetime) -> bool:
    """Close a committed Change as succeeded when its Applications are as it wants them at, or after, its commit.

    What was rolled back meanwhile is closed as such: that all is well after that is not its doing.
    """
    change = lock_change(change_id)
    if change.state not in {State.RECONCILING, State.FAILED} or not change.commit:
        return False
    if change.reverted_by.exclude(commit="").exists():
        return _close_rolled_back(change, now=now)
    if not is_done(change):
        return False
    succeed(change, list(applications_of(change).values_list("slug", flat=True)), now=now)
    return True


def _close_rolled_back(change: Change, *, now: datetime) -> bool:
    if change.state == State.FAILED:
        return False
    reason = _("It was rolled back before it was done.")
    move(change, State.SUPERSEDED, status_reason=reason, finished_at=now)
    resolve_subject(kinds=["change_failed", "change_late"], subject=incident_subject(change))
    publish(change, "change.superseded", applications=[], status_reason=reason)
    return True


def is_done(change: Change) -> bool:
    """Tell whether the cluster has done what a committed Change wants. One whose Applications went again never is."""
    if waiting_for(change):
        return False
    return applications_of(change).exists() or not Application.objects.filter(change=change).exists()


def succeed(change: Change, slugs: list[str], *, now: datetime) -> None:
    """Close a Change as done and tell it, also in terms of the Order; call inside a transaction."""
    move(change, State.SUCCEEDED, finished_at=now, status_reason="")
    resolve_subject(kinds=["change_failed", "change_late"], subject=incident_subject(change))
    publish(change, "change.succeeded", applications=slugs)
    if change.order_number:
        outbox.publish(
            topic="order.ready",
            key=f"order.ready:{change.order_number}",
            stream=organization_stream(change.organization),
            payload={
                "order": change.order_number,
                "organization": change.organization_id,
                "buyer": change.author_id,
                "environment": change.environment.name,
                "change": str(change.pk),
                "commit": change.commit,
                "applications": slugs,
                "status": "ready",
            },
        )


def lock_change(change_id: Any) -> Change:
    """Lock one Change and return it with what its events name; call inside a transaction."""
    changes = Change.objects.select_related("environment", "organization", "author", "preview")
    return changes.select_for_update(of=("self",), no_key=True).get(pk=change_id)


def settleable(environment_id: int | None = None) -> list[Any]:
    """Return the committed Changes that wait for the cluster's word.

    For one Environment, of which something new was heard, also those that we gave up.
    """
    waiting = Q(state=State.RECONCILING)
    if environment_id is not None:
        waiting = (waiting | (Q(state=State.FAILED) & ~Q(commit=""))) & Q(environment_id=environment_id)
    return list(Change.objects.filter(waiting).order_by("created_at").values_list("pk", flat=True))


def _is_replaced(change: Change) -> bool:
    """Tell whether younger news makes this Change wrong. What removes Applications stays right."""
    if change.kind in REMOVALS:
        return False
    is_newer = is_offboarded_since if change.kind == Change.Kind.INSTALL else has_newer_standing
    return is_newer(change.environment_id, change.log_sequence)
