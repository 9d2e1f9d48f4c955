"""Who may do what: one table, asked by one function. Deny is the default.

Role names appear only here. ``can`` answers for a person; a token narrows it further (``token_allows``).
Source: docs/permissions.md.
"""

from collections.abc import Iterable
from typing import Any

from tenancy.models import ApiToken, Membership, Organization, User

OA, OD, OV = "org-admin", "org-developer", "org-viewer"
BA, SO = "billing-admin", "security-officer"
SA, SU = "sovereign-admin", "support-agent"

#: Permissions inside one Organization, and the membership roles that hold them.
ORGANIZATION_PERMISSIONS: dict[str, frozenset[str]] = {
    "organization.view": frozenset({OA, OD, OV, BA, SO}),
    "member.view": frozenset({OA, OD, OV, BA, SO}),
    "member.invite": frozenset({OA}),
    "token.create": frozenset({OA}),
    "environment.view": frozenset({OA, OD, OV, BA, SO}),
    "environment.create": frozenset({OA}),
    "application.view": frozenset({OA, OD, OV, SO}),
    "change.preview": frozenset({OA, OD}),
    "change.apply": frozenset({OA, OD}),
    "secret.write": frozenset({OA, OD}),
    "git.read": frozenset({OA, OD, OV, SO}),
    "blueprint.publish": frozenset({OA, OD}),
    "billing.view": frozenset({OA, OV, BA}),
    "checkout.create": frozenset({OA, BA}),
    "voucher.redeem": frozenset({OA, BA}),
    "subscription.change": frozenset({OA, BA}),
    "billing.edit": frozenset({OA, BA}),
    "audit.view": frozenset({OA, OD, OV, SO}),
}

#: Permissions of the Sovereign's staff, by staff role or ``<role>/<group>``.
SOVEREIGN_PERMISSIONS: dict[str, frozenset[str]] = {
    "voucher.issue": frozenset({SA, f"{SU}/finance"}),
    "voucher.revoke": frozenset({SA, f"{SU}/finance"}),
    "voucher.list": frozenset({SA, f"{SU}/finance"}),
    "billing.view_all": frozenset({SA, SU}),
    "checkout.recheck": frozenset({SA, SU}),
    "event.replay": frozenset({SA, SU}),
    "change.retry": frozenset({SA, SU}),
    "subscription.manage": frozenset({SA, SU}),
    "refund.issue": frozenset({SA, f"{SU}/finance"}),
    "credit.grant": frozenset({SA, f"{SU}/finance"}),
    "report.view": frozenset({SA, f"{SU}/finance"}),
    "incident.view": frozenset({SA, SU}),
    "incident.resolve": frozenset({SA, SU}),
    "organization.list": frozenset({SA, SU}),
    "settings.payment": frozenset({SA}),
    "settings.sovereign": frozenset({SA}),
    "catalogue.curate": frozenset({SA, f"{SU}/catalog"}),
    "catalogue.view": frozenset({SA, SU}),
    "blueprint.draft": frozenset({SA, f"{SU}/catalog"}),
    "blueprint.publish_sovereign": frozenset({SA, f"{SU}/catalog"}),
    "staff.manage": frozenset({SA}),
}


def can(user: Any, permission: str, organization: Organization | None = None) -> bool:
    """Answer whether this person may; with an Organization, through a live membership there.

    :raises LookupError: the permission is not in the table, which is a bug of the caller.
    """
    if organization is not None:
        return bool(ORGANIZATION_PERMISSIONS[permission] & _roles_in(user, organization))
    return bool(SOVEREIGN_PERMISSIONS[permission] & _staff_keys(user))


def has_role(roles: Iterable[str], permission: str) -> bool:
    """Answer for roles that the caller has already read, to save a query on a hot path."""
    return bool(ORGANIZATION_PERMISSIONS[permission] & set(roles))


def _roles_in(user: Any, organization: Organization) -> set[str]:
    if not user.is_authenticated or not user.is_active:
        return set()
    return set(Membership.objects.live().filter(user=user, organization=organization).values_list("role", flat=True))


def _staff_keys(user: Any) -> set[str]:
    if not isinstance(user, User) or not user.is_active or not user.staff_role:
        return set()
    return {user.staff_role, *(f"{user.staff_role}/{group}" for group in user.staff_groups)}


def token_allows(token: ApiToken, permission: str, *, env_type: str | None = None) -> bool:
    """Answer whether a token's own limits leave room for this; the owner's rights are asked besides.

    No scopes means all of the owner's permissions. A token of one Environment type answers for no other.
    """
    if token.scopes and permission not in token.scopes:
        return False
    return not (token.env_type and env_type and token.env_type != env_type)
