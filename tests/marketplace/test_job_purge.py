"""The data of a removed Application is kept, shown, and deleted for good by a Job that sees it gone."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalyst.core.errors import NotFound
from catalyst.core.models import Incident, Outbox
from marketplace.models import Application, Change, Job
from marketplace.selectors.kept_data import kept_applications, names_being_purged
from marketplace.services.application_data import (
    NameNotTyped,
    NotRemoved,
    kept_data,
    purge_due,
    start_purge,
)
from marketplace.services.delivery import InstallationNotPlanned
from marketplace.services.jobs import JobRunning, retry_job
from marketplace.services.jobs_drive import drive_jobs
from marketplace.services.protection import set_protection
from tenancy.models import AuditEntry, Organization, Sovereign, User
from tests.factories import MembershipFactory
from tests.marketplace.deliver_rows import LATER, Desk
from tests.marketplace.job_desk import GONE, application, course, drive, open_sandbox, take_away
from tests.marketplace.killing import killed_at

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    return open_sandbox(sovereign, organization, org_admin)


def purge(desk: Desk, name: str = "wordpress", typed: str = "wordpress") -> Job:
    return start_purge(environment=desk.environment(), name=name, typed=typed, actor=desk.buyer, now=LATER)


def test_what_dies_is_shown_and_then_gone(desk: Desk) -> None:
    take_away(desk)
    shown = kept_data(kept_applications(desk.environment()).get(slug="wordpress"))
    assert (shown.namespace, shown.databases) == ("prod-wordpress", ["shared-mysql"])
    assert [claim.name for claim in shown.claims] != []

    job = purge(desk)
    assert names_being_purged(desk.environment().pk) == {"wordpress"}
    with pytest.raises(InstallationNotPlanned, match="The old data of wordpress is being deleted"):
        desk.deliver(desk.order_at(30, "OMN-2026-000002"))
    drive()

    assert course(job) == {"": "succeeded", "check": "succeeded", "delete_data": "succeeded"}
    assert application().purged_at == LATER
    assert application("shared-mysql").purged_at is None
    assert names_being_purged(desk.environment().pk) == set()
    assert [row.slug for row in kept_applications(desk.environment())] == ["shared-mysql"]
    assert AuditEntry.objects.filter(action="application.purged").count() == 1
    assert Outbox.objects.filter(topic="application.purged").count() == 1


def test_it_is_refused_without_a_trace(desk: Desk) -> None:
    with pytest.raises(NotRemoved):
        purge(desk)
    desk.tell("canceled", 20)
    with pytest.raises(NotRemoved):
        purge(desk)
    with pytest.raises(NotFound):
        purge(desk, name="gitea", typed="gitea")
    change = Change.objects.get(kind="offboard")
    desk.cluster_says(change.base_commit, "shared-mysql", "wordpress", message=GONE)
    with pytest.raises(NameNotTyped) as typo:
        purge(desk, typed="wordpres")
    assert (typo.value.pointer, Job.objects.count()) == ("/name", 0)

    job = purge(desk)
    with pytest.raises(JobRunning) as second:
        purge(desk)

    assert second.value.extra == {"job": str(job.pk)}
    assert Job.objects.count() == 1


def test_its_pages_say_what_dies_and_until_when(desk: Desk, client: Client, api_as: Any) -> None:
    developer = MembershipFactory.create(organization=desk.organization, role="org-developer").user
    client.force_login(developer)
    protection = "/console/acme/applications/prod/wordpress/protection/"
    assert client.post(protection, {"protect": "yes"}).status_code == 303
    assert "Lift the protection" not in client.get("/console/acme/applications/prod/wordpress/").content.decode()
    assert client.post(protection, {"protect": "no"}).status_code == 403
    client.force_login(desk.buyer)
    assert "Lift the protection" in client.get("/console/acme/applications/prod/wordpress/").content.decode()
    address = "/api/v1/organizations/acme/environments/prod/applications/wordpress/"
    assert api_as(developer).put(f"{address}protection/", {"is_protected": False}, format="json").status_code == 403
    lifted = api_as(desk.buyer).put(f"{address}protection/", {"is_protected": False}, format="json")
    assert lifted.json() == {"is_protected": False}

    take_away(desk)
    purge_due(now=LATER)
    shown = api_as(desk.buyer).get(f"{address}purge/").json()
    page = client.get("/console/acme/applications/prod/wordpress/data/").content.decode()
    assert "Data kept until" in client.get("/console/acme/prod/settings/").content.decode()
    assert shown["namespace"] == "prod-wordpress"
    for text in [shown["volumes"][0]["name"], "prod-wordpress", "shared-mysql", "Data kept until"]:
        assert text in page, text
    client.force_login(developer)
    assert client.get("/console/acme/applications/prod/wordpress/data/").status_code == 403
    client.force_login(desk.buyer)
    answer = client.post("/console/acme/applications/prod/wordpress/data/", {"name": "wordpress"})
    assert answer.status_code == 303
    assert Job.objects.get().kind == "purge_application"


def test_data_of_a_name_that_is_in_use_again_stays(desk: Desk) -> None:
    take_away(desk)
    Sovereign.objects.update(is_sandbox=False)
    job = purge(desk)
    drive()
    assert course(job) == {"": "failed", "check": "succeeded", "delete_data": "failed"}
    assert "Set CATALYST_KUBERNETES_API_URL" in job.status_reason
    assert Incident.objects.filter(kind="job_failed").count() == 1
    gone = application()
    desk.deliver(desk.order_at(30, "OMN-2026-000002"))
    assert application().pk > gone.pk

    Sovereign.objects.update(is_sandbox=True)
    retry_job(job_id=job.pk, actor="support", now=LATER)
    drive()

    assert course(job)[""] == "failed"
    assert job.status_reason == "Its name is in use again, so its data belongs to what runs now."
    assert not Application.objects.exclude(purged_at=None).exists()
    with pytest.raises(NotRemoved):
        purge(desk)


def test_it_is_due_after_fourteen_days(desk: Desk) -> None:
    take_away(desk)
    gone_at = application().gone_at
    assert gone_at is not None
    assert purge_due(now=gone_at) == 0
    assert application().purge_at == gone_at + timedelta(days=14)

    assert purge_due(now=gone_at + timedelta(days=14) - timedelta(seconds=5)) == 0
    due = gone_at + timedelta(days=14, minutes=5)
    assert purge_due(now=due) == 2
    assert purge_due(now=due) == 0
    drive(now=due)

    assert set(Application.objects.values_list("purged_at", flat=True)) == {due}
    assert purge_due(now=due) == 0
    assert Job.objects.filter(requested_by=None, state="succeeded").count() == 2


@pytest.mark.parametrize("point", ["job.step.after_effect", "job.record.in_tx"])
def test_a_worker_that_dies_while_it_deletes_is_followed(desk: Desk, point: str) -> None:
    take_away(desk)
    job = purge(desk)
    killed_at(point, lambda: drive_jobs(owner="worker-0", now=LATER))

    drive()

    assert course(job)[""] == "succeeded"
    assert AuditEntry.objects.filter(action="application.purged").count() == 1


def test_protection_is_set_and_lifted_with_a_trace(desk: Desk) -> None:
    for is_protected in (True, True, False):
        set_protection(
            environment=desk.environment(), name="wordpress", is_protected=is_protected, actor=desk.buyer, now=LATER
        )

    assert application().is_protected is False
    actions = AuditEntry.objects.filter(action__contains="protected").order_by("id")
    assert list(actions.values_list("action", flat=True)) == ["application.protected", "application.unprotected"]
    with pytest.raises(NotFound):
        set_protection(environment=desk.environment(), name="gitea", is_protected=True, actor=desk.buyer, now=LATER)
