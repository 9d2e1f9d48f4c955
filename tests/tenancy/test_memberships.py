"""Giving and taking roles."""

from typing import Any

import pytest

from tenancy.models import AuditEntry, Membership, User
from tenancy.services.memberships import LastAdministrator, OwnMembership, add_member, remove_membership
from tenancy.services.staff import OwnStaffRole, StaffRoleUnknown, set_staff_role
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_adding_twice_keeps_one_row_and_one_audit_row(organization: Any) -> None:
    user = UserFactory.create()

    for _ in range(2):
        add_member(organization=organization, user=user, role="org-viewer", actor="test")

    assert Membership.objects.filter(user=user).count() == AuditEntry.objects.count() == 1


def test_the_last_administrator_stays(organization: Any, org_admin: Any) -> None:
    membership = Membership.objects.get(user=org_admin)

    with pytest.raises(LastAdministrator):
        remove_membership(membership_id=membership.pk, actor="test")

    assert Membership.objects.filter(pk=membership.pk).exists()
    assert AuditEntry.objects.count() == 0


def test_nobody_removes_themselves(organization: Any, org_admin: Any) -> None:
    MembershipFactory.create(organization=organization)

    with pytest.raises(OwnMembership):
        remove_membership(membership_id=Membership.objects.get(user=org_admin).pk, actor=org_admin)

    assert Membership.objects.count() == 2


def test_removes_another_administrator(organization: Any, org_admin: Any) -> None:
    other = MembershipFactory.create(organization=organization)

    remove_membership(membership_id=other.pk, actor=org_admin)

    assert [membership.user for membership in Membership.objects.all()] == [org_admin]
    assert AuditEntry.objects.get().action == "membership.removed"


def test_staff_roles_are_set_with_an_audit_row() -> None:
    user = UserFactory.create()

    set_staff_role(user_id=user.pk, role="support-agent", groups=["finance"], actor="test")

    assert User.objects.get().staff_groups == ["finance"]
    assert AuditEntry.objects.get().detail["after"] == {"role": "support-agent", "groups": ["finance"]}


@pytest.mark.parametrize(("role", "groups"), [("root", []), ("support-agent", ["everything"])])
def test_unknown_staff_roles_are_refused(role: Any, groups: Any) -> None:
    user = UserFactory.create()

    with pytest.raises(StaffRoleUnknown):
        set_staff_role(user_id=user.pk, role=role, groups=groups, actor="test")

    assert User.objects.get().staff_role == ""


def test_nobody_sets_their_own_staff_role() -> None:
    user = UserFactory.create()

    with pytest.raises(OwnStaffRole):
        set_staff_role(user_id=user.pk, role="sovereign-admin", actor=user)

    assert User.objects.get().staff_role == ""
