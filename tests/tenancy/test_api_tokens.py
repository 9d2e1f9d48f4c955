"""Tokens of the API: who they are, where they act, when they stop."""

import hashlib
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tenancy.models import ApiToken, AuditEntry, Membership, User
from tenancy.services.tokens import NotAMember, ScopeUnknown, issue_token, revoke_token
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

ORGANIZATIONS = "/api/v1/organizations/"


def _assert_not_authenticated(response: Any) -> None:
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="catalyst"'
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "not_authenticated"


def test_is_stored_as_a_hash_only(org_admin: Any) -> None:
    token, plaintext = issue_token(user=org_admin, actor=org_admin, now=timezone.now())

    stored = ApiToken.objects.get()
    assert (len(plaintext), plaintext[:4]) == (44, "cat_")
    assert bytes(stored.token_hash) == hashlib.sha256(plaintext.encode()).digest()
    assert plaintext not in str(vars(stored)) + str(list(AuditEntry.objects.values()))
    assert stored.hint == f"cat_…{plaintext[-4:]}"
    assert token.pk == stored.pk


def test_opens_the_api_with_one_query_before_the_view(
    org_admin: Any, api_as: Any, django_assert_num_queries: Any
) -> None:
    client = api_as(org_admin)
    client.get(ORGANIZATIONS)

    with django_assert_num_queries(2):  # the token with its owner; the Organization with the roles
        response = client.get(f"{ORGANIZATIONS}acme/")

    assert response.json()["slug"] == "acme"


@pytest.mark.parametrize("header", ["Bearer", "Bearer cat_wrong", "bearer é", "Bearer a b"])
def test_an_unknown_token_is_refused(header: Any, api: Any) -> None:
    _assert_not_authenticated(api.get(ORGANIZATIONS, HTTP_AUTHORIZATION=header))


def test_nobody_is_refused(api: Any) -> None:
    _assert_not_authenticated(api.get(ORGANIZATIONS))


def test_a_revoked_token_is_refused(org_admin: Any, api_as: Any) -> None:
    client = api_as(org_admin)
    token = ApiToken.objects.get()

    assert revoke_token(token_id=token.pk, actor=org_admin, now=timezone.now())

    _assert_not_authenticated(client.get(ORGANIZATIONS))
    assert not revoke_token(token_id=token.pk, actor=org_admin, now=timezone.now())
    assert AuditEntry.objects.filter(action="token.revoked").count() == 1


def test_an_expired_token_is_refused(org_admin: Any, api_as: Any) -> None:
    _assert_not_authenticated(api_as(org_admin, expires_at=timezone.now() - timedelta(seconds=1)).get(ORGANIZATIONS))


def test_the_token_of_an_inactive_person_is_refused(org_admin: Any, api_as: Any) -> None:
    client = api_as(org_admin)

    User.objects.filter(pk=org_admin.pk).update(is_active=False)

    _assert_not_authenticated(client.get(ORGANIZATIONS))


def test_notes_its_use_at_most_once_a_minute(org_admin: Any, api_as: Any) -> None:
    client = api_as(org_admin)
    client.get(ORGANIZATIONS)
    first = ApiToken.objects.get().last_used_at

    client.get(ORGANIZATIONS)

    assert first is not None
    assert ApiToken.objects.get().last_used_at == first


def test_of_one_organization_sees_only_that_one(org_admin: Any, organization: Any, api_as: Any) -> None:
    other = MembershipFactory.create(user=org_admin, organization__slug="initech").organization
    client = api_as(org_admin, organization=organization)

    listed = client.get(ORGANIZATIONS).json()["results"]

    assert [row["slug"] for row in listed] == ["acme"]
    foreign, missing = client.get(f"{ORGANIZATIONS}{other.slug}/"), client.get(f"{ORGANIZATIONS}nowhere/")
    assert foreign.status_code == missing.status_code == 404
    assert foreign.content == missing.content


@pytest.mark.parametrize("limits", [{"scopes": ["organization.view"]}, {"env_type": "dev"}])
def test_with_limits_founds_no_organization(limits: Any, org_admin: Any, api_as: Any) -> None:
    response = api_as(org_admin, **limits).post(ORGANIZATIONS, {"slug": "initech", "name": "Initech"}, format="json")

    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


def test_may_no_more_than_its_scopes(org_admin: Any, api_as: Any) -> None:
    client = api_as(org_admin, scopes=["organization.view"])

    assert client.get(f"{ORGANIZATIONS}acme/").status_code == 200
    assert client.get(f"{ORGANIZATIONS}acme/members/").status_code == 403


def test_may_no_more_than_its_owner_at_this_moment(org_admin: Any, api_as: Any) -> None:
    client = api_as(org_admin, scopes=["environment.create"])
    Membership.objects.filter(user=org_admin).update(role="org-viewer")

    response = client.post(f"{ORGANIZATIONS}acme/environments/", {"env_type": "dev"}, format="json")

    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


def test_refuses_a_scope_that_is_no_permission(org_admin: Any) -> None:
    with pytest.raises(ScopeUnknown):
        issue_token(user=org_admin, actor=org_admin, now=timezone.now(), scopes=["everything"])

    assert ApiToken.objects.count() == 0


def test_refuses_an_owner_outside_the_organization(organization: Any) -> None:
    with pytest.raises(NotAMember):
        issue_token(user=UserFactory.create(), actor="test", now=timezone.now(), organization=organization)

    assert ApiToken.objects.count() == 0


def test_the_command_prints_it_alone_on_the_last_line(api: Any) -> None:
    out = StringIO()

    call_command("issue_token", "--user", "New@Example.com", "--create", "--staff", "sovereign-admin", stdout=out)

    plaintext = out.getvalue().splitlines()[-1]
    assert api.get(ORGANIZATIONS, HTTP_AUTHORIZATION=f"Bearer {plaintext}").status_code == 200
    assert User.objects.get(email="new@example.com").staff_role == "sovereign-admin"


def test_the_command_makes_nobody_unasked() -> None:
    with pytest.raises(CommandError, match="Nobody has the address"):
        call_command("issue_token", "--user", "new@example.com")

    assert User.objects.count() == ApiToken.objects.count() == 0
