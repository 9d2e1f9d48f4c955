"""Upgrades and configuration over the API: who may, what is answered, what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from marketplace.models import Application, Change
from marketplace.selectors import capacity
from marketplace.selectors.capacity import Footprint
from marketplace.tasks import commit_edit
from tenancy.models import Membership, Organization, Sovereign, User
from tests.factories import MembershipFactory
from tests.marketplace.deliver_rows import Desk, publish_events
from tests.marketplace.upgrade_rows import installed, needs, publish, ready, settings_of

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = "/api/v1/organizations/acme/environments/prod"
UPGRADES = f"{ROOT}/upgrades/"
PREVIEW = f"{ROOT}/upgrades/preview/"
CONFIGURATION = f"{ROOT}/applications/wiki/configuration/"
WHY = f"{ROOT}/applications/wiki/why/"


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    """Sell a wiki of which a fix was published since."""
    publish("sql", "1.0.0", kind="service")
    schema = {"configSchema": settings_of("title")}
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")], spec=schema)
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    publish(
        "wiki",
        "1.2.1",
        depends=[needs("sql", "^1.0", "db")],
        spec=schema,
        footprint=(200, 100, 1),
        changelog="Search finds Arabic words.",
    )
    return desk


def member(organization: Organization, role: str) -> User:
    return MembershipFactory.create(organization=organization, role=role).user


def test_an_upgrade_is_answered_with_its_change_and_saved_by_its_event(
    desk: Desk, organization: Organization, api_as: Callable[..., APIClient]
) -> None:
    developer = member(organization, Membership.Role.DEVELOPER)

    answer = api_as(developer).post(UPGRADES, {"applications": {"wiki": "^1.2"}, "reason": "Search."}, format="json")

    assert answer.status_code == 201
    said = answer.json()
    assert (said["kind"], said["state"], said["author"]) == ("upgrade", "committing", developer.display_name)
    assert said["summary"] == "upgrade wiki (bp-wiki 1.2.0 → 1.2.1)"
    publish_events()
    _follow(said["id"])
    assert Change.objects.get(pk=said["id"]).state == "reconciling"
    assert installed(desk)["wiki"] == "1.2.1"


def _follow(change: str) -> None:
    """Let the worker see the event."""
    row = Change.objects.get(pk=change)
    payload = {"kind": row.kind, "environment_id": row.environment_id}
    commit_edit(type("Message", (), {"payload": payload})())


def test_lists_what_can_be_had(desk: Desk, org_admin: User, api_as: Callable[..., APIClient]) -> None:
    sql, wiki = api_as(org_admin).get(UPGRADES).json()

    assert sql["newest"] == sql["kind"] == sql["blocked"] == ""
    assert wiki == {
        "application": "wiki",
        "blueprint": "bp-wiki",
        "version": "1.2.0",
        "newest": "1.2.1",
        "kind": "fix",
        "others": [],
        "changelog": [{"version": "1.2.1", "text": "Search finds Arabic words.", "is_security": False}],
        "notices": [],
        "blocked": "",
    }


def test_a_preview_says_what_moves_and_what_it_takes_and_writes_nothing(
    desk: Desk, org_admin: User, api_as: Callable[..., APIClient]
) -> None:
    answer = api_as(org_admin).post(PREVIEW, {"applications": ["wiki"]}, format="json")

    assert answer.status_code == 200
    assert answer.json() == {
        "summary": "upgrade wiki (bp-wiki 1.2.0 → 1.2.1)",
        "moves": [
            {
                "application": "wiki",
                "blueprint": "bp-wiki",
                "before": "1.2.0",
                "after": "1.2.1",
                "reason": "It was asked for.",
            }
        ],
        "used_before": {"memory_mib": 700, "cpu_milli": 450, "disk_gib": 5},
        "used_after": {"memory_mib": 800, "cpu_milli": 450, "disk_gib": 5},
        "capacity": None,
        "fits": True,
    }
    assert Change.objects.count() == 1


def test_what_does_not_fit_the_plan_is_refused(
    desk: Desk, org_admin: User, api_as: Callable[..., APIClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "_sources", [lambda environment: Footprint(799, 1000, 10)])
    client = api_as(org_admin)

    answer = client.post(UPGRADES, {"applications": ["wiki"]}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (409, "capacity_exceeded")
    assert answer.json()["used"]["memory_mib"] == 800
    assert not client.post(PREVIEW, {"applications": ["wiki"]}, format="json").json()["fits"]
    assert (Change.objects.count(), installed(desk)["wiki"]) == (1, "1.2.0")


def test_what_takes_no_more_is_not_refused_for_its_size(
    desk: Desk, org_admin: User, api_as: Callable[..., APIClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "_sources", [lambda environment: Footprint(600, 100, 1)])
    publish("sql", "1.0.1", kind="service")

    assert api_as(org_admin).post(UPGRADES, {"applications": ["shared-sql"]}, format="json").status_code == 201


def test_configures(desk: Desk, org_admin: User, api_as: Callable[..., APIClient]) -> None:
    client = api_as(org_admin)
    headers = {"Idempotency-Key": "configure-1"}

    first = client.put(CONFIGURATION, {"config": {"title": "Books"}}, format="json", headers=headers)
    again = client.put(CONFIGURATION, {"config": {"title": "Books"}}, format="json", headers=headers)

    assert (first.status_code, first.json()["kind"]) == (201, "configure")
    assert again.json()["id"] == first.json()["id"]
    _follow(first.json()["id"])
    assert Application.objects.get(slug="wiki").config == {"title": "Books"}


def test_says_why(desk: Desk, org_admin: User, api_as: Callable[..., APIClient]) -> None:
    said = api_as(org_admin).get(WHY).json()

    assert (said["version"], said["range"], said["requested_by"]) == ("1.2.0", "^1.2", [])
    assert said["change"] == str(Change.objects.get().pk)
    assert said["newer"] == [{"version": "1.2.1", "code": "available", "reason": "1.2.1 can be had: upgrade wiki."}]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (UPGRADES, {"applications": {"wiki": "^9"}}, 422, "unresolvable"),
        (UPGRADES, {"applications": {"wiki": "v1"}}, 422, "range_refused"),
        (UPGRADES, {"applications": {"blog": ""}}, 404, "not_found"),
        (UPGRADES, {"applications": {"shared-sql": ""}}, 409, "already_newest"),
        (UPGRADES, {"applications": {"wiki": 1}}, 400, "invalid_request"),
        (UPGRADES, {"applications": "wiki"}, 400, "invalid_request"),
        (UPGRADES, {"mode": "all"}, 400, "invalid_request"),
        (CONFIGURATION, {"config": {"colour": "red"}}, 422, "configuration_refused"),
        (CONFIGURATION, {"config": []}, 400, "invalid_request"),
        (CONFIGURATION, {"config": {}}, 409, "nothing_to_change"),
    ],
)
def test_refusals_have_codes_and_change_nothing(
    desk: Desk, org_admin: User, api_as: Callable[..., APIClient], path: str, body: Any, status: int, code: str
) -> None:
    method = "PUT" if path == CONFIGURATION else "POST"

    answer = getattr(api_as(org_admin), method.lower())(path, body, format="json")

    said = answer.json()
    codes = {said["code"], *(error["code"] for error in said["errors"])}
    assert (answer.status_code, code in codes) == (status, True), said
    assert Change.objects.count() == 1


@pytest.mark.parametrize("role", [Membership.Role.VIEWER, Membership.Role.BILLING])
def test_a_role_without_the_right_is_refused(
    desk: Desk, organization: Organization, api_as: Callable[..., APIClient], role: str
) -> None:
    client = api_as(member(organization, role))

    answers = [
        client.post(UPGRADES, {"applications": ["wiki"]}, format="json"),
        client.post(PREVIEW, {"applications": ["wiki"]}, format="json"),
        client.put(CONFIGURATION, {"config": {"title": "Books"}}, format="json"),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert Change.objects.count() == 1


def test_a_stranger_sees_what_a_missing_environment_shows(
    desk: Desk, org_admin: User, stranger: User, api_as: Callable[..., APIClient]
) -> None:
    for method, path in [
        ("GET", UPGRADES),
        ("POST", UPGRADES),
        ("POST", PREVIEW),
        ("PUT", CONFIGURATION),
        ("GET", WHY),
    ]:
        foreign = api_as(stranger).generic(method, path, "{}", content_type="application/json")
        missing = api_as(org_admin).generic(
            method, path.replace("/prod/", "/dev/"), "{}", content_type="application/json"
        )
        assert (foreign.status_code, missing.status_code, method, path) == (404, 404, method, path)
        assert foreign.json() == missing.json()
