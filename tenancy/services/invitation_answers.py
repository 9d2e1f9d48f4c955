"""What the link of an invitation opens, and for whom: only for whoever reads the address that it was sent to.

To everybody else every link looks like one that does not exist, so a link that leaked, or a guess, says nothing.
Source: docs/team.md.
"""

from datetime import datetime
from http import HTTPStatus

from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from tenancy.models import Invitation, Membership, User
from tenancy.selectors.organization_state import check_active
from tenancy.services.invitations import hash_secret, record
from tenancy.services.memberships import check_grant, grant_role, lock_organization


class InvitationForAnother(DomainError):
    """No such link, or one for another address: both look the same."""

    code = "invitation_not_yours"
    status = HTTPStatus.NOT_FOUND


class InvitationExpired(DomainError):
    code = "invitation_expired"
    status = HTTPStatus.GONE


class InvitationWithdrawn(DomainError):
    """It was revoked, or nobody who may invite like this stands behind it any more."""

    code = "invitation_withdrawn"
    status = HTTPStatus.GONE


class InvitationUsed(DomainError):
    """``extra["organization"]`` is the slug of where it led, while the person belongs there."""

    code = "invitation_used"
    status = HTTPStatus.CONFLICT


class StaffCannotJoin(DomainError):
    """The Sovereign's staff hold no membership in a customer's Organization. Source: docs/permissions.md."""

    code = "staff_cannot_join"
    status = HTTPStatus.FORBIDDEN


def read_invitation(*, secret: str, user: User, now: datetime) -> Invitation:
    """Return the invitation that this person may accept now; reading it uses nothing up.

    :raises InvitationForAnother: there is none for the person's address.
    :raises InvitationUsed: it was accepted. :raises InvitationWithdrawn: it was revoked.
    :raises InvitationExpired: its seven days, or the time of the membership it would make, are over.
    :raises StaffCannotJoin: the person works for the Sovereign.
    """
    rows = Invitation.objects.select_related("organization", "invited_by")
    invitation = rows.filter(secret_hash=hash_secret(secret), email=user.email).first()
    if invitation is None:
        text = _(
            "There is no invitation for %(email)s here. Sign out, sign in with the address that the invitation was "
            "sent to, and open the link from the e-mail again."
        )
        raise InvitationForAnother(text % {"email": user.email})
    _check_open(invitation, user, now)
    return invitation


@use_case
def accept_invitation(*, secret: str, user: User, now: datetime) -> Membership:
    """Make the person a member as the invitation says; it works once.

    The Organization's row lets one of two browsers go first, and the second finds the invitation used.

    :raises InvitationForAnother, InvitationUsed, InvitationWithdrawn, InvitationExpired, StaffCannotJoin: as
        ``read_invitation``; withdrawn, too, once whoever sent it may not invite like this any more.
    :raises OrganizationSuspended, OrganizationDeleting: nobody joins now.
    """
    found = read_invitation(secret=secret, user=user, now=now)
    lock_organization(found.organization_id)
    invitation = Invitation.objects.select_related("organization", "invited_by").get(pk=found.pk)
    _check_open(invitation, user, now)
    organization = invitation.organization
    check_active(organization)
    _check_inviter(invitation)
    # A membership that ended stands in the way of the new one.
    Membership.objects.filter(organization=organization, user=user, expires_at__lte=now).delete()
    membership = grant_role(
        organization=organization,
        user=user,
        role=invitation.role,
        env_types=invitation.env_types,
        expires_at=invitation.member_until,
        actor=user,
    )
    invitation.accepted_at, invitation.accepted_by = now, user
    invitation.save(update_fields=["accepted_at", "accepted_by"])
    record(invitation, "invitation.accepted", actor=user, role=invitation.role, member=f"user:{user.uuid}")
    return membership


def _check_open(invitation: Invitation, user: User, now: datetime) -> None:
    if invitation.accepted_at is not None:
        is_member = Membership.objects.live().filter(organization=invitation.organization, user=user).exists()
        extra = {"organization": invitation.organization.slug} if is_member else {}
        raise InvitationUsed(_("You have accepted this invitation. It works once."), extra=extra)
    if invitation.revoked_at is not None:
        raise InvitationWithdrawn(_withdrawn())
    ends = [invitation.expires_at, *([invitation.member_until] if invitation.member_until else [])]
    if min(ends) <= now:
        raise InvitationExpired(_("This invitation has expired. Ask whoever invited you to send it again."))
    if user.staff_role:
        raise StaffCannotJoin(_("You work for the provider of this platform, so you cannot join an organization."))


def _check_inviter(invitation: Invitation) -> None:
    """Check that who sent it may still do so: an administrator who was removed lets nobody in afterwards."""
    terms = (invitation.role, invitation.env_types, invitation.member_until)
    try:
        check_grant(invitation.organization, invitation.invited_by, "member.invite", *terms)
    except DomainError:
        raise InvitationWithdrawn(_withdrawn()) from None


def _withdrawn() -> str:
    return _("This invitation was withdrawn. Ask an administrator of the organization for a new one.")
