"""Other roles, leaving, and what follows: the last administrator stays, nobody edits their own, rights end at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from catalyst.core.errors import DomainError, NotFound
from catalyst.core.http.streams import StreamQuery
from catalyst.core.models import Outbox
from tenancy.api.streams import authorize_stream
from tenancy.models import ApiToken, AuditEntry, Membership, Organization, Sovereign, User
from tenancy.services.memberships import change_membership, leave_organization, remove_membership
from tenancy.services.tokens import issue_token
from tests.factories import MembershipFactory
from tests.tenancy.test_invitations import deliver

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
END = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def viewer(organization: Organization) -> Membership:
    return MembershipFactory.create(organization=organization, role="org-viewer")


def change(membership: Membership, actor: User, **terms: Any) -> Membership:
    asked = {"role": membership.role, "env_types": None, "expires_at": None, **terms}
    return change_membership(membership_id=membership.pk, actor=actor, now=NOW, **asked)


def refused(membership: Membership, actor: User, **terms: Any) -> str:
    before = list(Membership.objects.order_by("pk").values()), AuditEntry.objects.count(), Outbox.objects.count()
    with pytest.raises(DomainError) as refusal:
        change(membership, actor, **terms)
    after = list(Membership.objects.order_by("pk").values()), AuditEntry.objects.count(), Outbox.objects.count()
    assert after == before
    return refusal.value.code


def test_changes_role_environments_and_end(viewer: Membership, org_admin: User) -> None:
    change(viewer, org_admin, role="org-developer", env_types=["stg", "dev", "dev"], expires_at=END)

    viewer.refresh_from_db()
    assert (viewer.role, viewer.env_types, viewer.expires_at) == ("org-developer", ["dev", "stg"], END)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.detail["before"]["role"], entry.detail["after"]["env_types"]) == (
        "membership.changed",
        "org-viewer",
        ["dev", "stg"],
    )
    assert Outbox.objects.get().topic == "member.changed"


def test_what_is_as_it_was_writes_nothing(viewer: Membership, org_admin: User) -> None:
    change(viewer, org_admin)

    assert AuditEntry.objects.count() == Outbox.objects.count() == 0


def test_the_member_is_told(sovereign: Sovereign, viewer: Membership, org_admin: User) -> None:
    User.objects.filter(pk=viewer.user_id).update(language="ar")
    change(viewer, org_admin, role="org-admin", expires_at=END)

    deliver("tenancy.mail_role_changed")

    (message,) = mail.outbox
    assert message.to == [viewer.user.email]
    assert "/console/acme/team/" in message.body


def test_refuses_by_code(viewer: Membership, organization: Organization, org_admin: User, stranger: User) -> None:
    own = Membership.objects.get(user=org_admin)
    assert refused(own, org_admin, role="org-viewer") == "own_membership"
    assert refused(viewer, viewer.user, role="org-admin") == "own_membership"
    assert refused(viewer, stranger, role="org-admin") == "permission_denied"
    developer = MembershipFactory.create(organization=organization, role="org-developer").user
    assert refused(viewer, developer, role="org-developer") == "permission_denied"
    assert refused(viewer, org_admin, role="billing-admin", env_types=["dev"]) == "role_refused"
    MembershipFactory.create(organization=organization, user=viewer.user, role="billing-admin")
    assert refused(viewer, org_admin, role="billing-admin") == "role_held"


def test_nobody_touches_what_is_more_than_their_own(viewer: Membership, org_admin: User) -> None:
    Membership.objects.filter(user=org_admin).update(env_types=["dev"])

    assert refused(viewer, org_admin, env_types=["dev"]) == "above_own_role"
    with pytest.raises(DomainError) as refusal:
        remove_membership(membership_id=viewer.pk, actor=org_admin)
    assert refusal.value.code == "above_own_role"


@pytest.mark.parametrize("other", [{"expires_at": END}, {"user__is_active": False}, {"role": "org-developer"}])
def test_the_last_lasting_administrator_stays(other: Any, organization: Organization, org_admin: User) -> None:
    actor = MembershipFactory.create(organization=organization, **other).user
    own = Membership.objects.get(user=org_admin)

    assert refused(own, actor, role="org-viewer") == "last_administrator"
    assert refused(own, actor, expires_at=END) == "last_administrator"
    with pytest.raises(DomainError) as refusal:
        leave_organization(organization=organization, user=org_admin)
    assert refusal.value.code == "last_administrator"
    assert Membership.objects.filter(pk=own.pk).exists()


def test_leaving_ends_every_role_and_the_tokens_here(organization: Organization, org_admin: User) -> None:
    MembershipFactory.create(organization=organization)
    MembershipFactory.create(organization=organization, user=org_admin, role="billing-admin")
    here, _ = issue_token(user=org_admin, actor="test", now=NOW, organization=organization)
    personal, _ = issue_token(user=org_admin, actor="test", now=NOW)

    leave_organization(organization=organization, user=org_admin)

    assert not Membership.objects.filter(user=org_admin).exists()
    assert list(ApiToken.objects.live()) == [personal]
    assert here != personal
    assert Outbox.objects.filter(topic="member.removed").count() == 2
    with pytest.raises(NotFound):
        leave_organization(organization=organization, user=org_admin)


def test_rights_end_with_the_next_request_and_the_next_look_of_a_stream(
    viewer: Membership, org_admin: User, api_as: Any
) -> None:
    client = api_as(viewer.user)
    _token, text = issue_token(user=viewer.user, actor="test", now=timezone.now())
    query = StreamQuery(authorization=f"Bearer {text}".encode(), cookies="", after=None, view="")
    assert client.get("/api/v1/organizations/acme/").status_code == 200
    assert authorize_stream(query, "acme").env_types is None

    change(viewer, org_admin, env_types=["dev"], expires_at=timezone.now() + timedelta(days=1))
    assert authorize_stream(query, "acme").env_types == frozenset({"dev"})
    remove_membership(membership_id=viewer.pk, actor=org_admin)

    assert client.get("/api/v1/organizations/acme/").status_code == 404
    with pytest.raises(NotFound):
        authorize_stream(query, "acme")
