"""Change previews over the API: shapes, rights, refusals, strangers."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from marketplace.models import Change, ChangePreview
from marketplace.services.changes_commit import commit_changes
from tenancy.models import Membership, Organization, Sovereign, User
from tests.factories import MembershipFactory
from tests.marketplace.deliver_rows import Desk, publish_events
from tests.marketplace.upgrade_rows import needs, publish, ready, settings_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nothing_is_sold")]

ROOT = "/api/v1/organizations/acme/environments/prod"
PREVIEWS = f"{ROOT}/change-previews/"


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    publish("sql", "1.0.0", kind="service")
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")], spec={"configSchema": settings_of("title")})
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    return desk


def save(change: Change) -> None:
    """Do what the worker does when it sees the event."""
    commit_changes(environment_id=change.environment_id, owner="worker-1", now=timezone.now())


def member(organization: Organization, role: str) -> User:
    return MembershipFactory.create(organization=organization, role=role).user


def test_a_developer_looks_and_applies(
    desk: Desk, organization: Organization, api_as: Callable[..., APIClient]
) -> None:
    client = api_as(member(organization, Membership.Role.DEVELOPER))
    asked = {"configure": [{"application": "wiki", "config": {"title": "A"}}], "pause": ["wiki"], "reason": "Holidays."}

    looked = client.post(PREVIEWS, asked, format="json")

    assert looked.status_code == 201
    said = looked.json()
    assert set(said) >= {
        "id",
        "base_commit",
        "lock_diff",
        "manifest_diff",
        "cost_delta",
        "capacity",
        "policy",
        "problems",
    }
    assert client.get(f"{PREVIEWS}{said['id']}/").json() == said
    assert [each["id"] for each in client.get(PREVIEWS).json()] == [said["id"]]

    applied = client.post(f"{PREVIEWS}{said['id']}/apply/")

    assert (applied.status_code, applied.json()["state"], applied.json()["commit"]) == (201, "committing", "")
    publish_events()
    change = Change.objects.get(pk=applied.json()["change"])
    save(change)
    change.refresh_from_db()
    assert change.commit == desk.environment().head_commit
    assert "> Holidays." in desk.history()[-1].message
    assert client.post(f"{PREVIEWS}{said['id']}/apply/").json()["commit"] == change.commit


def test_a_stale_preview_answers_409_with_the_new_one(desk: Desk, api_as: Callable[..., APIClient]) -> None:
    client = api_as(desk.buyer)
    first = client.post(PREVIEWS, {"pause": ["wiki"]}, format="json").json()
    second = client.post(PREVIEWS, {"configure": [{"application": "wiki", "config": {"title": "B"}}]}, format="json")
    applied = client.post(f"{PREVIEWS}{second.json()['id']}/apply/").json()
    save(Change.objects.get(pk=applied["change"]))

    refused = client.post(f"{PREVIEWS}{first['id']}/apply/")

    assert (refused.status_code, refused.json()["code"]) == (409, "base_commit_moved")
    assert refused.json()["preview"]["id"] != first["id"]


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"upgrade": ["nothing"]}, 404, "not_found"),
        ({"install": [{"blueprint": "bp-none"}]}, 422, "unresolvable"),
        ({"install": [{}]}, 400, "invalid_request"),
        ({"promote_from": "stg"}, 404, "not_found"),
        ({}, 409, "nothing_to_change"),
    ],
)
def test_refusals_have_their_codes(
    desk: Desk, api_as: Callable[..., APIClient], asked: dict[str, Any], status: int, code: str
) -> None:
    answer = api_as(desk.buyer).post(PREVIEWS, asked, format="json")

    assert (answer.status_code, ChangePreview.objects.count()) == (status, 0)
    assert answer.json()["code"] == code


def test_who_may_not_look_is_refused_and_strangers_find_nothing(
    desk: Desk, organization: Organization, stranger: User, api_as: Callable[..., APIClient]
) -> None:
    mine = api_as(desk.buyer).post(PREVIEWS, {"pause": ["wiki"]}, format="json").json()
    viewer = api_as(member(organization, Membership.Role.VIEWER))
    apply = f"{PREVIEWS}{mine['id']}/apply/"

    assert viewer.get(f"{PREVIEWS}{mine['id']}/").status_code == 200
    assert viewer.post(PREVIEWS, {"pause": ["wiki"]}, format="json").status_code == 403
    assert viewer.post(apply).status_code == 403
    for address in (PREVIEWS, f"{PREVIEWS}{mine['id']}/"):
        assert api_as(stranger).get(address).status_code == 404
    assert api_as(stranger).post(apply).status_code == 404
    assert Change.objects.count() == 1
