"""Applications and Changes over the API."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from marketplace.models import Change
from tenancy.models import Membership, Organization, Sovereign, User
from tests.factories import MembershipFactory
from tests.marketplace.deliver_rows import Desk, open_desk, publish_events

pytestmark = pytest.mark.django_db

ROOT = "/api/v1/organizations/acme/environments"


@pytest.fixture
def change(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Change:
    desk: Desk = open_desk(organization, org_admin)
    change = desk.deliver(now=timezone.now())
    publish_events()
    return change


def test_lists_applications_by_name(change: Change, org_admin: User, api_as: Callable[..., APIClient]) -> None:
    answer = api_as(org_admin).get(f"{ROOT}/prod/applications/")

    assert answer.status_code == 200
    assert set(answer.json()) == {"next", "previous", "results"}
    assert answer.json()["results"][1] == {
        "name": "wordpress",
        "blueprint": "bp-wordpress",
        "version": "1.0.0",
        "status": "installing",
        "status_reason": "",
        "observed_at": None,
        "url": "https://wordpress.acme-prod.cloud.example.om",
        "depends_on": ["shared-mysql"],
        "commit": change.commit,
    }
    assert [row["name"] for row in answer.json()["results"]] == ["shared-mysql", "wordpress"]
    assert api_as(org_admin).get(f"{ROOT}/prod/applications/wordpress/").json() == answer.json()["results"][1]


def test_lists_changes_with_what_they_touched(
    change: Change, org_admin: User, api_as: Callable[..., APIClient]
) -> None:
    row = api_as(org_admin).get(f"{ROOT}/prod/changes/").json()["results"][0]

    assert (row["id"], row["order"], row["seq"]) == (str(change.pk), "OMN-2026-000001", 1)
    assert (row["commit"], row["state"], row["approvals"]) == (change.commit, "reconciling", [])
    assert row["author"] == org_admin.display_name
    assert {"path": "apps/wordpress/application.yaml", "change": "added"} in row["diff"]
    assert org_admin.email not in str(row)
    assert api_as(org_admin).get(f"{ROOT}/prod/changes/{change.pk}/").json() == row


@pytest.mark.parametrize("path", ["applications/", "applications/wordpress/", "changes/", "changes/{change}/"])
def test_a_stranger_sees_what_a_missing_environment_shows(
    change: Change, org_admin: User, stranger: User, api_as: Callable[..., APIClient], path: str
) -> None:
    asked = path.format(change=change.pk)
    foreign = api_as(stranger).get(f"{ROOT}/prod/{asked}")
    missing = api_as(org_admin).get(f"{ROOT}/dev/{asked}")

    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert foreign.json() == missing.json()


def test_a_member_limited_to_other_environments_sees_nothing(
    change: Change, organization: Organization, api_as: Callable[..., APIClient]
) -> None:
    limited = MembershipFactory.create(organization=organization, role=Membership.Role.VIEWER, env_types=["dev"]).user

    assert api_as(limited).get(f"{ROOT}/prod/applications/").status_code == 404


def test_a_role_without_the_right_is_refused(
    change: Change, organization: Organization, api_as: Callable[..., APIClient]
) -> None:
    biller = MembershipFactory.create(organization=organization, role=Membership.Role.BILLING).user

    assert api_as(biller).get(f"{ROOT}/prod/changes/").status_code == 403


@pytest.mark.parametrize("path", ["applications/nothing/", "changes/00000000-0000-4000-8000-000000000000/"])
def test_what_is_missing_is_not_found(
    change: Change, org_admin: User, api_as: Callable[..., APIClient], path: str
) -> None:
    assert api_as(org_admin).get(f"{ROOT}/prod/{path}").status_code == 404
