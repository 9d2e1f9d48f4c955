"""Who belongs to an Organization, and as what."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus

from django.db import transaction
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from tenancy.models import Membership, Organization, User
from tenancy.services.audit import append_audit, organization_stream


class LastAdministrator(DomainError):
    code = "last_administrator"
    status = HTTPStatus.CONFLICT


class OwnMembership(DomainError):
    code = "own_membership"
    status = HTTPStatus.FORBIDDEN


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


@transaction.atomic(durable=True)
def remove_membership(*, membership_id: int, actor: User | str) -> None:
    """Take one role away; it ends on the person's next request.

    :raises OwnMembership: people do not edit their own membership.
    :raises LastAdministrator: the Organization would have no administrator left.
    """
    membership = Membership.objects.select_related("user", "organization").get(pk=membership_id)
    if isinstance(actor, User) and actor.pk == membership.user_id:
        raise OwnMembership(_("Ask another administrator to change your own role."))
    # The Organization's row is the lock: two administrators may remove each other at once.
    organization = Organization.objects.select_for_update(of=("self",)).get(pk=membership.organization_id)
    administrators = Membership.objects.live().filter(organization=organization, role=Membership.Role.ADMIN)
    is_last = not administrators.exclude(pk=membership.pk).exists()
    if membership.role == Membership.Role.ADMIN and is_last:
        raise LastAdministrator(_("The last administrator stays. Make somebody else administrator first."))
    append_audit(
        stream=organization_stream(organization),
        actor=actor,
        action="membership.removed",
        target=f"user:{membership.user.uuid}",
        detail={"role": membership.role},
    )
    membership.delete()
