"""Inviting people: who may, whom, how often, and the mail that goes out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail

from catalyst.core import outbox
from catalyst.core.errors import NotFound, PermissionRefused
from catalyst.core.models import Delivery, Outbox
from tenancy.models import AuditEntry, Invitation, Membership, Organization, Sovereign, User
from tenancy.services import invitations
from tenancy.services.invitations import (
    AlreadyInvited,
    AlreadyMember,
    TooManyInvitations,
    invite_member,
    link_secret,
    resend_invitation,
    revoke_invitation,
)
from tenancy.services.memberships import AboveOwnRole, RoleRefused
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
ADDRESS = "sara@example.com"


def invite(organization: Organization, actor: User, **terms: Any) -> Invitation:
    asked = {"email": ADDRESS, "role": "org-viewer", "now": NOW, **terms}
    return invite_member(organization=organization, actor=actor, **asked)


def deliver(consumer: str) -> None:
    outbox.relay_once()
    for delivery_id in Delivery.objects.filter(consumer=consumer, state="pending").values_list("pk", flat=True):
        assert outbox.run_delivery(delivery_id=delivery_id, owner="test")


def test_invites_with_role_environments_and_end(organization: Organization, org_admin: User) -> None:
    end = NOW + timedelta(days=30)

    made = invite(
        organization,
        org_admin,
        email=" Sara@Example.com",
        role="org-developer",
        env_types=["stg", "dev"],
        member_until=end,
    )

    made.refresh_from_db()
    assert (made.email, made.role, made.env_types, made.member_until) == (ADDRESS, "org-developer", ["dev", "stg"], end)
    assert (made.invited_by, made.expires_at) == (org_admin, NOW + timedelta(days=7))
    assert AuditEntry.objects.get().action == Outbox.objects.get().topic == "invitation.sent"


def test_neither_secret_nor_address_is_written_down(organization: Organization, org_admin: User) -> None:
    made = invite(organization, org_admin)
    secret = link_secret(made)

    assert len(secret) == 43
    written = f"{list(Outbox.objects.values())} {list(AuditEntry.objects.values())} {list(Invitation.objects.values())}"
    assert secret not in written
    assert ADDRESS not in f"{list(Outbox.objects.values())} {list(AuditEntry.objects.values())}"


def test_the_link_outlives_a_new_signing_key(organization: Organization, org_admin: User, settings: Any) -> None:
    made = invite(organization, org_admin)
    before = link_secret(made)

    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the-next-key-which-is-long-enough-to-pass-any-check-0123456789"

    assert link_secret(made) == before


def test_the_mail_speaks_both_languages(sovereign: Sovereign, organization: Organization, org_admin: User) -> None:
    made = invite(organization, org_admin)

    deliver("tenancy.mail_invitation")

    (message,) = mail.outbox
    assert message.to == [ADDRESS]
    assert message.subject.startswith("Join Acme on Oman Cloud · ")
    assert message.body.count(f"/join/{link_secret(made)}/") == 2
    assert isinstance(message, mail.EmailMultiAlternatives)
    html = str(message.alternatives[0][0])
    assert '<div lang="en" dir="ltr">' in html
    assert '<div lang="ar" dir="rtl">' in html


def test_what_was_withdrawn_is_not_mailed(sovereign: Sovereign, organization: Organization, org_admin: User) -> None:
    revoke_invitation(invitation_id=invite(organization, org_admin).pk, actor=org_admin, now=NOW)

    deliver("tenancy.mail_invitation")

    assert mail.outbox == []


@pytest.mark.parametrize(
    ("terms", "pointer"),
    [
        ({"role": "owner"}, "/role"),
        ({"role": "org-admin", "env_types": ["dev"]}, "/env_types"),
        ({"env_types": []}, "/env_types"),
        ({"env_types": ["moon"]}, "/env_types"),
        ({"member_until": NOW}, "/expires_at"),
    ],
)
def test_refuses_what_cannot_be(terms: Any, pointer: str, organization: Organization, org_admin: User) -> None:
    with pytest.raises(RoleRefused) as refusal:
        invite(organization, org_admin, **terms)

    assert refusal.value.pointer == pointer
    assert Invitation.objects.count() == Outbox.objects.count() == 0


@pytest.mark.parametrize("role", ["org-developer", "org-viewer", "security-officer", "billing-admin"])
def test_only_administrators_invite(role: str, organization: Organization) -> None:
    with pytest.raises(PermissionRefused):
        invite(organization, MembershipFactory.create(organization=organization, role=role).user)

    assert Invitation.objects.count() == 0


@pytest.mark.parametrize(
    "limits", [{"env_types": ["dev"]}, {"expires_at": datetime(2027, 1, 1, tzinfo=UTC)}], ids=["environments", "end"]
)
def test_nobody_grants_more_than_their_own(limits: Any, organization: Organization) -> None:
    actor = MembershipFactory.create(organization=organization, **limits).user

    with pytest.raises(AboveOwnRole):
        invite(organization, actor)

    assert Invitation.objects.count() == 0
    until = datetime(2026, 12, 31, tzinfo=UTC)
    assert invite(organization, actor, env_types=["dev"], member_until=until).pk


def test_refuses_a_member_and_a_second_invitation(organization: Organization, org_admin: User) -> None:
    with pytest.raises(AlreadyMember):
        invite(organization, org_admin, email=org_admin.email)
    invite(organization, org_admin)
    with pytest.raises(AlreadyInvited):
        invite(organization, org_admin)

    assert Invitation.objects.count() == 1


def test_one_that_expired_makes_way(organization: Organization, org_admin: User) -> None:
    first = invite(organization, org_admin)

    second = invite(organization, org_admin, now=NOW + timedelta(days=7))

    assert list(Invitation.objects.open()) == [second]
    first.refresh_from_db()
    assert first.revoked_at == NOW + timedelta(days=7)


def test_nobody_floods_mailboxes(organization: Organization, org_admin: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(invitations, "MOST_A_DAY", 1)
    made = invite(organization, org_admin)
    revoke_invitation(invitation_id=made.pk, actor=org_admin, now=NOW)

    with pytest.raises(TooManyInvitations):
        invite(organization, org_admin, email="b@example.com")

    assert invite(organization, org_admin, email="b@example.com", now=NOW + timedelta(days=1)).pk


def test_is_sent_again_for_another_week(sovereign: Sovereign, organization: Organization, org_admin: User) -> None:
    made = invite(organization, org_admin)
    other = MembershipFactory.create(organization=organization).user
    with pytest.raises(TooManyInvitations) as refusal:
        resend_invitation(invitation_id=made.pk, actor=other, now=NOW + timedelta(minutes=4))
    assert refusal.value.retry_after == 61

    later = NOW + timedelta(days=8)
    sent = resend_invitation(invitation_id=made.pk, actor=other, now=later)

    assert (sent.expires_at, sent.sent_count, sent.invited_by) == (later + timedelta(days=7), 2, other)
    deliver("tenancy.mail_invitation")
    first, second = mail.outbox
    assert first.body.count(link_secret(made)) == second.body.count(link_secret(made)) == 2
    assert first.extra_headers["Message-ID"] != second.extra_headers["Message-ID"]


def test_withdrawn_once_and_for_good(organization: Organization, org_admin: User) -> None:
    made = invite(organization, org_admin)
    viewer = MembershipFactory.create(organization=organization, role=Membership.Role.VIEWER).user
    for act in (resend_invitation, revoke_invitation):
        with pytest.raises(PermissionRefused):
            act(invitation_id=made.pk, actor=viewer, now=NOW)

    revoke_invitation(invitation_id=made.pk, actor=org_admin, now=NOW)

    for act in (resend_invitation, revoke_invitation):
        with pytest.raises(NotFound):
            act(invitation_id=made.pk, actor=org_admin, now=NOW)
    assert [entry.action for entry in AuditEntry.objects.order_by("seq")] == ["invitation.sent", "invitation.revoked"]
