"""The history over the API: who approved and why, the lines of a commit, an Environment as of a commit."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from marketplace.models import Change, ChangeApproval
from marketplace.services.change_previews import apply_preview, preview_change
from marketplace.services.changes_commit import commit_changes
from marketplace.services.changes_repository import repository_path
from marketplace.services.planner_request import ChangeRequest
from tenancy.models import Membership, Organization, Sovereign, User
from tests.factories import MembershipFactory
from tests.marketplace.deliver_rows import LATER, Desk
from tests.marketplace.upgrade_rows import needs, publish, ready, settings_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nothing_is_sold")]

ROOT = "/api/v1/organizations/acme/environments/prod"


@pytest.fixture
def paused(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Change:
    """Install a wiki on a database and pause it; somebody approved that."""
    publish("sql", "1.0.0", kind="service")
    publish("wiki", "1.2.0", depends=[needs("sql", "^1.0", "db")], spec={"configSchema": settings_of("title")})
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    preview = preview_change(
        environment=desk.environment(),
        request=ChangeRequest(pause=("wiki",)),
        actor=org_admin,
        reason="Holidays.",
        now=LATER,
    )
    change = apply_preview(environment=desk.environment(), preview_id=preview.pk, actor=org_admin, now=LATER)
    approver = MembershipFactory.create(organization=organization, role=Membership.Role.SECURITY).user
    for is_emergency, reason in ((False, ""), (True, "It burns.")):
        ChangeApproval.objects.create(
            organization=organization,
            change=change,
            preview=preview,
            approver=approver,
            role="security-officer",
            is_emergency=is_emergency,
            reason=reason,
            created_at=LATER,
        )
    commit_changes(environment_id=change.environment_id, owner="worker-1", now=LATER)
    change.refresh_from_db()
    return change


def test_a_change_says_why_and_who_approved(paused: Change, org_admin: User, api_as: Callable[..., APIClient]) -> None:
    said = api_as(org_admin).get(f"{ROOT}/changes/{paused.pk}/").json()

    approval = ChangeApproval.objects.first()
    assert approval is not None
    assert said["reason"] == "Holidays."
    assert said["approvals"] == [approval.approver.display_name]
    assert (said["preview"], said["reverts"], said["promoted_from"]) == (paused.preview_id, None, "")
    assert (said["gates"], said["is_emergency"]) == ([], False)


def test_the_lines_of_a_commit(paused: Change, org_admin: User, api_as: Callable[..., APIClient]) -> None:
    said = api_as(org_admin).get(f"{ROOT}/changes/{paused.pk}/diff/").json()

    files = {each["path"]: each for each in said["files"]}
    assert files["apps/wiki/application.yaml"]["change"] == "modified"
    assert '+  state: "paused"' in files["apps/wiki/application.yaml"]["diff"]
    assert not any("shared-sql" in path for path in files)


def test_an_environment_as_of_a_commit(paused: Change, org_admin: User, api_as: Callable[..., APIClient]) -> None:
    client = api_as(org_admin)

    then = client.get(f"{ROOT}/at/{paused.base_commit}/").json()
    now = client.get(f"{ROOT}/at/{paused.commit}/").json()

    assert (then["is_current"], now["is_current"]) == (False, True)
    assert [(each["name"], each["version"]) for each in then["applications"]] == [
        ("shared-sql", "1.0.0"),
        ("wiki", "1.2.0"),
    ]
    assert [each["state"] for each in now["applications"]] == ["active", "paused"]
    assert client.get(f"{ROOT}/at/{'0' * 40}/").status_code == 404


def test_an_unreadable_repository_is_503_and_nothing_is_made(
    paused: Change, org_admin: User, api_as: Callable[..., APIClient]
) -> None:
    place = repository_path(paused.environment)
    shutil.rmtree(place)

    answer = api_as(org_admin).get(f"{ROOT}/changes/{paused.pk}/diff/")

    assert (answer.status_code, answer.json()["code"]) == (503, "repository_unreadable")
    assert not place.exists()


def test_who_may_not_look_and_strangers(
    paused: Change, organization: Organization, stranger: User, api_as: Callable[..., APIClient]
) -> None:
    billing = api_as(MembershipFactory.create(organization=organization, role=Membership.Role.BILLING).user)
    for address in (f"{ROOT}/changes/{paused.pk}/diff/", f"{ROOT}/at/{paused.commit}/"):
        assert api_as(stranger).get(address).status_code == 404
        assert billing.get(address).status_code == 403
