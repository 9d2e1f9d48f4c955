"""Organizations, Environments and members over HTTP."""

from typing import Any

import pytest

from tenancy.models import Environment, Membership, Organization
from tests.factories import EnvironmentFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

ORGANIZATIONS = "/api/v1/organizations/"


def _code(response: Any) -> Any:
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def test_creates_one(api_as: Any) -> None:
    user = UserFactory.create()

    response = api_as(user).post(ORGANIZATIONS, {"slug": "initech", "name": "Initech"}, format="json")

    assert response.status_code == 201
    assert response.json()["slug"] == "initech"
    assert Membership.objects.get(organization__slug="initech").user == user


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"slug": "acme", "name": "X"}, (409, "slug_taken")),
        ({"slug": "A", "name": "X"}, (422, "slug_invalid")),
        ({"slug": "admin", "name": "X"}, (422, "slug_reserved")),
        ({"slug": "initech"}, (400, "invalid_request")),
        ({"slug": "initech", "name": "X\u0000"}, (400, "invalid_request")),
        ({"slug": "initech", "name": "X", "uuid": "1"}, (400, "invalid_request")),
        (["slug"], (400, "invalid_request")),
    ],
)
def test_refuses_by_code(body: Any, refusal: Any, org_admin: Any, api_as: Any) -> None:
    response = api_as(org_admin).post(ORGANIZATIONS, body, format="json")

    assert _code(response) == refusal
    assert Organization.objects.count() == 1


def test_names_the_unknown_field(org_admin: Any, api_as: Any) -> None:
    response = api_as(org_admin).post(ORGANIZATIONS, {"slug": "initech", "name": "X", "role": "x"}, format="json")

    assert response.json()["errors"] == [
        {"pointer": "/role", "code": "unknown_field", "detail": "This field is not known."}
    ]


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b'{"slug": NaN}', b"[" * 100_000, b'{"slug": "initech", "name": "\\ud800"}']
)
def test_refuses_a_body_that_is_not_json(body: Any, org_admin: Any, api_as: Any) -> None:
    response = api_as(org_admin).post(ORGANIZATIONS, body, content_type="application/json")

    assert _code(response) == (400, "invalid_request")


def test_refuses_a_body_that_is_too_large(org_admin: Any, api_as: Any) -> None:
    body = b'{"slug": "' + b"a" * 300_000 + b'"}'

    response = api_as(org_admin).post(ORGANIZATIONS, body, content_type="application/json")

    assert _code(response) == (413, "body_too_large")


def test_lists_the_callers_own(org_admin: Any, stranger: Any, api_as: Any) -> None:
    answer = api_as(org_admin).get(ORGANIZATIONS).json()

    assert sorted(answer) == ["next", "previous", "results"]
    assert [row["slug"] for row in answer["results"]] == ["acme"]


def test_follows_the_cursor(api_as: Any) -> None:
    user = UserFactory.create()
    for number in range(3):
        MembershipFactory.create(user=user, organization__slug=f"org-{number}")
    client = api_as(user)

    first = client.get(f"{ORGANIZATIONS}?page_size=2").json()
    second = client.get(first["next"]).json()

    assert [row["slug"] for row in first["results"] + second["results"]] == ["org-2", "org-1", "org-0"]
    assert second["next"] is None


def test_counts_two_roles_of_one_person_once(org_admin: Any, organization: Any, api_as: Any) -> None:
    MembershipFactory.create(user=org_admin, organization=organization, role="org-viewer")

    assert len(api_as(org_admin).get(ORGANIZATIONS).json()["results"]) == 1


@pytest.mark.parametrize("path", ["", "environments/", "members/"])
def test_a_strangers_answer_is_that_of_a_missing_one(path: Any, organization: Any, stranger: Any, api_as: Any) -> None:
    client = api_as(stranger)

    foreign = client.get(f"{ORGANIZATIONS}acme/{path}")
    missing = client.get(f"{ORGANIZATIONS}nowhere/{path}")

    assert _code(foreign) == _code(missing) == (404, "not_found")
    assert foreign.content == missing.content
    assert sorted(foreign.headers) == sorted(missing.headers)


def test_a_stranger_creates_nothing(organization: Any, stranger: Any, api_as: Any) -> None:
    response = api_as(stranger).post(f"{ORGANIZATIONS}acme/environments/", {"env_type": "nonsense"}, format="json")

    assert _code(response) == (404, "not_found")
    assert Environment.objects.count() == 0


@pytest.mark.parametrize(
    ("role", "status"), [("org-admin", 201), ("org-developer", 403), ("org-viewer", 403), ("billing-admin", 403)]
)
def test_who_creates_an_environment(role: Any, status: Any, organization: Any, api_as: Any) -> None:
    user = MembershipFactory.create(organization=organization, role=role).user

    response = api_as(user).post(f"{ORGANIZATIONS}acme/environments/", {"env_type": "dev"}, format="json")

    assert response.status_code == status
    assert Environment.objects.count() == (status == 201)


def test_refuses_an_environment_that_exists(org_admin: Any, organization: Any, api_as: Any) -> None:
    EnvironmentFactory.create(organization=organization, env_type="dev")

    response = api_as(org_admin).post(f"{ORGANIZATIONS}acme/environments/", {"env_type": "dev"}, format="json")

    assert _code(response) == (409, "environment_exists")


def test_a_member_with_listed_environments_sees_only_those(organization: Any, api_as: Any) -> None:
    for env_type in ("dev", "prod"):
        EnvironmentFactory.create(organization=organization, env_type=env_type)
    user = MembershipFactory.create(organization=organization, role="org-developer", env_types=["dev"]).user

    answer = api_as(user).get(f"{ORGANIZATIONS}acme/environments/").json()

    assert [row["name"] for row in answer["results"]] == ["acme-dev"]


def test_a_removed_member_is_out_on_the_next_request(organization: Any, api_as: Any) -> None:
    membership = MembershipFactory.create(organization=organization, role="org-viewer")
    client = api_as(membership.user)
    assert client.get(f"{ORGANIZATIONS}acme/").status_code == 200

    membership.delete()

    assert client.get(f"{ORGANIZATIONS}acme/").status_code == 404


def test_lists_members(org_admin: Any, api_as: Any) -> None:
    answer = api_as(org_admin).get(f"{ORGANIZATIONS}acme/members/").json()

    assert answer["results"] == [
        {
            "id": str(org_admin.memberships.get().uuid),
            "email": org_admin.email,
            "name": org_admin.display_name,
            "role": "org-admin",
            "env_types": None,
            "expires_at": None,
        }
    ]


def test_a_session_needs_a_csrf_token(org_admin: Any) -> None:
    from rest_framework.test import APIClient

    client = APIClient(enforce_csrf_checks=True)
    client.force_login(org_admin)

    response = client.post(ORGANIZATIONS, {"slug": "initech", "name": "X"}, format="json")

    assert _code(response) == (403, "permission_denied")
    assert client.get(ORGANIZATIONS).status_code == 200


@pytest.mark.parametrize("method", ["patch", "put", "options"])
def test_answers_405_to_other_methods(method: Any, org_admin: Any, api_as: Any) -> None:
    response = getattr(api_as(org_admin), method)(f"{ORGANIZATIONS}acme/")

    assert _code(response) == (405, "method_not_allowed")
