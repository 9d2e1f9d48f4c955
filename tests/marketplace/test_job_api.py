"""Jobs, and what begins them, over HTTP and in the console: by role, by Organization, and with their refusals."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from marketplace.models import Job
from marketplace.services.job_kinds import Wait
from marketplace.services.jobs import start_job
from marketplace.services.jobs_drive import drive_jobs
from tenancy.models import Environment, Membership, Organization, Sovereign, User
from tests.factories import EnvironmentFactory, MembershipFactory, UserFactory
from tests.marketplace import job_kinds
from tests.marketplace.job_kinds import KIND, answers

pytestmark = pytest.mark.django_db(transaction=True)

ACME = "/api/v1/organizations/acme/"
JOBS = f"{ACME}jobs/"


@pytest.fixture(autouse=True)
def _kind(sovereign: Sovereign) -> Iterator[None]:
    with job_kinds.registered():
        yield


@pytest.fixture
def environment(organization: Organization) -> Environment:
    return EnvironmentFactory.create(organization=organization, env_type="dev")


@pytest.fixture
def job(organization: Organization, environment: Environment, org_admin: User) -> Job:
    """Return one that waits in its second step."""
    now = timezone.now()
    with transaction.atomic(durable=True):
        made = start_job(
            kind=KIND, organization=organization, environment=environment, subject={}, actor=org_admin, now=now
        )
    answers["second"] = [Wait(now + timedelta(minutes=5), "not <yet>", progress=40)]
    drive_jobs(owner="worker-1", now=now)
    return made


def member(organization: Organization, role: str, **scope: Any) -> User:
    return MembershipFactory.create(organization=organization, role=role, **scope).user


def test_members_read_jobs_and_their_log_from_any_line(job: Job, organization: Organization, api_as: Any) -> None:
    api = api_as(member(organization, Membership.Role.VIEWER))

    (row,) = api.get(JOBS).json()["results"]
    assert (row["id"], row["state"], row["environment"]) == (str(job.pk), "running", "acme-dev")
    shown = api.get(f"{JOBS}{job.pk}/").json()
    assert [(step["name"], step["state"], step["progress"]) for step in shown["steps"]] == [
        ("first", "succeeded", 100),
        ("second", "running", 40),
        ("third", "pending", 0),
    ]
    lines = api.get(f"{JOBS}{job.pk}/lines/?after=2").json()
    assert [(line["number"], line["text"]) for line in lines] == [(3, "running"), (4, "running: not <yet>")]
    assert api.get(f"{JOBS}{job.pk}/lines/?after=-1").status_code == 400


def test_strangers_and_other_scopes_find_nothing(
    job: Job, organization: Organization, stranger: User, api_as: Any
) -> None:
    narrow = member(organization, Membership.Role.DEVELOPER, env_types=["prod"])

    assert api_as(stranger).get(f"{JOBS}{job.pk}/").status_code == 404
    assert api_as(narrow).get(f"{JOBS}{job.pk}/").status_code == 404
    assert api_as(narrow).get(JOBS).json()["results"] == []
    assert api_as(stranger).get(f"/api/v1/organizations/globex/jobs/{job.pk}/lines/").status_code == 404


def test_an_administrator_cancels(job: Job, organization: Organization, org_admin: User, api_as: Any) -> None:
    address = f"{JOBS}{job.pk}/cancel/"
    assert api_as(member(organization, Membership.Role.DEVELOPER)).post(address).status_code == 403

    answer = api_as(org_admin).post(address)

    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert api_as(org_admin).post(address).json()["code"] == "invalid_transition"


def test_staff_try_again_what_failed(job: Job, org_admin: User, api_as: Any) -> None:
    address = f"/api/v1/jobs/{job.pk}/retry/"
    support = api_as(UserFactory.create(staff_role=User.StaffRole.SUPPORT))
    assert support.post(address).json()["code"] == "invalid_transition"
    job_kinds.end_leases()
    drive_jobs(owner="worker-1", now=timezone.now() + KIND.deadline)

    assert api_as(org_admin).post(address).status_code == 403
    assert support.post(address).json()["state"] == "pending"
    assert support.post("/api/v1/jobs/00000000-0000-4000-8000-000000000000/retry/").status_code == 404


def test_an_environment_is_deleted_by_its_typed_name(
    organization: Organization, environment: Environment, org_admin: User, api_as: Any
) -> None:
    address = f"{ACME}environments/dev/"
    developer = api_as(member(organization, Membership.Role.DEVELOPER))
    assert developer.get(address).json()["name"] == "acme-dev"
    assert developer.delete(address, {"name": "acme-dev"}, format="json").status_code == 403
    wrong = api_as(org_admin).delete(address, {"name": "acme"}, format="json")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "name_not_typed")

    answer = api_as(org_admin).delete(address, {"name": "acme-dev"}, format="json")

    assert (answer.status_code, answer.json()["kind"]) == (202, "delete_environment")
    again = api_as(org_admin).delete(address, {"name": "acme-dev"}, format="json")
    assert (again.status_code, again.json()["job"]) == (409, answer.json()["id"])
    assert api_as(org_admin).delete(f"{ACME}environments/uat/", {"name": "x"}, format="json").status_code == 404


def test_an_organization_is_deleted_and_kept_when_cancelled(
    organization: Organization, environment: Environment, org_admin: User, api_as: Any
) -> None:
    api = api_as(org_admin)

    answer = api.delete(ACME, {"name": "acme"}, format="json")

    assert (answer.status_code, answer.json()["kind"]) == (202, "offboard_organization")
    refused = api.post(f"{ACME}environments/", {"env_type": "uat"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "organization_deleting")
    assert api.post(f"{JOBS}{answer.json()['id']}/cancel/").json()["state"] == "cancelled"
    organization.refresh_from_db()
    assert organization.state == "active"


@pytest.mark.parametrize("path", ["protection/", "purge/"])
def test_what_is_not_there_is_not_found(environment: Environment, org_admin: User, api_as: Any, path: str) -> None:
    body = {"is_protected": True} if path == "protection/" else {"name": "wiki"}
    send = api_as(org_admin).put if path == "protection/" else api_as(org_admin).post

    answer = send(f"{ACME}environments/dev/applications/wiki/{path}", body, format="json")

    assert answer.status_code == 404


def test_the_pages_of_jobs(job: Job, organization: Organization, org_admin: User, stranger: User) -> None:
    reader = Client()
    reader.force_login(org_admin)
    address = f"/console/acme/jobs/{job.pk}/"

    listed = reader.get("/console/acme/jobs/").content.decode()
    shown = reader.get(address).content.decode()
    later = reader.get(f"{address}?after=3").content.decode()

    assert f'href="{address}"' in listed
    for text in ["Second", "40 %", "not &lt;yet&gt;", 'id="line-1"', "Cancel this job", 'http-equiv="refresh"']:
        assert text in shown, text
    assert ('id="line-3"' in later, 'id="line-4"' in later) == (False, True)
    assert reader.post(f"{address}cancel/").status_code == 303
    assert "Cancel this job" not in reader.get(address).content.decode()
    reader.force_login(stranger)
    assert reader.get(address).status_code == 404
    assert reader.get("/console/globex/jobs/").content.decode().count("No jobs yet") == 1
    reader.force_login(member(organization, Membership.Role.BILLING))
    assert reader.get("/console/acme/jobs/").status_code == 403


def test_the_pages_that_delete(
    organization: Organization, environment: Environment, org_admin: User, stranger: User
) -> None:
    reader = Client()
    reader.force_login(org_admin)
    page, place = "/console/acme/dev/settings/", "/console/acme/settings/"

    assert f'href="{page}"' in reader.get(place).content.decode()
    assert "Nothing is kept here." in reader.get(page).content.decode()
    wrong = reader.post(page, {"name": "acme"})
    assert (wrong.status_code, "Type acme-dev to confirm." in wrong.content.decode()) == (422, True)
    begun = reader.post(page, {"name": "acme-dev"})
    assert begun.headers["Location"] == reverse("console-job", args=["acme", Job.objects.get().pk])
    assert "This environment is being deleted." in reader.get(page).content.decode()
    assert reader.get("/console/acme/applications/dev/wiki/data/").status_code == 404
    reader.force_login(stranger)
    assert (reader.get(page).status_code, reader.post(place, {"name": "acme"}).status_code) == (404, 404)
    reader.force_login(member(organization, Membership.Role.DEVELOPER))
    assert "Type" not in reader.get(page).content.decode()
    assert (reader.post(page, {"name": "acme-dev"}).status_code, reader.post(place).status_code) == (403, 403)


def test_staff_try_again_from_the_list(job: Job) -> None:
    job_kinds.end_leases()
    drive_jobs(owner="worker-1", now=timezone.now() + KIND.deadline)
    client = Client(HTTP_ACCEPT_LANGUAGE="en")
    client.force_login(UserFactory.create(staff_role=User.StaffRole.SUPPORT))
    address = reverse("admin:marketplace_job_changelist")

    asked = client.post(address, {"action": "try_again", "_selected_action": [str(job.pk)]})
    client.post(address, {"action": "try_again", "_selected_action": [str(job.pk)], "confirmed": "yes"})

    assert "Try these jobs again?" in asked.content.decode()
    job.refresh_from_db()
    assert job.state == "pending"
    assert client.get(reverse("admin:marketplace_job_change", args=[job.pk])).status_code == 200
