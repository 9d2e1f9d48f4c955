"""A suspended Organization reads and changes nothing, and what it runs pauses; staff alone suspend and resume it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.utils import IntegrityError
from django.test import Client
from django.urls import reverse

from catalyst.core.errors import InvalidTransition
from catalyst.core.models import Outbox
from marketplace.models import Application, Change
from marketplace.services.organization_news import follow_organization
from tenancy.models import AuditEntry, Environment, Organization, Sovereign, User
from tenancy.services import environment_life
from tenancy.services.organization_life import ReasonMissing, release_names, resume_organization, suspend_organization
from tests.factories import EnvironmentFactory, OrganizationFactory, UserFactory
from tests.marketplace.deliver_rows import Desk, open_desk, publish_events

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SUSPENSION = "/api/v1/organizations/acme/suspension/"


@pytest.fixture
def staff() -> User:
    return UserFactory.create(staff_role=User.StaffRole.ADMIN)


def suspend(organization: Organization, staff: User) -> None:
    suspend_organization(organization_id=organization.pk, reason="Not paid.", actor=staff, now=NOW)
    organization.refresh_from_db()


def test_staff_suspend_with_a_reason_and_resume(organization: Organization, staff: User, api_as: Any) -> None:
    client = api_as(staff)

    assert client.put(SUSPENSION, {"reason": " "}, format="json").json()["code"] == "reason_missing"
    answer = client.put(SUSPENSION, {"reason": "Not paid."}, format="json")
    again = client.put(SUSPENSION, {"reason": "Not paid."}, format="json")

    assert (answer.status_code, answer.json()["state"]) == (200, "suspended")
    assert (again.status_code, again.json()["code"]) == (409, "invalid_transition")
    assert client.delete(SUSPENSION).json()["state"] == "active"
    assert client.put("/api/v1/organizations/nowhere/suspension/", {"reason": "x"}, format="json").status_code == 404
    actions = list(AuditEntry.objects.filter(action__startswith="organization.").values_list("action", flat=True))
    assert actions == ["organization.suspended", "organization.resumed"]
    assert Outbox.objects.get(topic="organization.suspended").payload["reason"] == "Not paid."


def test_support_and_members_may_not(organization: Organization, org_admin: User, api_as: Any) -> None:
    support = UserFactory.create(staff_role=User.StaffRole.SUPPORT)

    for user in (support, org_admin):
        assert api_as(user).put(SUSPENSION, {"reason": "x"}, format="json").status_code == 403

    organization.refresh_from_db()
    assert organization.state == "active"


def test_members_read_and_write_nothing(
    sovereign: Sovereign, organization: Organization, org_admin: User, staff: User, api_as: Any, client: Client
) -> None:
    api = api_as(org_admin)
    suspend(organization, staff)

    assert api.get("/api/v1/organizations/acme/").json()["state_reason"] == "Not paid."
    refused = api.post("/api/v1/organizations/acme/environments/", {"env_type": "dev"}, format="json")
    assert (refused.status_code, refused.json()["code"], refused.json()["reason"]) == (
        409,
        "organization_suspended",
        "Not paid.",
    )
    client.force_login(org_admin)
    assert "Not paid." in client.get("/console/acme/settings/").content.decode()
    assert client.post("/console/acme/settings/", {"name": "acme"}).status_code == 409
    assert not Environment.objects.exists()


def test_a_refusal_changes_nothing(organization: Organization, staff: User) -> None:
    with pytest.raises(ReasonMissing):
        suspend_organization(organization_id=organization.pk, reason="x" * 501, actor=staff, now=NOW)
    with pytest.raises(InvalidTransition):
        resume_organization(organization_id=organization.pk, actor=staff, now=NOW)

    assert (Outbox.objects.count(), AuditEntry.objects.count()) == (0, 0)


def test_the_database_refuses_other_moves(organization: Organization) -> None:
    with pytest.raises(IntegrityError, match="illegal step"), transaction.atomic(durable=True):
        Organization.objects.filter(pk=organization.pk).update(state="deleted", deleted_at=NOW)
    with pytest.raises(IntegrityError, match="organization_deleted"), transaction.atomic(durable=True):
        OrganizationFactory.create(state="deleted")


def test_names_are_held_for_ninety_days() -> None:
    OrganizationFactory.create(slug="gone", state="deleted", deleted_at=NOW)

    assert release_names(now=NOW + timedelta(days=90) - timedelta(seconds=1)) == 0
    with pytest.raises(IntegrityError, match="organization_slug_once"), transaction.atomic(durable=True):
        OrganizationFactory.create(slug="gone")
    assert release_names(now=NOW + timedelta(days=90)) == 1
    OrganizationFactory.create(slug="gone")


def test_a_deleted_environment_is_found_by_nobody_and_its_type_is_free(organization: Organization) -> None:
    environment = EnvironmentFactory.create(organization=organization, env_type="dev")
    with transaction.atomic(durable=True):
        environment_life.begin_deletion(environment_id=environment.pk, actor="test", now=NOW)
    environment_life.finish_deletion(environment_id=environment.pk, actor="test", now=NOW)
    environment_life.finish_deletion(environment_id=environment.pk, actor="test", now=NOW)

    assert not Environment.objects.exists()
    assert list(organization.environments.all()) == []
    EnvironmentFactory.create(organization=organization, env_type="dev")
    assert Environment.every.count() == 2
    assert Outbox.objects.filter(topic="environment.deleted").count() == 1


def test_staff_suspend_from_the_list_with_a_reason(
    organization: Organization, staff: User, sovereign: Sovereign
) -> None:
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(staff)
    sent = {"action": "suspend", "_selected_action": [str(organization.pk)]}
    address = reverse("admin:tenancy_organization_changelist")

    asked = client.post(address, sent).content.decode()
    empty = client.post(address, {**sent, "confirmed": "yes", "reason": " "}).content.decode()
    organization.refresh_from_db()
    assert organization.state == "active"
    assert "The members of the organization read it." in asked
    assert "Say why" in empty

    client.post(address, {**sent, "confirmed": "yes", "reason": "Abuse."})
    organization.refresh_from_db()
    assert (organization.state, organization.state_reason) == ("suspended", "Abuse.")
    client.post(address, {**sent, "action": "resume", "confirmed": "yes"})
    organization.refresh_from_db()
    assert organization.state == "active"


def test_what_it_runs_pauses_and_resumes_by_one_commit_each(
    sovereign: Sovereign, organization: Organization, org_admin: User, staff: User, catalyst_home: Any
) -> None:
    desk = open_desk(organization, org_admin)
    desk.deliver()
    suspend(organization, staff)
    _follow(desk, "organization.suspended", 20)
    _follow(desk, "organization.suspended", 20)
    assert set(Application.objects.values_list("state", flat=True)) == {"paused"}
    # It is paid meanwhile: nothing starts while the staff's word stands.
    assert desk.tell("resumed", 25) is None
    assert set(Application.objects.values_list("state", flat=True)) == {"paused"}

    resume_organization(organization_id=organization.pk, actor=staff, now=NOW)
    _follow(desk, "organization.resumed", 30)

    assert set(Application.objects.values_list("state", flat=True)) == {"active"}
    kinds = list(Change.objects.order_by("seq").values_list("kind", flat=True))
    assert kinds == ["install", "pause", "resume"]
    reasons = [commit.message for commit in desk.history()][1:]
    assert "> The Organization is suspended." in reasons[0]
    assert "> The Organization is resumed." in reasons[1]


def test_what_is_not_paid_stays_paused(
    sovereign: Sovereign, organization: Organization, org_admin: User, staff: User, catalyst_home: Any
) -> None:
    desk = open_desk(organization, org_admin)
    desk.deliver()
    _say_suspended(desk)
    desk.tell("suspended", 10)
    suspend(organization, staff)
    _follow(desk, "organization.suspended", 20)
    resume_organization(organization_id=organization.pk, actor=staff, now=NOW)

    assert _follow(desk, "organization.resumed", 30) == []

    assert set(Application.objects.values_list("state", flat=True)) == {"paused"}


def _say_suspended(desk: Desk) -> None:
    """Put the subscription's own word into the log, as billing does."""
    with transaction.atomic(durable=True):
        Outbox.objects.create(
            topic="subscription.suspended",
            dedup_key="subscription.suspended:12",
            stream=f"organization:{desk.organization.pk}",
            payload={"organization": desk.organization.pk, "env_type": "prod"},
            sequence=None,
        )
    publish_events()


def _follow(desk: Desk, topic: str, sequence: int) -> list[Change]:
    said = Outbox.objects.filter(topic=topic).latest("pk")
    message = desk.event("suspended", sequence)
    return follow_organization(
        type(message)(said.pk, topic, said.dedup_key, said.stream, said.payload, NOW, sequence + 1000),
        owner="worker-1",
        now=NOW,
    )
