"""A Job does one step after the other, waits, is cancelled between them, fails with a reason, and is tried again."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import transaction

from catalyst.core.errors import DomainError, InvalidTransition, Unavailable
from catalyst.core.models import Incident, Outbox
from marketplace.models import Job, JobLine, JobState
from marketplace.services.job_kinds import Wait
from marketplace.services.jobs import JobNotCancellable, cancel_job, retry_job, start_job
from marketplace.services.jobs_drive import drive_jobs
from tenancy.models import AuditEntry, Organization, User
from tests.marketplace import job_kinds
from tests.marketplace.deliver_rows import NOW
from tests.marketplace.job_kinds import KIND, answers, effects, end_leases, states

pytestmark = pytest.mark.django_db(transaction=True)

LATER = NOW + timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _kind() -> Iterator[None]:
    with job_kinds.registered():
        yield


@pytest.fixture
def job(organization: Organization, org_admin: User) -> Job:
    with transaction.atomic(durable=True):
        return start_job(
            kind=KIND, organization=organization, environment=None, subject={"a": 1}, actor=org_admin, now=NOW
        )


def topics() -> list[str]:
    rows = Outbox.objects.filter(topic__startswith="job.").order_by("id")
    return [
        f"{row.topic} {row.payload.get('step', '')} {row.payload.get('step_status', row.payload['status'])}"
        for row in rows
    ]


def lines(job: Job) -> list[tuple[int, str, str]]:
    return list(JobLine.objects.filter(job=job).order_by("number").values_list("number", "step", "text"))


def test_steps_follow_each_other_and_are_told(job: Job) -> None:
    assert drive_jobs(owner="worker-1", now=NOW) == 3

    assert states(job) == ["succeeded"] * 4
    assert effects(job) == {"first": 1, "second": 1, "third": 1}
    assert lines(job)[:3] == [
        (1, "first", "running"),
        (2, "first", "succeeded: first was done"),
        (3, "second", "running"),
    ]
    assert [number for number, _step, _text in lines(job)] == list(range(1, 8))
    assert topics() == [
        "job.created  pending",
        "job.step first running",
        "job.step first succeeded",
        "job.step second running",
        "job.step second succeeded",
        "job.step third running",
        "job.step third succeeded",
        "job.finished  succeeded",
    ]
    assert (job.lease_owner, job.lease_until, job.finished_at) == ("", None, NOW)
    assert drive_jobs(owner="worker-1", now=LATER) == 0


def test_a_step_that_waits_is_looked_at_again(job: Job) -> None:
    answers["second"] = [Wait(NOW + timedelta(minutes=5), "not there yet", progress=40)]

    assert drive_jobs(owner="worker-1", now=NOW) == 1

    assert states(job) == ["running", "succeeded", "running", "pending"]
    step = job.steps.get(name="second")
    assert (step.status_reason, step.progress) == ("not there yet", 40)
    assert drive_jobs(owner="worker-1", now=NOW) == 0
    end_leases()
    assert drive_jobs(owner="worker-1", now=LATER) == 2
    assert states(job)[0] == "succeeded"
    assert effects(job)["second"] == 2


def test_what_does_not_answer_is_tried_again_later(job: Job) -> None:
    answers["first"] = [Unavailable("no answer")]

    drive_jobs(owner="worker-1", now=NOW)

    assert states(job) == ["running", "running", "pending", "pending"]
    end_leases()
    drive_jobs(owner="worker-1", now=LATER)
    assert states(job)[0] == "succeeded"


def test_a_refusal_fails_the_job_and_calls_somebody(job: Job, org_admin: User) -> None:
    answers["second"] = [DomainError("The money is not settled.")]

    drive_jobs(owner="worker-1", now=NOW)

    assert states(job) == ["failed", "succeeded", "failed", "skipped"]
    assert job.status_reason == "The money is not settled."
    assert Incident.objects.get(kind="job_failed", resolved_at=None).subject == f"job:{job.pk}"

    retry_job(job_id=job.pk, actor=org_admin, now=LATER)
    drive_jobs(owner="worker-1", now=LATER)

    assert states(job) == ["succeeded"] * 4
    assert effects(job) == {"first": 1, "second": 2, "third": 1}
    assert not Incident.objects.filter(kind="job_failed", resolved_at=None).exists()
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == ["job.created", "job.retried"]


def test_a_bug_is_tried_five_times(job: Job) -> None:
    answers["first"] = [ZeroDivisionError() for _ in range(5)]
    for _ in range(5):
        drive_jobs(owner="worker-1", now=NOW)
        end_leases()

    assert states(job)[:2] == ["failed", "failed"]
    assert job.status_reason == "ZeroDivisionError"


def test_what_is_not_done_in_time_fails_with_what_it_waited_for(job: Job) -> None:
    answers["first"] = [Wait(NOW + timedelta(minutes=5), "The cluster has not deleted it.")]
    drive_jobs(owner="worker-1", now=NOW)

    drive_jobs(owner="worker-1", now=NOW + KIND.deadline)

    assert states(job) == ["failed", "failed", "skipped", "skipped"]
    assert job.status_reason == "Not done in time. The cluster has not deleted it."


def test_a_job_that_hangs_is_failed_once_its_lease_is_over(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(
        state=JobState.RUNNING, lease_owner="dead", lease_until=NOW + timedelta(days=9)
    )

    drive_jobs(owner="worker-1", now=NOW + KIND.deadline)
    assert states(job)[0] == "running"

    end_leases()
    drive_jobs(owner="worker-1", now=NOW + KIND.deadline)
    assert states(job)[0] == "failed"


def test_cancelled_at_once_when_nobody_works_on_it(job: Job, org_admin: User) -> None:
    cancel_job(job_id=job.pk, actor=org_admin, now=NOW)

    assert states(job) == ["cancelled", "skipped", "skipped", "skipped"]
    assert job_kinds.cancelled == [str(job.pk)]
    assert drive_jobs(owner="worker-1", now=NOW) == 0
    with pytest.raises(InvalidTransition):
        cancel_job(job_id=job.pk, actor=org_admin, now=NOW)


def test_cancelled_between_steps_while_somebody_works(job: Job, org_admin: User) -> None:
    answers["first"] = [lambda: cancel_job(job_id=job.pk, actor=org_admin, now=NOW)]

    drive_jobs(owner="worker-1", now=NOW)

    assert states(job) == ["cancelled", "succeeded", "skipped", "skipped"]
    assert effects(job) == {"first": 1}
    assert job_kinds.cancelled == [str(job.pk)]


def test_what_was_begun_for_good_is_not_cancelled(job: Job, org_admin: User) -> None:
    answers["third"] = [Wait(NOW + timedelta(minutes=5), "deleting")]
    drive_jobs(owner="worker-1", now=NOW)

    with pytest.raises(JobNotCancellable):
        cancel_job(job_id=job.pk, actor=org_admin, now=NOW)

    assert states(job) == ["running", "succeeded", "succeeded", "running"]


def test_only_a_failed_job_is_tried_again(job: Job, org_admin: User) -> None:
    with pytest.raises(InvalidTransition):
        retry_job(job_id=job.pk, actor=org_admin, now=NOW)

    assert states(job)[0] == "pending"
