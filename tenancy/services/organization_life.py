"""The later life of an Organization: suspended, resumed, deleted, and its name free again.

Each act is one transaction with its audit row and its event. Deletion itself is a Job's work, which calls the last two
steps here when it has seen everything gone. Source: docs/jobs.md.
"""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _

from catalyst.core import outbox
from catalyst.core.errors import DomainError, InvalidTransition
from tenancy.models import ApiToken, Invitation, Membership, Organization, User
from tenancy.services.audit import append_audit, organization_stream

#: How long nobody else gets the name of a deleted Organization. Source: docs/glossary.md, "Naming rules".
NAME_HOLD: Final = timedelta(days=90)
_LONGEST_REASON: Final = 500
State = Organization.State


class ReasonMissing(DomainError):
    """The members read why, so there has to be a why."""

    code = "reason_missing"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@transaction.atomic(durable=True)
def suspend_organization(*, organization_id: int, reason: str, actor: User | str, now: datetime) -> Organization:
    """Stop an Organization: its members read only, and what it runs pauses by commit.

    :raises ReasonMissing: ``reason`` is empty or longer than 500 characters; the members read it.
    :raises InvalidTransition: it is not active.
    """
    words = reason.strip()
    if not words or len(words) > _LONGEST_REASON:
        raise ReasonMissing(_("Say why, in at most 500 characters: the members read it."), pointer="/reason")
    return _move(organization_id, {State.ACTIVE}, State.SUSPENDED, actor=actor, now=now, reason=words)


@transaction.atomic(durable=True)
def resume_organization(*, organization_id: int, actor: User | str, now: datetime) -> Organization:
    """Let a suspended Organization work again; what paused only for this runs again by commit.

    :raises InvalidTransition: it is not suspended.
    """
    return _move(organization_id, {State.SUSPENDED}, State.ACTIVE, actor=actor, now=now)


def begin_deletion(*, organization_id: int, actor: User | str, now: datetime) -> Organization:
    """Close an Organization for everything new; call inside a transaction.

    :raises InvalidTransition: it is not active.
    """
    return _move(organization_id, {State.ACTIVE}, State.DELETING, actor=actor, now=now)


def give_up_deletion(*, organization_id: int, actor: User | str, now: datetime) -> Organization:
    """Open an Organization again whose deletion was stopped in time; call inside a transaction.

    :raises InvalidTransition: it is not being deleted.
    """
    return _move(organization_id, {State.DELETING}, State.ACTIVE, actor=actor, now=now)


@transaction.atomic(durable=True)
def revoke_access(*, organization_id: int, actor: User | str, now: datetime) -> tuple[int, int]:
    """End all memberships and tokens of an Organization that is being deleted; return how many of each.

    Safe to repeat. People keep their account, and what they hold in other Organizations.

    :raises InvalidTransition: it is not being deleted.
    """
    organization = _locked(organization_id)
    if organization.state != State.DELETING:
        raise InvalidTransition(_("This organization is not being deleted."))
    memberships = Membership.objects.filter(organization=organization)
    people = sorted({str(each) for each in memberships.values_list("user__uuid", flat=True)})
    ended = memberships.count()
    memberships.delete()
    closed = ApiToken.objects.filter(organization=organization, revoked_at__isnull=True).update(revoked_at=now)
    Invitation.objects.filter(organization=organization, accepted_at=None, revoked_at=None).update(revoked_at=now)
    if ended or closed:
        append_audit(
            stream=organization_stream(organization),
            actor=actor,
            action="organization.access_revoked",
            target=f"organization:{organization.uuid}",
            detail={"people": people, "tokens": closed},
        )
    return ended, closed


@transaction.atomic(durable=True)
def finish_deletion(*, organization_id: int, actor: User | str, now: datetime) -> Organization:
    """Mark an Organization as deleted; its name is held from now on. A repetition changes nothing.

    :raises InvalidTransition: it is not being deleted.
    """
    organization = _locked(organization_id)
    if organization.state == State.DELETED:
        return organization
    return _move(organization_id, {State.DELETING}, State.DELETED, actor=actor, now=now)


@transaction.atomic(durable=True)
def release_names(*, now: datetime) -> int:
    """Free the names of Organizations that were deleted 90 days ago; return how many."""
    held = Organization.objects.filter(state=State.DELETED, released_at__isnull=True, deleted_at__lte=now - NAME_HOLD)
    due = list(held.select_for_update(of=("self",), no_key=True, skip_locked=True))
    for organization in due:
        organization.released_at = now
        organization.save(update_fields=["released_at"])
        append_audit(
            stream=organization_stream(organization),
            actor="platform",
            action="organization.name_released",
            target=f"organization:{organization.uuid}",
            detail={"slug": organization.slug},
        )
    return len(due)


def _move(
    organization_id: int, allowed: set[State], to: State, *, actor: User | str, now: datetime, reason: str = ""
) -> Organization:
    organization = _locked(organization_id)
    if organization.state not in allowed:
        raise InvalidTransition(
            _("This organization is in another state: %(state)s.") % {"state": organization.get_state_display()}
        )
    before, organization.state, organization.state_reason = organization.state, to, reason
    if to == State.DELETED:
        organization.deleted_at = now
    organization.save(update_fields=["state", "state_reason", "deleted_at"])
    topic = _TOPICS[State(before), to]
    append_audit(
        stream=organization_stream(organization),
        actor=actor,
        action=topic,
        target=f"organization:{organization.uuid}",
        detail={"reason": reason} if reason else {},
    )
    outbox.publish(
        topic=topic,
        # It may happen again: each time is a fact of its own.
        key=f"{topic}:{organization.pk}:{int(now.timestamp() * 1_000_000)}",
        stream=organization_stream(organization),
        payload={"organization": organization.slug, "organization_id": organization.pk, "status": to, "reason": reason},
    )
    return organization


_TOPICS: Final = {
    (State.ACTIVE, State.SUSPENDED): "organization.suspended",
    (State.SUSPENDED, State.ACTIVE): "organization.resumed",
    (State.ACTIVE, State.DELETING): "organization.deleting",
    (State.DELETING, State.ACTIVE): "organization.kept",
    (State.DELETING, State.DELETED): "organization.deleted",
}


def _locked(organization_id: int) -> Organization:
    rows = Organization.objects.select_for_update(of=("self",), no_key=True)
    return rows.get(pk=organization_id)
