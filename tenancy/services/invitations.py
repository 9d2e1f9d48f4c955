"""Invitations into an Organization: sent, sent again, withdrawn. Accepting one is ``invitation_answers``.

The link holds a secret that is derived from the deployment's signing key, so that the mail can be written, and written
again, without the secret ever standing in the database or in the event log; the database has its hash.
Source: docs/team.md.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.core.signing import Signer
from django.utils.translation import gettext as _

from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound
from tenancy.models import Invitation, Membership, Organization, User
from tenancy.models.user import normalize_email
from tenancy.services.audit import append_audit, organization_stream
from tenancy.services.memberships import check_grant, check_terms, lock_organization

LIFETIME: Final = timedelta(days=7)
#: How soon the same mail may go out again, and how many an Organization begins in a day: nobody floods a mailbox.
RESEND_AFTER: Final = timedelta(minutes=5)
MOST_A_DAY: Final = 50
_SALT: Final = "tenancy.invitation"


class AlreadyMember(DomainError):
    code = "already_member"
    status = HTTPStatus.CONFLICT


class AlreadyInvited(DomainError):
    """The address has an invitation that still opens."""

    code = "already_invited"
    status = HTTPStatus.CONFLICT


class TooManyInvitations(DomainError):
    """``retry_after`` is in seconds."""

    code = "too_many_invitations"
    status = HTTPStatus.TOO_MANY_REQUESTS


def hash_secret(secret: str) -> bytes:
    """Return the form in which a link's secret is stored and looked up; 256 random-looking bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def link_secret(invitation: Invitation) -> str:
    """Return the secret of an invitation's link, also when the signing key has moved on since.

    :raises LookupError: no key that the deployment still has made it.
    """
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        secret = _derive(invitation, key)
        if hash_secret(secret) == bytes(invitation.secret_hash):
            return secret
    raise LookupError(f"The signing key of invitation {invitation.pk} is gone.")


@use_case
def invite_member(
    *,
    organization: Organization,
    email: str,
    role: str,
    actor: User,
    now: datetime,
    env_types: Sequence[str] | None = None,
    member_until: datetime | None = None,
) -> Invitation:
    """Invite an address, whether or not anybody has it yet; the mail goes out once the event is delivered.

    ``env_types`` None means every Environment, ``member_until`` None a membership without an end.

    :raises RoleRefused: such a membership cannot be.
    :raises PermissionRefused: the actor may not invite any more. :raises AboveOwnRole: it is more than the actor's own.
    :raises AlreadyMember: a member has this address. :raises AlreadyInvited: it has an invitation that still opens.
    :raises TooManyInvitations: the Organization has begun as many today as it may.
    """
    check_terms(role=role, env_types=env_types, expires_at=member_until, now=now)
    # The lock of memberships: an administrator who is being removed invites nobody any more.
    lock_organization(organization.pk)
    check_grant(organization, actor, "member.invite", role, env_types, member_until)
    _check_address(organization, normalize_email(email), now)
    _check_pace(organization, now)
    invitation = Invitation(
        organization=organization,
        email=normalize_email(email),
        role=role,
        env_types=sorted(set(env_types)) if env_types is not None else None,
        member_until=member_until,
        invited_by=actor,
        created_at=now,
        sent_at=now,
        expires_at=now + LIFETIME,
    )
    invitation.secret_hash = hash_secret(_derive(invitation, settings.SECRET_KEY))
    invitation.save(force_insert=True)
    _record_sent(invitation, actor)
    return invitation


