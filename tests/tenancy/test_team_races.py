"""Two at once about the people of an Organization. Each test runs again without the lock, and then it must fail."""

import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tenancy.models import Membership, Organization
from tenancy.services import invitation_answers, memberships
from tenancy.services.invitation_answers import accept_invitation
from tenancy.services.invitations import invite_member, link_secret
from tenancy.services.memberships import change_membership, leave_organization
from tests.factories import MembershipFactory, OrganizationFactory, UserFactory
from tests.tenancy.test_races import _race

pytestmark = pytest.mark.django_db(transaction=True)


def _meet_after(monkeypatch: Any, module: Any, name: str) -> None:
    """Let both wait for each other once they have checked; where a lock lets only one in, it goes on alone."""
    check, barrier = getattr(module, name), threading.Barrier(2)

    def checked(*arguments: Any) -> None:
        check(*arguments)
        with suppress(threading.BrokenBarrierError):
            barrier.wait(0.3)

    monkeypatch.setattr(module, name, checked)


@pytest.mark.parametrize("is_locked", [True, False])
@pytest.mark.parametrize("second_leaves", [True, False], ids=["both leave", "one is demoted"])
def test_an_administrator_is_left(is_locked: bool, second_leaves: bool, monkeypatch: Any) -> None:
    first = MembershipFactory.create(organization=OrganizationFactory.create())
    second = MembershipFactory.create(organization=first.organization)
    _meet_after(monkeypatch, memberships, "_check_administrator_stays")
    if not is_locked:
        monkeypatch.setattr(memberships, "lock_organization", lambda organization_id: None)

    def leave(membership: Membership) -> None:
        leave_organization(organization=membership.organization, user=membership.user)

    def demote() -> None:
        change_membership(
            membership_id=second.pk,
            role="org-viewer",
            env_types=None,
            expires_at=None,
            actor=first.user,
            now=timezone.now(),
        )

    outcomes = _race(lambda: leave(first), lambda: leave(second) if second_leaves else demote())

    left = Membership.objects.filter(organization=first.organization, role="org-admin").count()
    assert (outcomes.count("done"), left) == ((1, 1) if is_locked else (2, 0))


@pytest.mark.parametrize("is_locked", [True, False])
def test_an_invitation_works_once(is_locked: bool, monkeypatch: Any) -> None:
    admin = MembershipFactory.create(organization=OrganizationFactory.create())
    organization: Organization = admin.organization
    person, now = UserFactory.create(), timezone.now()
    invited = invite_member(organization=organization, email=person.email, role="org-viewer", actor=admin.user, now=now)
    secret = link_secret(invited)
    _meet_after(monkeypatch, invitation_answers, "_check_inviter")
    if not is_locked:
        monkeypatch.setattr(invitation_answers, "lock_organization", lambda organization_id: None)

    def accept() -> None:
        accept_invitation(secret=secret, user=person, now=now + timedelta(seconds=1))

    assert _race(accept, accept) == (["done", "invitation_used"] if is_locked else ["done", "done"])
    assert Membership.objects.filter(user=person).count() == 1
