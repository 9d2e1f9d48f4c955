"""Jobs: work in durable steps. Begin one, stop one, try one again; ``jobs_drive`` does the work.

Everything stands in Postgres: what a worker had in its head is never needed to go on. Source: docs/jobs.md.
"""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, InvalidTransition, NotFound
from catalyst.core.incidents import resolve_subject
from marketplace.models import Job, JobState, JobStep
from marketplace.services.job_kinds import JobKind, find_kind
from marketplace.services.jobs_record import add_line, finish, incident_subject, publish
from tenancy.models import Environment, Organization, User
from tenancy.services.audit import actor_name, append_audit, organization_stream

#: A Job that is not over.
UNFINISHED = (JobState.PENDING, JobState.RUNNING, JobState.CANCELLING)


class JobNotCancellable(DomainError):
    """What the Job has begun cannot be taken back."""

    code = "job_not_cancellable"
    status = HTTPStatus.CONFLICT


class JobRunning(DomainError):
    """The same work is under way already; ``extra`` names its Job."""

    code = "job_running"
    status = HTTPStatus.CONFLICT


def start_job(
    *,
    kind: JobKind,
    organization: Organization,
    environment: Environment | None,
    subject: Mapping[str, Any],
    actor: User | str,
    now: datetime,
) -> Job:
    """Write down a Job with its steps; call inside the transaction that decides it. A worker begins soon afterwards.

    ``subject`` is what it is about: ids and names that do not change.
    """
    job = Job.objects.create(
        organization=organization,
        environment=environment,
        kind=kind.name,
        subject=dict(subject),
        requested_by=actor if isinstance(actor, User) else None,
        deadline_at=now + kind.deadline,
        created_at=now,
    )
    JobStep.objects.bulk_create(
        JobStep(organization=organization, job=job, position=position, name=name)
        for position, name in enumerate(kind.steps)
    )
    append_audit(
        stream=organization_stream(organization),
        actor=actor,
        action="job.created",
        target=f"job:{job.pk}",
        detail={"kind": kind.name, "subject": dict(subject)},
    )
    publish(job, "job.created")
    return job


def find_unfinished(*, kind: JobKind, environment_id: int | None = None, **subject: Any) -> Job | None:
    """Return the Job that does this already, or None. ``subject``: members that its subject must have."""
    jobs = Job.objects.filter(kind=kind.name, state__in=UNFINISHED)
    if environment_id is not None:
        jobs = jobs.filter(environment=environment_id)
    return jobs.filter(subject__contains=subject).order_by("created_at").first()


def refuse_second(job: Job | None) -> None:
    """Refuse to do again what is under way.

    :raises JobRunning: there is such a Job.
    """
    if job is not None:
        raise JobRunning(_("This is being done already. Look at its progress."), extra={"job": str(job.pk)})


@use_case
def cancel_job(*, job_id: Any, actor: User | str, now: datetime) -> Job:
    """Stop a Job before its next step; at once when nobody works on it. A second request changes nothing.

    One that failed before anything was lost can be given up in the same way.

    :raises JobNotCancellable: its kind cannot be stopped any more.
    :raises InvalidTransition: it is over.
    """
    job = lock_job(job_id)
    if job.state == JobState.CANCELLING:
        return job
    if job.state not in {*UNFINISHED, JobState.FAILED}:
        raise InvalidTransition(_("This job is over, so it cannot be cancelled."))
    kind, step = find_kind(job.kind), next_step(job)
    if kind is None or step is None or not can_cancel(job):
        raise JobNotCancellable(_("What this job has begun cannot be taken back. Wait until it is done."))
    append_audit(
        stream=organization_stream(job.organization),
        actor=actor,
        action="job.cancelled",
        target=f"job:{job.pk}",
        detail={"kind": job.kind},
    )
    number = add_line(job, step.name, f"{actor_name(actor)} asked to cancel", now=now)
    if _is_driven(job, now=now):
        job.state = JobState.CANCELLING
        job.save(update_fields=["state"])
        publish(job, "job.cancelling", times=number)
    else:
        resolve_subject(kinds=["job_failed"], subject=incident_subject(job))
        finish(job, JobState.CANCELLED, now=now)
        kind.on_cancelled(job, now)
    return job


@use_case
def retry_job(*, job_id: Any, actor: User | str, now: datetime) -> Job:
    """Try a failed Job again from the step that failed, with a new deadline.

    :raises InvalidTransition: it has not failed.
    """
    job = lock_job(job_id)
    kind = find_kind(job.kind)
    if job.state != JobState.FAILED or kind is None:
        raise InvalidTransition(_("Only a failed job can be tried again."))
    again = job.steps.filter(state__in=[JobState.FAILED, JobState.SKIPPED])
    again.update(state=JobState.PENDING, status_reason="", attempts=0, finished_at=None)
    job.state, job.status_reason, job.finished_at = JobState.PENDING, "", None
    job.attempts, job.deadline_at = job.attempts + 1, now + kind.deadline
    job.save(update_fields=["state", "status_reason", "finished_at", "attempts", "deadline_at"])
    Job.objects.filter(pk=job.pk).update(next_action_at=Now())
    add_line(job, "", f"{actor_name(actor)} asked to try again", now=now)
    append_audit(
        stream=organization_stream(job.organization),
        actor=actor,
        action="job.retried",
        target=f"job:{job.pk}",
        detail={"kind": job.kind},
    )
    resolve_subject(kinds=["job_failed"], subject=incident_subject(job))
    publish(job, "job.created", times=job.attempts)
    return job


def lock_job(job_id: Any) -> Job:
    """Lock one Job; call inside a transaction.

    :raises NotFound: there is none.
    """
    jobs = Job.objects.select_related("organization", "environment", "requested_by")
    job = jobs.select_for_update(of=("self",), no_key=True).filter(pk=job_id).first()
    if job is None:
        raise NotFound(_("Not found."))
    return job


def next_step(job: Job) -> JobStep | None:
    """Return the step whose turn it is, None when all are done."""
    return job.steps.exclude(state__in=[JobState.SUCCEEDED, JobState.SKIPPED]).order_by("position").first()


def can_cancel(job: Job) -> bool:
    """Tell whether a Job can still be stopped, or given up after it failed, so that nothing is lost."""
    kind, step = find_kind(job.kind), next_step(job)
    if kind is None or step is None or job.state not in {JobState.PENDING, JobState.RUNNING, JobState.FAILED}:
        return False
    return kind.can_cancel_at(step.name) and not _has_begun_last(kind, step)


def _has_begun_last(kind: JobKind, step: JobStep) -> bool:
    return step.name == kind.final_step and step.started_at is not None


def _is_driven(job: Job, *, now: datetime) -> bool:
    return job.lease_until is not None and job.lease_until > now