@use_case
def resend_invitation(*, invitation_id: int, actor: User, now: datetime) -> Invitation:
    """Send the same link again; it opens for another seven days, on the word of whoever sends it now.

    :raises NotFound: it was accepted or withdrawn meanwhile.
    :raises PermissionRefused, AboveOwnRole: the actor may not invite like this.
    :raises RoleRefused: the membership that it would make has ended meanwhile.
    :raises TooManyInvitations: it was sent a moment ago.
    """
    invitation = _lock_open(invitation_id)
    terms = (invitation.role, invitation.env_types, invitation.member_until)
    check_terms(role=terms[0], env_types=terms[1], expires_at=terms[2], now=now)
    check_grant(invitation.organization, actor, "member.invite", *terms)
    ready_at = invitation.sent_at + RESEND_AFTER
    if now < ready_at:
        text = _("This invitation was sent a moment ago. Wait five minutes before you send it again.")
        raise TooManyInvitations(text, retry_after=int((ready_at - now).total_seconds()) + 1)
    invitation.sent_at, invitation.expires_at, invitation.invited_by = now, now + LIFETIME, actor
    invitation.sent_count += 1
    invitation.save(update_fields=["sent_at", "expires_at", "invited_by", "sent_count"])
    _record_sent(invitation, actor)
    return invitation


@use_case
def revoke_invitation(*, invitation_id: int, actor: User, now: datetime) -> None:
    """Withdraw an invitation; its link opens nothing from now on.

    :raises NotFound: it was accepted or withdrawn meanwhile.
    :raises PermissionRefused, AboveOwnRole: the actor may not invite like this.
    """
    invitation = _lock_open(invitation_id)
    terms = (invitation.role, invitation.env_types, invitation.member_until)
    check_grant(invitation.organization, actor, "member.invite", *terms)
    _revoke(invitation, now)
    record(invitation, "invitation.revoked", actor=actor, role=invitation.role)


def record(invitation: Invitation, topic: str, *, actor: User, **detail: Any) -> None:
    """Publish what happened to an invitation and note who did it; a step. The address stands in neither."""
    stream = organization_stream(invitation.organization)
    seq = append_audit(stream=stream, actor=actor, action=topic, target=f"invitation:{invitation.uuid}", detail=detail)
    outbox.publish(
        topic=topic,
        key=f"{topic}:{invitation.organization_id}:{seq}",
        stream=stream,
        payload={"invitation": str(invitation.uuid), "role": invitation.role},
    )


def _record_sent(invitation: Invitation, actor: User) -> None:
    terms = {"role": invitation.role, "env_types": invitation.env_types, "member_until": invitation.member_until}
    record(invitation, "invitation.sent", actor=actor, **terms, times=invitation.sent_count)


def _check_address(organization: Organization, address: str, now: datetime) -> None:
    """Check that nobody here has the address; an invitation whose time is over makes way."""
    if Membership.objects.live().filter(organization=organization, user__email=address).exists():
        raise AlreadyMember(_("This person belongs to the organization. Change their role instead."), pointer="/email")
    earlier = Invitation.objects.open().filter(organization=organization, email=address).first()
    if earlier is None:
        return
    if earlier.expires_at > now:
        text = _("This address has an invitation already. Send it again, or withdraw it first.")
        raise AlreadyInvited(text, pointer="/email")
    _revoke(earlier, now)


def _check_pace(organization: Organization, now: datetime) -> None:
    if (
        Invitation.objects.filter(organization=organization, created_at__gt=now - timedelta(days=1)).count()
        >= MOST_A_DAY
    ):
        text = _("You have invited %(number)s people within a day, which is as many as you can. Try again tomorrow.")
        raise TooManyInvitations(text % {"number": MOST_A_DAY}, retry_after=int(timedelta(hours=1).total_seconds()))


def _revoke(invitation: Invitation, now: datetime) -> None:
    invitation.revoked_at = now
    invitation.save(update_fields=["revoked_at"])


def _lock_open(invitation_id: int) -> Invitation:
    rows = Invitation.objects.select_related("organization")
    found = rows.filter(pk=invitation_id).first()
    if found is not None:
        lock_organization(found.organization_id)
    invitation = rows.open().filter(pk=invitation_id).first()
    if invitation is None:
        raise NotFound(_("This invitation is not open any more. It was accepted or withdrawn."))
    return invitation


def _derive(invitation: Invitation, key: str | bytes) -> str:
    return Signer(key=key, salt=_SALT).signature(str(invitation.uuid))
