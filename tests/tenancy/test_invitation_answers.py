"""What the link of an invitation opens, for whom, and how often."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalyst.core.errors import DomainError
from catalyst.core.models import Outbox
from tenancy.models import AuditEntry, Invitation, Membership, Organization, User
from tenancy.services.confirm_email import confirm_email
from tenancy.services.invitation_answers import accept_invitation, read_invitation
from tenancy.services.invitations import invite_member, link_secret, revoke_invitation
from tenancy.services.memberships import remove_membership
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
ADDRESS = "sara@example.com"


@pytest.fixture
def invited(organization: Organization, org_admin: User) -> Invitation:
    return invite_member(
        organization=organization,
        email=ADDRESS,
        role="org-developer",
        env_types=["dev"],
        member_until=datetime(2030, 1, 1, tzinfo=UTC),
        actor=org_admin,
        now=NOW,
    )


@pytest.fixture
def sara(db: None) -> User:
    return UserFactory.create(email=ADDRESS)


def accept(invited: Invitation, user: User, now: datetime = NOW) -> Membership:
    return accept_invitation(secret=link_secret(invited), user=user, now=now)


def refused(invited: Invitation, user: User, now: datetime = NOW) -> tuple[int, str]:
    """Return how reading and accepting are refused: alike, and nothing changes."""
    before = Membership.objects.count(), AuditEntry.objects.count(), Outbox.objects.count()
    secret, codes = link_secret(invited), []
    acts: list[Callable[..., object]] = [read_invitation, accept_invitation]
    for act in acts:
        with pytest.raises(DomainError) as refusal:
            act(secret=secret, user=user, now=now)
        codes.append((int(refusal.value.status), refusal.value.code))
    assert (Membership.objects.count(), AuditEntry.objects.count(), Outbox.objects.count()) == before
    assert codes[0] == codes[1]
    return codes[0]


def test_makes_a_member_as_it_says(invited: Invitation, sara: User) -> None:
    membership = accept(invited, sara)

    assert (membership.user, membership.role, membership.env_types) == (sara, "org-developer", ["dev"])
    assert membership.expires_at == datetime(2030, 1, 1, tzinfo=UTC)
    invited.refresh_from_db()
    assert (invited.accepted_at, invited.accepted_by) == (NOW, sara)
    assert Outbox.objects.order_by("id").last().topic == "invitation.accepted"  # type: ignore[union-attr]
    actions = list(AuditEntry.objects.order_by("seq").values_list("action", flat=True))
    assert actions == ["invitation.sent", "membership.granted", "invitation.accepted"]


def test_a_newcomer_signs_up_on_the_way(invited: Invitation) -> None:
    newcomer = confirm_email(email="Sara@example.com", language="ar")

    assert accept(invited, newcomer).user == newcomer


def test_reading_uses_nothing_up(invited: Invitation, sara: User) -> None:
    for _ in range(2):
        assert read_invitation(secret=link_secret(invited), user=sara, now=NOW) == invited

    assert accept(invited, sara).pk


def test_works_once(invited: Invitation, sara: User) -> None:
    membership = accept(invited, sara)

    assert refused(invited, sara) == (409, "invitation_used")
    membership.delete()
    assert refused(invited, sara) == (409, "invitation_used")


def test_to_others_it_looks_like_none(invited: Invitation, stranger: User, sara: User) -> None:
    assert refused(invited, stranger) == (404, "invitation_not_yours")
    with pytest.raises(DomainError) as guess:
        read_invitation(secret="x" * 43, user=stranger, now=NOW)
    with pytest.raises(DomainError) as leak:
        read_invitation(secret=link_secret(invited), user=stranger, now=NOW)
    assert (guess.value.code, guess.value.message) == (leak.value.code, leak.value.message)
    accept(invited, sara)
    assert refused(invited, stranger) == (404, "invitation_not_yours")


def test_its_time_ends(invited: Invitation, sara: User) -> None:
    assert refused(invited, sara, NOW + timedelta(days=7)) == (410, "invitation_expired")
    Invitation.objects.update(member_until=NOW + timedelta(hours=1))
    assert refused(invited, sara, NOW + timedelta(hours=1)) == (410, "invitation_expired")


def test_withdrawn_it_opens_nothing(invited: Invitation, sara: User, org_admin: User) -> None:
    revoke_invitation(invitation_id=invited.pk, actor=org_admin, now=NOW)

    assert refused(invited, sara) == (410, "invitation_withdrawn")


@pytest.mark.parametrize("limits", [{"role": "org-viewer"}, {"env_types": ["stg"]}, None])
def test_who_may_not_invite_any_more_lets_nobody_in(
    limits: Any, invited: Invitation, org_admin: User, sara: User
) -> None:
    if limits is None:
        MembershipFactory.create(organization=invited.organization)
        remove_membership(membership_id=Membership.objects.get(user=org_admin).pk, actor="test")
    else:
        Membership.objects.filter(user=org_admin).update(**limits)

    with pytest.raises(DomainError) as refusal:
        accept(invited, sara)

    assert refusal.value.code == "invitation_withdrawn"
    assert not Membership.objects.filter(user=sara).exists()


def test_staff_of_the_provider_join_nobody(invited: Invitation) -> None:
    staff = UserFactory.create(email=ADDRESS, staff_role="support-agent")

    assert refused(invited, staff) == (403, "staff_cannot_join")


def test_nobody_joins_a_suspended_organization(invited: Invitation, sara: User) -> None:
    Organization.objects.update(state="suspended")

    with pytest.raises(DomainError) as refusal:
        accept(invited, sara)

    assert refusal.value.code == "organization_suspended"
    assert Invitation.objects.open().exists()


def test_an_ended_membership_does_not_stand_in_the_way(invited: Invitation, sara: User) -> None:
    MembershipFactory.create(
        organization=invited.organization, user=sara, role="org-developer", expires_at=NOW - timedelta(days=1)
    )

    accept(invited, sara)

    assert Membership.objects.get(user=sara).expires_at == datetime(2030, 1, 1, tzinfo=UTC)
