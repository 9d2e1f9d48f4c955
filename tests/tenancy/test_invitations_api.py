"""Members, invitations and tokens over HTTP: by a session, never by a token."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from tenancy.models import ApiToken, Invitation, Membership, Organization, User
from tenancy.services.invitations import link_secret
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

ACME = "/api/v1/organizations/acme/"


@pytest.fixture
def admin(org_admin: User) -> APIClient:
    return signed_in(org_admin)


def signed_in(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def _code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_invites_lists_sends_again_and_withdraws(admin: APIClient) -> None:
    made = admin.post(f"{ACME}invitations/", {"email": "Sara@example.com", "role": "org-viewer"}, format="json")

    assert made.status_code == 201
    listed = admin.get(f"{ACME}invitations/").json()["results"]
    assert [(row["id"], row["email"]) for row in listed] == [(made.json()["id"], "sara@example.com")]
    one = f"{ACME}invitations/{made.json()['id']}/"
    assert _code(admin.post(f"{one}resend/")) == (429, "too_many_invitations")
    Invitation.objects.update(sent_at=timezone.now() - timedelta(minutes=6))
    assert admin.post(f"{one}resend/").status_code == 200
    assert admin.delete(one).status_code == 204
    assert admin.delete(one).status_code == admin.post(f"{one}resend/").status_code == 404


def test_accepts_by_a_session_only(admin: APIClient, api_as: Any) -> None:
    admin.post(f"{ACME}invitations/", {"email": "sara@example.com", "role": "org-viewer"}, format="json")
    body = {"token": link_secret(Invitation.objects.get())}
    sara, accept = UserFactory.create(email="sara@example.com"), "/api/v1/invitations/accept/"

    assert _code(api_as(sara).post(accept, body, format="json")) == (403, "permission_denied")
    assert _code(signed_in(UserFactory.create()).post(accept, body, format="json")) == (404, "invitation_not_yours")
    answer = signed_in(sara).post(accept, body, format="json")

    assert (answer.status_code, answer.json()["role"]) == (200, "org-viewer")
    assert _code(signed_in(sara).post(accept, body, format="json")) == (409, "invitation_used")


def test_changes_and_removes_a_member(admin: APIClient, organization: Organization) -> None:
    member = MembershipFactory.create(organization=organization, role="org-viewer", env_types=["dev"])
    rows = admin.get(f"{ACME}members/").json()["results"]
    one = f"{ACME}members/{next(row['id'] for row in rows if row['role'] == 'org-viewer')}/"

    changed = admin.patch(one, {"role": "org-developer"}, format="json")

    assert (changed.json()["role"], changed.json()["env_types"]) == ("org-developer", ["dev"])
    assert admin.patch(one, {"env_types": None}, format="json").json()["env_types"] is None
    assert admin.delete(one).status_code == 204
    assert not Membership.objects.filter(pk=member.pk).exists()
    assert admin.delete(one).status_code == 404


def test_a_member_of_another_organization_is_none(admin: APIClient, stranger: User) -> None:
    foreign = Membership.objects.get(user=stranger)
    missing = f"{ACME}members/00000000-0000-4000-8000-000000000000/"

    answer = admin.delete(f"{ACME}members/{foreign.uuid}/")

    assert answer.status_code == 404
    assert answer.content == admin.delete(missing).content
    assert Membership.objects.filter(pk=foreign.pk).exists()


def test_leaves_by_name(organization: Organization, org_admin: User) -> None:
    client = signed_in(MembershipFactory.create(organization=organization, role="org-viewer").user)

    assert _code(client.post(f"{ACME}leave/", {"organization": "acm"}, format="json")) == (422, "name_wrong")
    assert client.post(f"{ACME}leave/", {"organization": "acme"}, format="json").status_code == 204

    assert client.get(ACME).status_code == 404
    last = signed_in(org_admin).post(f"{ACME}leave/", {"organization": "acme"}, format="json")
    assert _code(last) == (409, "last_administrator")


@pytest.mark.parametrize("place", [f"{ACME}tokens/", "/api/v1/tokens/"])
def test_makes_a_token_that_works_and_revokes_it(place: str, admin: APIClient, api_as: Any, org_admin: User) -> None:
    end = (timezone.now() + timedelta(days=30)).isoformat()
    made = admin.post(place, {"name": "ci", "expires_at": end, "scopes": ["organization.view"]}, format="json")

    assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
    program = APIClient()
    program.credentials(HTTP_AUTHORIZATION=f"Bearer {made.json()['token']}")
    assert program.get(ACME).status_code == 200
    assert program.get(f"{ACME}members/").status_code == program.get(place).status_code == 403
    listed = admin.get(place).json()["results"]
    assert [row["name"] for row in listed] == ["ci"]
    assert "token" not in listed[0]
    assert admin.delete(f"{place}{made.json()['id']}/").status_code == 204
    assert program.get(ACME).status_code == 401


def test_refuses_tokens_by_code(admin: APIClient) -> None:
    def made(**asked: Any) -> tuple[int, str]:
        end = (timezone.now() + timedelta(days=30)).isoformat()
        return _code(admin.post(f"{ACME}tokens/", {"name": "ci", "expires_at": end, **asked}, format="json"))

    assert made(scopes=["member.invite"]) == (422, "scope_unknown")
    assert made(env_type="moon") == (422, "scope_unknown")
    assert made(expires_at=(timezone.now() + timedelta(days=400)).isoformat()) == (422, "token_refused")
    assert ApiToken.objects.count() == 0


def test_nobody_revokes_a_strangers_token(admin: APIClient, stranger: User) -> None:
    end = timezone.now() + timedelta(days=30)
    made = signed_in(stranger).post(
        "/api/v1/organizations/globex/tokens/", {"name": "x", "expires_at": end.isoformat()}, format="json"
    )

    for place in (f"{ACME}tokens/", "/api/v1/tokens/", "/api/v1/organizations/globex/tokens/"):
        assert admin.delete(f"{place}{made.json()['id']}/").status_code == 404
    assert ApiToken.objects.live().count() == 1
