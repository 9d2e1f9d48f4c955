"""Organizations, Environments and members as their members see them."""

from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from tenancy.models import Environment, Membership, Organization

#: The roles that a query of this module put on an Organization.
ROLES_ATTRIBUTE = "member_roles"


def organizations_of(user: Any, *, env_type: str | None = None) -> QuerySet[Organization]:
    """Return the person's Organizations, each with the person's live roles there, in one query.

    With ``env_type`` only memberships count that reach this Environment type.
    """
    live = Q(memberships__user=user.pk) & (
        Q(memberships__expires_at__isnull=True) | Q(memberships__expires_at__gt=Now())
    )
    if env_type is not None:
        live &= Q(memberships__env_types__isnull=True) | Q(memberships__env_types__contains=[env_type])
    return (
        Organization.objects.live()
        .filter(live)
        .annotate(**{ROLES_ATTRIBUTE: ArrayAgg("memberships__role", distinct=True)})
    )


def visible_env_types(user: Any, organization: Organization) -> frozenset[str] | None:
    """Return the Environment types that this member may see; None means every one, an empty set none."""
    scopes = list(
        Membership.objects.live().filter(user=user.pk, organization=organization).values_list("env_types", flat=True)
    )
    if any(scope is None for scope in scopes):
        return None
    return frozenset(env_type for scope in scopes for env_type in scope or ())


def list_environments(organization: Organization, *, env_types: frozenset[str] | None) -> QuerySet[Environment]:
    """Return the Organization's Environments within a member's scope (None: all)."""
    environments = Environment.objects.filter(organization=organization)
    return environments if env_types is None else environments.filter(env_type__in=sorted(env_types))


def list_members(organization: Organization) -> QuerySet[Membership]:
    """Return the live memberships with their people."""
    return Membership.objects.live().filter(organization=organization).select_related("user")
