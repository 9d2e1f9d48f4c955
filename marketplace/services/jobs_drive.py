"""The worker's side of Jobs: take one that is due, do one step after the other, write each outcome down.

One worker at a time has a Job, by a lease on its row that ends by itself. A step runs outside any transaction of ours;
its outcome is recorded under the lease, so of two workers at one step only the later owner's word counts. Whoever dies
costs the lease's time and nothing else. Source: docs/jobs.md.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import translation
from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, Unavailable
from catalyst.core.failpoints import fp
from marketplace.models import Job, JobState, JobStep
from marketplace.services.job_kinds import Done, JobKind, Wait, find_kind, known_kinds
from marketplace.services.jobs import UNFINISHED, lock_job, next_step
from marketplace.services.jobs_record import fail, finish, record_step

log = structlog.get_logger(__name__)

#: How long a step may take before another worker takes the Job over.
LEASE: Final = timedelta(seconds=120)
_MAX_ATTEMPTS: Final = 5
_LONGEST_PAUSE_SECONDS: Final = 60


class LeaseLost(Exception):
    """Another worker has the Job now; what this one found out does not count."""


def drive_jobs(*, owner: str, now: datetime) -> int:
    """Drive every Job that is due as far as it goes today; return how many steps were completed.

    One broken Job stops only itself.
    """
    fail_overdue(now=now)
    completed = 0
    seen: set[Any] = set()
    while (job_id := _take(owner, seen, now=now)) is not None:
        seen.add(job_id)
        fp("job.take.after_commit")
        try:
            completed += _drive(job_id, owner=owner, now=now)
        except LeaseLost:
            log.warning("job_lease_lost", job=str(job_id), owner=owner)
        except Exception:
            log.exception("job_not_driven", job=str(job_id))
    return completed


def fail_overdue(*, now: datetime) -> int:
    """Fail what is past its deadline and that nobody is working on; return how many."""
    overdue = _free(Job.objects.filter(deadline_at__lte=now))
    return sum(_fail_one(job_id, now=now) for job_id in list(overdue.values_list("pk", flat=True)))


@use_case
def _fail_one(job_id: Any, *, now: datetime) -> bool:
    job = _free(Job.objects.filter(pk=job_id, deadline_at__lte=now)).select_for_update(skip_locked=True).first()
    if job is None:
        return False
    step = next_step(job)
    with translation.override("en"):
        said = step.status_reason if step else ""
        reason = _("Not done in time.") + (f" {said}" if said else "")
    kind = find_kind(job.kind)
    fail(job, step, reason, now=now, is_quiet=kind is not None and kind.is_quiet)
    return True


@use_case
def _take(owner: str, seen: set[Any], *, now: datetime) -> Any:
    """Become the worker of the Job that has waited longest; None when there is none.

    Jobs that another release registers are left to it, until their deadline.
    """
    due = _free(Job.objects.filter(next_action_at__lte=Now(), deadline_at__gt=now, kind__in=known_kinds()))
    free = due.exclude(pk__in=seen).order_by("next_action_at", "created_at")
    job = free.select_for_update(of=("self",), no_key=True, skip_locked=True).first()
    if job is None:
        return None
    Job.objects.filter(pk=job.pk).update(lease_owner=owner, lease_until=Now() + LEASE)
    if job.state == JobState.PENDING:
        Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING)
    return job.pk


def _free(jobs: QuerySet[Job]) -> QuerySet[Job]:
    return jobs.filter(Q(lease_until__isnull=True) | Q(lease_until__lt=Now()), state__in=UNFINISHED)


def _drive(job_id: Any, *, owner: str, now: datetime) -> int:
    """Do one step after the other until one waits, or the Job is over."""
    completed = 0
    while (step := _begin(job_id, owner=owner, now=now)) is not None:
        outcome = _run(step, now=now)
        fp("job.step.after_effect")
        if not _record(step.pk, outcome, owner=owner, now=now):
            break
        completed += 1
    return completed


@use_case
def _begin(job_id: Any, *, owner: str, now: datetime) -> JobStep | None:
    """Mark the next step as begun, or end the Job; None when there is nothing to do for this worker.

    :raises LeaseLost: another worker has it.
    """
    job = _owned(job_id, owner)
    kind = find_kind(job.kind)
    assert kind is not None  # only known kinds are taken
    step = next_step(job)
    if step is None:
        finish(job, JobState.SUCCEEDED, now=now)
        return None
    if job.state == JobState.CANCELLING:
        finish(job, JobState.CANCELLED, now=now)
        kind.on_cancelled(job, now)
        return None
    if job.deadline_at <= now:
        _release(job)  # the watchdog says so
        return None
    Job.objects.filter(pk=job.pk).update(lease_until=Now() + LEASE)
    if step.state != JobState.RUNNING:
        record_step(job, step, JobState.RUNNING, now=now)
    step.job = job
    return step


def _run(step: JobStep, *, now: datetime) -> Done | Wait | Exception:
    kind = find_kind(step.job.kind)
    assert kind is not None
    # What is stored is read by many: one language, as in Git.
    with translation.override("en"):
        try:
            return kind.steps[step.name](step.job, step, now)
        except Exception as error:
            return error


@use_case
def _record(step_id: int, outcome: Done | Wait | Exception, *, owner: str, now: datetime) -> bool:
    """Write down what a step came to; True when the next one may begin.

    :raises LeaseLost: another worker has the Job.
    """
    step = JobStep.objects.get(pk=step_id)
    job = _owned(step.job_id, owner)
    kind = find_kind(job.kind)
    assert kind is not None
    if isinstance(outcome, Done):
        record_step(job, step, JobState.SUCCEEDED, now=now, reason=outcome.note, progress=100)
        fp("job.record.in_tx")
        return True
    if isinstance(outcome, Wait):
        _wait(job, step, outcome, now=now)
    else:
        _take_failure(kind, job, step, outcome, now=now)
    fp("job.record.in_tx")
    return False


def _wait(job: Job, step: JobStep, outcome: Wait, *, now: datetime) -> None:
    if (outcome.reason, outcome.progress) != (step.status_reason, step.progress):
        record_step(job, step, JobState.RUNNING, now=now, reason=outcome.reason, progress=outcome.progress)
    if job.state == JobState.CANCELLING:
        # Nobody has to wait for the world before it is stopped.
        Job.objects.filter(pk=job.pk).update(next_action_at=Now())
        finish(job, JobState.CANCELLED, now=now)
        kind = find_kind(job.kind)
        if kind is not None:
            kind.on_cancelled(job, now)
        return
    # By the database's clock: ``now`` is the worker's.
    Job.objects.filter(pk=job.pk).update(next_action_at=Now() + max(outcome.until - now, timedelta()))
    _release(job)


def _take_failure(kind: JobKind, job: Job, step: JobStep, error: Exception, *, now: datetime) -> None:
    """Try again later what may heal; fail with its own words what a person has to decide."""
    JobStep.objects.filter(pk=step.pk).update(attempts=F("attempts") + 1)
    step.attempts += 1
    is_refusal = isinstance(error, DomainError) and not isinstance(error, Unavailable)
    is_bug = not isinstance(error, DomainError)
    words = error.message if isinstance(error, DomainError) else type(error).__name__
    log.warning("job_step_failed", job=str(job.pk), step=step.name, attempts=step.attempts, exc_info=error)
    if is_refusal or (is_bug and step.attempts >= _MAX_ATTEMPTS):
        fail(job, step, words, now=now, is_quiet=kind.is_quiet)
        return
    pause = timedelta(seconds=min(2**step.attempts, _LONGEST_PAUSE_SECONDS))
    _wait(job, step, Wait(now + pause, words, step.progress), now=now)


def _owned(job_id: Any, owner: str) -> Job:
    """Lock the Job as its worker; call inside a transaction.

    :raises LeaseLost: another worker has it, or the lease has ended.
    """
    job = lock_job(job_id)
    if not Job.objects.filter(pk=job_id, lease_owner=owner, lease_until__gt=Now(), state__in=UNFINISHED).exists():
        raise LeaseLost
    return job


def _release(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(lease_owner="", lease_until=None)
