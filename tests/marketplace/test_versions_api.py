"""Members read what became of each version and where it runs; their own they retire, restore and withdraw."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from marketplace.models import BlueprintVersion
from marketplace.services.blueprint_versions import retire_version
from tenancy.models import Organization, Sovereign, User
from tests.factories import MembershipFactory
from tests.marketplace.catalogue_rows import NOW
from tests.marketplace.upgrade_rows import needs, publish
from tests.marketplace.version_rows import audited, install, told

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/organizations/acme/blueprints/{}/versions/"


@pytest.fixture
def own(sovereign: Sovereign, organization: Organization) -> BlueprintVersion:
    publish("books", "1.0.0", organization=organization)
    return publish("books", "1.1.0", organization=organization, changelog="Faster.", is_security=True)


@pytest.fixture
def admin(org_admin: User, api_as: Callable[..., APIClient]) -> APIClient:
    return api_as(org_admin)


def path_of(version: str, step: str) -> str:
    return f"{PATH.format('bp-books')}{version}/{step}/"


def facts(release: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(release[name] for name in ("version", "state", "yanked", "reason", "danger"))


def test_versions_are_listed_with_where_they_run(
    organization: Organization, own: BlueprintVersion, stranger: User, admin: APIClient
) -> None:
    install(organization, "library", own)
    install(organization, "books", own, "shop", env_type="dev")

    answer = admin.get(PATH.format("bp-books"))

    assert answer.status_code == 200
    body = answer.json()
    assert (body["blueprint"], body["source"]) == ("bp-books", "org")
    newest, oldest = body["versions"]
    assert facts(newest) == ("1.1.0", "published", False, "", False)
    assert (newest["security"], newest["changelog"], newest["digest"]) == (True, "Faster.", own.digest)
    assert newest["signed_by"] == ""
    assert newest["used_by"] == [
        {"application": "books", "environment": "acme-dev", "env_type": "dev", "needed_by": ["shop"]},
        {"application": "library", "environment": "acme-prod", "env_type": "prod", "needed_by": []},
    ]
    assert (oldest["version"], oldest["used_by"]) == ("1.0.0", [])


def test_a_public_one_shows_this_organization_only(
    organization: Organization, own: BlueprintVersion, stranger: User, admin: APIClient
) -> None:
    version = publish("sql", "1.0.0")
    install(organization, "mine", version)
    install(Organization.objects.get(slug="globex"), "theirs", version)

    answer = admin.get(PATH.format("bp-sql"))

    assert [each["application"] for each in answer.json()["versions"][0]["used_by"]] == ["mine"]
    assert "theirs" not in answer.content.decode()


def test_drafts_and_reviews_are_nobodys(own: BlueprintVersion, admin: APIClient) -> None:
    publish("sql", "1.0.0")
    publish("sql", "2.0.0", state="draft")
    publish("sql", "3.0.0", state="review")

    assert [each["version"] for each in admin.get(PATH.format("bp-sql")).json()["versions"]] == ["1.0.0"]


def test_an_own_version_is_retired_restored_and_withdrawn(own: BlueprintVersion, admin: APIClient) -> None:
    retired = admin.post(path_of("1.1.0", "retire"), {"reason": "Superseded."}, format="json")
    assert (retired.status_code, facts(retired.json())) == (200, ("1.1.0", "retired", False, "Superseded.", False))

    restored = admin.post(path_of("1.1.0", "restore"), {}, format="json")
    assert (restored.status_code, facts(restored.json())) == (200, ("1.1.0", "published", False, "", False))

    yanked = admin.post(path_of("1.1.0", "yank"), {"reason": "Leaks.", "security": True}, format="json")
    assert (yanked.status_code, facts(yanked.json())) == (200, ("1.1.0", "published", True, "Leaks.", True))
    assert told(own) == ["retired", "restored", "yanked"]
    assert audited("yanked")[0][0] == f"organization:{own.blueprint.organization_id}"


@pytest.mark.parametrize(
    ("step", "body", "status", "code"),
    [
        ("retire", {}, 422, "reason_required"),
        ("retire", {"reason": " "}, 422, "reason_required"),
        ("yank", {"security": True}, 422, "reason_required"),
        ("restore", {}, 409, "invalid_transition"),
    ],
)
def test_a_refusal_changes_nothing(
    own: BlueprintVersion, admin: APIClient, step: str, body: Any, status: int, code: str
) -> None:
    answer = admin.post(path_of("1.1.0", step), body, format="json")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    own.refresh_from_db()
    assert (own.state, own.yanked_at, told(own)) == ("published", None, [])


@pytest.mark.parametrize("step", ["retire", "restore", "yank"])
def test_only_who_publishes_here_decides(
    organization: Organization,
    own: BlueprintVersion,
    stranger: User,
    admin: APIClient,
    api_as: Callable[..., APIClient],
    step: str,
) -> None:
    body = {"reason": "why"}
    viewer = MembershipFactory.create(organization=organization, role="org-viewer").user
    public = publish("sql", "1.0.0")

    assert api_as(viewer).post(path_of("1.1.0", step), body, format="json").status_code == 403
    foreign = api_as(stranger).post(path_of("1.1.0", step), body, format="json")
    missing = api_as(stranger).post(path_of("9.9.9", step).replace("acme", "nowhere"), body, format="json")
    assert (foreign.status_code, foreign.content) == (404, missing.content)
    others = admin.post(f"{PATH.format('bp-sql')}1.0.0/{step}/", body, format="json")
    assert (others.status_code, others.json()["code"]) == (403, "permission_denied")
    assert admin.post(path_of("9.9.9", step), body, format="json").status_code == 404
    assert (told(own), told(public)) == ([], [])


def test_a_blueprint_of_another_organization_is_a_missing_one(
    own: BlueprintVersion, stranger: User, api_as: Callable[..., APIClient]
) -> None:
    client = api_as(stranger)
    path = PATH.replace("acme", "globex")

    foreign, missing = client.get(path.format("bp-books")), client.get(path.format("bp-nothing"))

    assert (foreign.status_code, foreign.content) == (404, missing.content)
    step = client.post(f"{path.format('bp-books')}1.1.0/retire/", {"reason": "why"}, format="json")
    assert (step.status_code, step.content) == (404, missing.content)
    assert told(own) == []


def test_a_member_sees_only_the_environments_of_the_membership(
    organization: Organization, own: BlueprintVersion, api_as: Callable[..., APIClient]
) -> None:
    member = MembershipFactory.create(organization=organization, role="org-developer", env_types=["dev"]).user
    install(organization, "live", own)
    install(organization, "trial", own, env_type="dev")

    body = api_as(member).get(PATH.format("bp-books")).json()

    assert [each["application"] for each in body["versions"][0]["used_by"]] == ["trial"]


def test_a_withdrawn_version_is_not_installed_anew(own: BlueprintVersion, admin: APIClient) -> None:
    BlueprintVersion.objects.filter(pk=own.pk).update(yanked_at=NOW)
    publish("shelf", "1.0.0", organization=own.blueprint.organization, depends=[needs("books", "^1.0", "db")])

    assert [each.version for each in BlueprintVersion.objects.installable().filter(blueprint=own.blueprint)] == [
        "1.0.0"
    ]


def test_the_public_list_says_what_became_of_each(own: BlueprintVersion, org_admin: User, api: APIClient) -> None:
    old = publish("sql", "1.0.0", changelog="First.", is_security=True)
    publish("sql", "2.0.0", state="review")
    retire_version(version_id=old.pk, actor=org_admin, reason="Too old.")

    (release,) = api.get("/api/v1/blueprints/bp-sql/").json()["versions"]

    told_here = {name: release[name] for name in ("version", "state", "yanked", "reason", "security", "changelog")}
    assert told_here == {
        "version": "1.0.0",
        "state": "retired",
        "yanked": False,
        "reason": "Too old.",
        "security": True,
        "changelog": "First.",
    }
    assert api.get("/api/v1/blueprints/bp-books/").status_code == 404
