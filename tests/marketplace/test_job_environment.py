"""An Environment, and an Organization, are deleted step by step; each is ``deleting`` until all of it is seen gone."""

import subprocess
from typing import Any

import pytest

from catalyst.core.errors import DomainError, InvalidTransition
from catalyst.core.models import Outbox
from marketplace.models import Application, ApplicationStatus, Change, Job
from marketplace.selectors import obligations
from marketplace.services import environment_jobs, organization_jobs
from marketplace.services.application_data import NameNotTyped
from marketplace.services.changes_repository import repository_path
from marketplace.services.delivery import InstallationNotPlanned
from marketplace.services.jobs import JobNotCancellable, cancel_job, retry_job
from marketplace.services.jobs_drive import drive_jobs
from marketplace.services.protection import set_protection
from marketplace.services.repository_archive import archive_path
from tenancy.models import ApiToken, AuditEntry, Environment, Membership, Organization, Sovereign, User
from tenancy.selectors.organizations import organizations_of
from tenancy.services.environments import ensure_environment
from tenancy.services.organization_life import NAME_HOLD, release_names
from tenancy.services.organizations import create_organization
from tenancy.services.slugs import SlugTaken
from tenancy.services.tokens import issue_token
from tests.marketplace.deliver_rows import LATER, Desk, publish_events
from tests.marketplace.job_desk import GONE, application, course, drive, open_sandbox
from tests.marketplace.killing import killed_at

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    return open_sandbox(sovereign, organization, org_admin)


def delete(desk: Desk, typed: str = "acme-prod") -> Job:
    return environment_jobs.start_deletion(environment=desk.environment(), typed=typed, actor=desk.buyer, now=LATER)


def the_cluster_deletes(desk: Desk, before: str) -> None:
    desk.cluster_says(before, "shared-mysql", "wordpress", message=GONE)


def test_it_is_deleted_step_by_step(desk: Desk) -> None:
    environment, before = desk.environment(), desk.environment().head_commit
    repository = repository_path(environment)
    job = delete(desk)
    assert desk.environment().status == "deleting"
    with pytest.raises(DomainError):
        environment_jobs.start_deletion(environment=environment, typed="acme-prod", actor=desk.buyer, now=LATER)

    drive()

    assert course(job)["wait_until_gone"] == "running"
    assert job.steps.get(name="wait_until_gone").status_reason == (
        "The cluster has not deleted these yet: shared-mysql, wordpress."
    )
    change = Change.objects.get(kind="offboard")
    assert (change.cause, change.state) == (f"job:{job.pk}", "reconciling")
    assert desk.environment().status == "deleting"
    with pytest.raises(JobNotCancellable):
        cancel_job(job_id=job.pk, actor=desk.buyer, now=LATER)
    with pytest.raises(InstallationNotPlanned, match="This environment is being deleted"):
        desk.deliver(desk.order_at(999, "OMN-2026-000009"))

    the_cluster_deletes(desk, before)
    drive()

    assert set(course(job).values()) == {"succeeded"}
    assert not Environment.objects.exists()
    row = Environment.every.get()
    assert (row.status, row.deleted_at) == ("deleted", LATER)
    assert set(Application.objects.values_list("purged_at", flat=True)) == {LATER}
    assert not repository.exists()
    bundle = archive_path(desk.organization, f"acme-prod-{environment.uuid}")
    listed = subprocess.run(["git", "bundle", "list-heads", bundle], check=True, capture_output=True, text=True)
    assert f"{change.commit} refs/heads/main" in listed.stdout.splitlines()
    publish_events()
    assert not ApplicationStatus.objects.exists()
    assert Outbox.objects.filter(topic="environment.deleted").count() == 1
    again = ensure_environment(organization=desk.organization, env_type="prod", actor=desk.buyer, now=LATER)
    assert (again.pk != row.pk, again.name) == (True, "acme-prod")


