"""Who belongs to an Organization, and as what.

Every change locks the Organization's row first: what the actor may do, and whether an administrator is left, is read
under that lock.
"""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from catalyst.core import names, outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound, PermissionRefused
from tenancy.models import ApiToken, Membership, Organization, User
from tenancy.selectors.permissions import has_role, permissions_of
from tenancy.services.audit import append_audit, organization_stream

#: Only these can be limited to Environments. Source: docs/permissions.md.
LIMITED_ROLES: Final = frozenset({Membership.Role.DEVELOPER, Membership.Role.VIEWER})


class LastAdministrator(DomainError):
    code = "last_administrator"
    status = HTTPStatus.CONFLICT


class OwnMembership(DomainError):
    code = "own_membership"
    status = HTTPStatus.FORBIDDEN


class AboveOwnRole(DomainError):
    """The actor's own membership is smaller, in rights, Environments or time, than the one in question."""

    code = "above_own_role"
    status = HTTPStatus.FORBIDDEN


class RoleRefused(DomainError):
    """There is no such membership: its role, Environments or end cannot be."""

    code = "role_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class RoleHeld(DomainError):
    """The person has this role already, by another membership."""

    code = "role_held"
    status = HTTPStatus.CONFLICT


def grant_role(
    *,
    organization: Organization,
    user: User,
    role: str,
    actor: User | str,
    env_types: Sequence[str] | None = None,
    expires_at: datetime | None = None,
) -> Membership:
    """Give a person one role; call inside a transaction. A role that is already held stays as it is."""
    membership, created = Membership.objects.get_or_create(
        organization=organization,
        user=user,
        role=role,
        defaults={"env_types": list(env_types) if env_types is not None else None, "expires_at": expires_at},
    )
    if created:
        append_audit(
            stream=organization_stream(organization),
            actor=actor,
            action="membership.granted",
            target=f"user:{user.uuid}",
            detail={"role": role, "env_types": membership.env_types},
        )
    return membership


@transaction.atomic(durable=True)
def add_member(
    *,
    organization: Organization,
    user: User,
    role: str,
    actor: User | str,
    env_types: Sequence[str] | None = None,
    expires_at: datetime | None = None,
) -> Membership:
    """Make a person a member of the Organization."""
    return grant_role(
        organization=organization, user=user, role=role, actor=actor, env_types=env_types, expires_at=expires_at
    )


@use_case
def change_membership(
    *,
    membership_id: int,
    role: str,
    env_types: Sequence[str] | None,
    expires_at: datetime | None,
    actor: User,
    now: datetime,
) -> Membership:
    """Give a member another role, other Environments (None: all) or another end (None: none).

    It holds from the person's next request on; open streams end within a minute. What is as it was writes nothing.

    :raises NotFound: the membership ended meanwhile.
    :raises OwnMembership: people do not edit their own membership.
    :raises LastAdministrator: the Organization would have no lasting administrator left.
    :raises PermissionRefused: the actor may not do this any more.
    :raises AboveOwnRole: what it was, or what it would be, is more than the actor's own.
    :raises RoleRefused: such a membership cannot be.
    :raises RoleHeld: the person has this role already, by another membership.
    """
    check_terms(role=role, env_types=env_types, expires_at=expires_at, now=now)
    membership = _lock(membership_id, actor)
    before, after = _terms(membership), (role, _sorted(env_types), expires_at)
    if before == after:
        return membership
    if not _is_lasting_admin(*after):
        _check_administrator_stays(membership)
    organization = membership.organization
    check_grant(organization, actor, "member.change_role", *before)
    check_grant(organization, actor, "member.change_role", *after)
    _make_way(membership, role)
    membership.role, membership.env_types, membership.expires_at = role, after[1], expires_at
    membership.save(update_fields=["role", "env_types", "expires_at"])
    _tell(membership, "member.changed", "membership.changed", actor, before=_words(*before), after=_words(*after))
    return membership


@use_case
def remove_membership(*, membership_id: int, actor: User | str) -> None:
    """Take one role away; it ends on the person's next request.

    With the last one, the person's tokens of this Organization are closed, too.

    :raises NotFound: it ended meanwhile.
    :raises OwnMembership: people do not edit their own membership.
    :raises LastAdministrator: the Organization would have no lasting administrator left.
    :raises PermissionRefused: the actor may not do this any more.
    :raises AboveOwnRole: it is more than the actor's own.
    """
    membership = _lock(membership_id, actor)
    _check_administrator_stays(membership)
    if isinstance(actor, User):
        check_grant(membership.organization, actor, "member.remove", *_terms(membership))
    _end(membership, actor)


@use_case
def leave_organization(*, organization: Organization, user: User) -> None:
    """End all of a person's own memberships here.

    :raises NotFound: the person does not belong to it any more.
    :raises LastAdministrator: the Organization would have no lasting administrator left.
    """
    lock_organization(organization.pk)
    own = list(
        Membership.objects.filter(organization=organization, user=user)
        .select_related("user", "organization")
        .order_by("pk")
    )
    if not own:
        raise NotFound(_("Not found."))
    for membership in own:
        _check_administrator_stays(membership)
        _end(membership, user)


