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
    "member.change_role": frozenset({OA}),
    "member.remove": frozenset({OA}),
    "member.leave": frozenset({OA, OD, OV, BA, SO}),
    "token.create": frozenset({OA}),
    "token.revoke": frozenset({OA, SO}),
    "environment.view": frozenset({OA, OD, OV, BA, SO}),
    "environment.create": frozenset({OA}),
    "environment.delete": frozenset({OA}),
    "organization.delete": frozenset({OA}),
    "domain.view": frozenset({OA, OD, OV, SO}),
    "domain.verify": frozenset({OA}),
    "job.view": frozenset({OA, OD, OV, SO}),
    "job.cancel": frozenset({OA}),
    "application.purge": frozenset({OA}),
    "delete_protection.set": frozenset({OA, OD}),
    "delete_protection.lift": frozenset({OA}),
    "application.view": frozenset({OA, OD, OV, SO}),
    "change.preview": frozenset({OA, OD}),
    "change.apply": frozenset({OA, OD}),
    "change.retry": frozenset({OA, OD}),
    # Of these the policy of an Environment names who approves there.
    "change.approve": frozenset({OA, OD, SO}),
    # Only where the Sovereign lets them.
    "environment_policy.edit": frozenset({OA}),
    "secret.write": frozenset({OA, OD}),
    "secret.rotate": frozenset({OA, OD, SO}),
    "git.read": frozenset({OA, OD, OV, SO}),
    "git.push": frozenset({OA, OD}),
    "blueprint.publish": frozenset({OA, OD}),
    "billing.view": frozenset({OA, OV, BA}),
    "checkout.create": frozenset({OA, BA}),
    "voucher.redeem": frozenset({OA, BA}),
    "subscription.change": frozenset({OA, BA}),
    "billing.edit": frozenset({OA, BA}),
    "audit.view": frozenset({OA, OD, OV, SO}),
    "audit.export": frozenset({OA, SO}),
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
    "environment_policy.manage": frozenset({SA}),
    "subscription.manage": frozenset({SA, SU}),
    "refund.issue": frozenset({SA, f"{SU}/finance"}),
    "credit.grant": frozenset({SA, f"{SU}/finance"}),
    "report.view": frozenset({SA, f"{SU}/finance"}),
    "incident.view": frozenset({SA, SU}),
    "incident.resolve": frozenset({SA, SU}),
    "organization.list": frozenset({SA, SU}),
    "platform.view": frozenset({SA, SU}),
    "organization.suspend": frozenset({SA}),
    "job.retry": frozenset({SA, SU}),
    "settings.payment": frozenset({SA}),
    "settings.sovereign": frozenset({SA}),
    "catalogue.curate": frozenset({SA, f"{SU}/catalog"}),
    "catalogue.view": frozenset({SA, SU}),
    "blueprint.draft": frozenset({SA, f"{SU}/catalog"}),
    "blueprint.publish_sovereign": frozenset({SA, f"{SU}/catalog"}),
    "staff.manage": frozenset({SA}),
}


#: What a person does in a session of their own; no token manages members or tokens, whatever its scopes.
PERSON_ONLY = frozenset(
    {"member.invite", "member.change_role", "member.remove", "member.leave", "token.create", "token.revoke"}
)

#: Together, as two people, they skip the soak and the window of a policy.
EMERGENCY_ROLES = (OA, SO)


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


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """Return everything that these roles may do together inside one Organization."""
    held = set(roles)
    return frozenset(name for name, holders in ORGANIZATION_PERMISSIONS.items() if holders & held)


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

    No scopes means all of the owner's permissions but those of ``PERSON_ONLY``. A token of one Environment type answers
    for no other.
    """
    if permission in PERSON_ONLY or (token.scopes and permission not in token.scopes):
        return False
    return not (token.env_type and env_type and token.env_type != env_type)