@pytest.mark.parametrize("point", ["job.step.after_effect", "job.record.in_tx", "install.push.after_push"])
def test_a_worker_that_dies_is_followed_and_everything_happens_once(desk: Desk, point: str) -> None:
    before = desk.environment().head_commit
    job = delete(desk)
    killed_at(point, lambda: drive_jobs(owner="worker-0", now=LATER))
    for _ in range(3):
        Environment.objects.update(lease_owner="", lease_until=None)
        drive()
    the_cluster_deletes(desk, before)
    drive()

    assert set(course(job).values()) == {"succeeded"}
    assert Change.objects.filter(kind="offboard").count() == 1
    assert Outbox.objects.filter(topic="environment.deleted").count() == 1


def test_it_is_refused_without_a_trace(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NameNotTyped):
        delete(desk, typed="acme")
    set_protection(environment=desk.environment(), name="wordpress", is_protected=True, actor=desk.buyer, now=LATER)
    with pytest.raises(environment_jobs.ApplicationProtected) as protected:
        delete(desk)
    monkeypatch.setattr(obligations, "_sources", [lambda _organization, _env_type: ["An invoice is not paid."]])
    with pytest.raises(environment_jobs.MoneyOpen) as owed:
        delete(desk)

    assert protected.value.extra == {"applications": ["wordpress"]}
    assert owed.value.message == "Settle this first: An invoice is not paid."
    assert (Job.objects.count(), desk.environment().status) == (0, "ready")


def test_it_is_kept_when_cancelled_in_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    job = delete(desk)
    monkeypatch.setattr(obligations, "_sources", [lambda _organization, _env_type: ["A purchase is not finished."]])
    drive()
    assert course(job)[""] == "failed"
    assert desk.environment().status == "deleting"

    retry_job(job_id=job.pk, actor="support", now=LATER)
    drive()
    assert course(job)["settle_money"] == "failed"
    cancel_job(job_id=job.pk, actor=desk.buyer, now=LATER)

    assert (course(job)[""], desk.environment().status) == ("cancelled", "ready")
    assert desk.environment().head_commit == desk.repository().head()
    assert application().removed_by is None


def test_an_organization_leaves_nothing_but_its_books(desk: Desk) -> None:
    organization, before = desk.organization, desk.environment().head_commit
    token, _text = issue_token(user=desk.buyer, organization=organization, actor=desk.buyer, now=LATER)
    job = organization_jobs.start_offboarding(organization=organization, typed="acme", actor=desk.buyer, now=LATER)
    drive()
    assert course(job)["delete_environments"] == "running"
    assert job.steps.get(name="delete_environments").status_reason == "These are still being deleted: acme-prod."
    organization.refresh_from_db()
    assert organization.state == "deleting"

    the_cluster_deletes(desk, before)
    drive()
    drive()

    organization.refresh_from_db()
    assert set(course(job).values()) == {"succeeded"}
    assert (organization.state, organization.deleted_at) == ("deleted", LATER)
    assert organization_jobs.leftovers(organization) == []
    assert not organizations_of(desk.buyer).exists()
    assert not Membership.objects.filter(organization=organization).exists()
    assert not ApiToken.objects.live().filter(pk=token.pk).exists()
    assert AuditEntry.objects.filter(stream=f"organization:{organization.pk}").count() > 10
    assert Outbox.objects.filter(topic="organization.deleted").count() == 1
    _check_name(desk)


def _check_name(desk: Desk) -> None:
    """Its name is nobody's for 90 days, and then anybody's."""
    with pytest.raises(SlugTaken):
        create_organization(slug="acme", name="Other", creator=desk.buyer, now=LATER)
    assert release_names(now=LATER + NAME_HOLD) == 1
    assert release_names(now=LATER + NAME_HOLD) == 0
    other = create_organization(slug="acme", name="Other", creator=desk.buyer, now=LATER)
    assert other.pk != desk.organization.pk
    assert [row.pk for row in organizations_of(desk.buyer)] == [other.pk]


def test_control_what_is_left_is_found(desk: Desk) -> None:
    assert organization_jobs.leftovers(desk.organization) == ["environments", "memberships", "repositories"]
    Organization.objects.filter(pk=desk.organization.pk).update(state="suspended")
    with pytest.raises(InvalidTransition):
        organization_jobs.start_offboarding(organization=desk.organization, typed="acme", actor=desk.buyer, now=LATER)
