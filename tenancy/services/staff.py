"""The Sovereign's staff."""

from collections.abc import Sequence
from http import HTTPStatus

from django.db import transaction
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from tenancy.models import User
from tenancy.services.audit import SOVEREIGN_STREAM, append_audit

STAFF_GROUPS = frozenset({"support-l1", "support-l2", "finance", "catalog"})


class StaffRoleUnknown(DomainError):
    code = "staff_role_unknown"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class OwnStaffRole(DomainError):
    code = "own_staff_role"
    status = HTTPStatus.FORBIDDEN


@transaction.atomic(durable=True)
def set_staff_role(*, user_id: int, role: str, actor: User | str, groups: Sequence[str] = ()) -> User:
    """Give a person a staff role (empty: none) with its groups.

    :raises StaffRoleUnknown: no such role or group.
    :raises OwnStaffRole: nobody changes their own role.
    """
    if role not in User.StaffRole.values or not STAFF_GROUPS.issuperset(groups):
        raise StaffRoleUnknown(_("There is no such staff role."))
    if isinstance(actor, User) and actor.pk == user_id:
        raise OwnStaffRole(_("Ask another administrator to change your own role."))
    user = User.objects.select_for_update(of=("self",)).get(pk=user_id)
    before = {"role": user.staff_role, "groups": user.staff_groups}
    after = {"role": role, "groups": sorted(groups)}
    if before != after:
        user.staff_role, user.staff_groups = role, sorted(groups)
        user.save(update_fields=["staff_role", "staff_groups"])
        append_audit(
            stream=SOVEREIGN_STREAM,
            actor=actor,
            action="staff.role_set",
            target=f"user:{user.uuid}",
            detail={"before": before, "after": after},
        )
    return user