def check_terms(*, role: str, env_types: Sequence[str] | None, expires_at: datetime | None, now: datetime) -> None:
    """Check that a membership can be like this.

    :raises RoleRefused: no such role, no such Environment, a limit that the role does not have, or an end in the past.
    """
    if role not in Membership.Role.values:
        raise RoleRefused(_("There is no such role. Choose one of the list."), pointer="/role")
    if env_types is not None:
        if role not in LIMITED_ROLES:
            text = _("Only developers and viewers can be limited to Environments. Choose all, or another role.")
            raise RoleRefused(text, pointer="/env_types")
        if not env_types or set(env_types) - set(names.ENVIRONMENT_TYPES):
            raise RoleRefused(_("Choose at least one Environment, of those that there are."), pointer="/env_types")
    if expires_at is not None and expires_at <= now:
        raise RoleRefused(_("The end lies in the past. Choose a later day, or none."), pointer="/expires_at")


def check_grant(
    organization: Organization,
    actor: User,
    permission: str,
    role: str,
    env_types: Sequence[str] | None,
    expires_at: datetime | None,
) -> None:
    """Check that the actor holds ``permission`` and all of what is granted; call with the Organization locked.

    :raises PermissionRefused: the actor does not hold the permission.
    :raises AboveOwnRole: it is wider than the actor's own: in rights, in Environments, or in time.
    """
    own = list(Membership.objects.live().filter(organization=organization, user=actor, user__is_active=True))
    roles = [each.role for each in own]
    if not has_role(roles, permission):
        raise PermissionRefused(_("Your role does not allow this."))
    is_within = permissions_of([role]) <= permissions_of(roles)
    if not (
        is_within and any(_covers(each, env_types, expires_at) for each in own if has_role([each.role], permission))
    ):
        raise AboveOwnRole(_("This is more than you may do yourself. Ask an administrator without limits."))


def _covers(own: Membership, env_types: Sequence[str] | None, expires_at: datetime | None) -> bool:
    reaches = own.env_types is None or (env_types is not None and set(env_types) <= set(own.env_types))
    lasts = own.expires_at is None or (expires_at is not None and expires_at <= own.expires_at)
    return reaches and lasts


def lock_organization(organization_id: int) -> None:
    """Let one change of an Organization's people go first: two administrators may remove each other; a step."""
    Organization.objects.select_for_update(of=("self",), no_key=True).get(pk=organization_id)


def _lock(membership_id: int, actor: User | str) -> Membership:
    """Return the membership as it is once the Organization is locked."""
    rows = Membership.objects.select_related("user", "organization")
    found = rows.filter(pk=membership_id).first()
    if found is None:
        raise NotFound(_("Not found."))
    if isinstance(actor, User) and actor.pk == found.user_id:
        raise OwnMembership(_("Ask another administrator to change your own role."))
    lock_organization(found.organization_id)
    membership = rows.filter(pk=membership_id).first()
    if membership is None:
        raise NotFound(_("Not found."))
    return membership


def _check_administrator_stays(membership: Membership) -> None:
    """Check that an administrator is left when this membership goes, and one without an end if it has none itself."""
    if membership.role != Membership.Role.ADMIN:
        return
    others = Membership.objects.live().filter(
        organization=membership.organization_id, role=Membership.Role.ADMIN, user__is_active=True
    )
    others = others.exclude(pk=membership.pk)
    if _is_lasting_admin(*_terms(membership)):
        others = others.filter(expires_at__isnull=True, env_types__isnull=True)
    if not others.exists():
        raise LastAdministrator(_("The last administrator stays. Make somebody else administrator first."))


def _make_way(membership: Membership, role: str) -> None:
    """Check that the person does not have the role by another membership; one that ended goes."""
    same = Membership.objects.filter(organization=membership.organization_id, user=membership.user_id, role=role)
    same = same.exclude(pk=membership.pk)
    if same.live().exists():
        raise RoleHeld(_("This person has that role already. Remove one of the two first."), pointer="/role")
    same.delete()


def _end(membership: Membership, actor: User | str) -> None:
    """Delete a membership and, with a person's last one, close the person's tokens of the Organization."""
    organization, user, role = membership.organization, membership.user, membership.role
    _tell(membership, "member.removed", "membership.removed", actor, role=role)
    membership.delete()
    if not Membership.objects.filter(organization=organization, user=user).exists():
        ApiToken.objects.filter(organization=organization, user=user, revoked_at__isnull=True).update(revoked_at=Now())


def _tell(membership: Membership, topic: str, action: str, actor: User | str, **detail: Any) -> None:
    stream = organization_stream(membership.organization)
    seq = append_audit(stream=stream, actor=actor, action=action, target=f"user:{membership.user.uuid}", detail=detail)
    outbox.publish(
        topic=topic,
        key=f"{topic}:{membership.organization_id}:{seq}",
        stream=stream,
        payload={"membership": str(membership.uuid), "member": str(membership.user.uuid), "role": membership.role},
    )


def _terms(membership: Membership) -> tuple[str, list[str] | None, datetime | None]:
    return membership.role, _sorted(membership.env_types), membership.expires_at


def _words(role: str, env_types: list[str] | None, expires_at: datetime | None) -> dict[str, Any]:
    return {"role": role, "env_types": env_types, "expires_at": expires_at}


def _sorted(env_types: Sequence[str] | None) -> list[str] | None:
    return sorted(set(env_types)) if env_types is not None else None


def _is_lasting_admin(role: str, env_types: Sequence[str] | None, expires_at: datetime | None) -> bool:
    return role == Membership.Role.ADMIN and env_types is None and expires_at is None
