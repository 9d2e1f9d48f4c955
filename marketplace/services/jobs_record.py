"""How a Job's course is written down: numbered lines, states of steps, and one event for each.

Every function runs inside the caller's transaction, which has the Job's row locked.
"""

from datetime import datetime
from typing import Any, Final

import structlog
from django.db.models import Max

from catalyst.core import outbox
from catalyst.core.incidents import open_incident, resolve_subject
from marketplace.models import Job, JobLine, JobState, JobStep
from tenancy.services.audit import organization_stream

log = structlog.get_logger(__name__)

_LONGEST_LINE: Final = 2000


def add_line(job: Job, step: str, text: str, *, now: datetime) -> int:
    """Append one line to the log and return its number."""
    number = last_line(job) + 1
    line = JobLine(job=job, number=number, step=step, text=text[:_LONGEST_LINE], at=now)
    line.organization_id = job.organization_id
    line.save(force_insert=True)
    return number


def last_line(job: Job) -> int:
    """Return the number of the newest line, 0 when there is none."""
    return JobLine.objects.filter(job=job).aggregate(last=Max("number"))["last"] or 0


def record_step(job: Job, step: JobStep, state: str, *, now: datetime, reason: str = "", progress: int = 0) -> None:
    """Move one step on, with a line and an event. ``progress`` is in per cent."""
    step.state, step.status_reason, step.progress = state, reason, progress
    if state == JobState.RUNNING:
        step.started_at = step.started_at or now
    else:
        step.finished_at = now
    step.save(update_fields=["state", "status_reason", "progress", "started_at", "finished_at", "attempts"])
    number = add_line(job, step.name, f"{state}: {reason}" if reason else state, now=now)
    publish(job, "job.step", times=number, step=step.name, step_status=state, progress=progress, status_reason=reason)


def finish(job: Job, state: str, *, now: datetime, reason: str = "") -> None:
    """End a Job; what it has not done is skipped, and it is nobody's to drive."""
    job.state, job.status_reason, job.finished_at = state, reason, now
    job.lease_owner, job.lease_until = "", None
    job.save(update_fields=["state", "status_reason", "finished_at", "lease_owner", "lease_until"])
    skipped = job.steps.filter(state__in=[JobState.PENDING, JobState.RUNNING])
    skipped.update(state=JobState.SKIPPED, finished_at=now)
    number = add_line(job, "", f"{state}: {reason}" if reason else state, now=now)
    publish(job, "job.finished", times=number, status_reason=reason)
    if state == JobState.SUCCEEDED:
        resolve_subject(kinds=["job_failed"], subject=incident_subject(job))


def fail(job: Job, step: JobStep | None, reason: str, *, now: datetime, is_quiet: bool = False) -> None:
    """End a Job as failed, at this step, with a reason that people can read; alarm unless a person waits for it."""
    if step is not None:
        record_step(job, step, JobState.FAILED, now=now, reason=reason, progress=step.progress)
    finish(job, JobState.FAILED, now=now, reason=reason)
    log.error("job_failed", job=str(job.pk), kind=job.kind, reason=reason, alarm=not is_quiet)
    if not is_quiet:
        detail = f"{job.kind} {step.name if step else ''}: {reason}"
        open_incident(kind="job_failed", subject=incident_subject(job), detail=detail)


def incident_subject(job: Job) -> str:
    return f"job:{job.pk}"


def publish(job: Job, topic: str, *, times: int = 0, **payload: Any) -> None:
    """Append one event about a Job. ``times`` tells repeated events apart."""
    key = f"{topic}:{job.pk}:{times}" if times else f"{topic}:{job.pk}"
    outbox.publish(
        topic=topic,
        key=key,
        stream=organization_stream(job.organization),
        payload={
            "job": str(job.pk),
            "kind": job.kind,
            "organization_id": job.organization_id,
            "environment": job.environment.name if job.environment else "",
            "environment_id": job.environment_id,
            "status": job.state,
            "subject": job.subject,
            "done": job.steps.filter(state=JobState.SUCCEEDED).count(),
            "of": job.steps.count(),
            "line": last_line(job),
            "finished_at": job.finished_at.isoformat() if job.finished_at else "",
            **payload,
        },
    )
