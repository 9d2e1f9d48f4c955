"""Kinds of Job for tests: what they do is one row in a table, so what was done twice is seen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from catalyst.core.database import execute, fetch_all
from marketplace.models import Job, JobStep
from marketplace.services import job_kinds
from marketplace.services.job_kinds import Done, JobKind, Wait

#: What the next call of a step answers instead of being done, by its name.
answers: dict[str, list[Wait | Exception | Callable[[], object]]] = {}
cancelled: list[str] = []


def note(job: Job, step: JobStep, _now: datetime) -> Done | Wait:
    """Leave a trace that bears repetition: the audit trail of the test is an incident that counts up."""
    execute(
        "INSERT INTO core_incident (kind, subject, detail, resolved_by) VALUES ('step', %s, '', '')"
        " ON CONFLICT (kind, subject) WHERE resolved_at IS NULL DO UPDATE SET count = core_incident.count + 1",
        [f"{job.pk}:{step.name}"],
    )
    for outcome in answers.get(step.name, [])[:1]:
        answers[step.name].pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, Wait):
            return outcome
        outcome()
    return Done(f"{step.name} was done")


KIND = JobKind(
    name="test_kind",
    title="Test",
    steps={"first": note, "second": note, "third": note},
    titles={"first": "First", "second": "Second", "third": "Third"},
    deadline=timedelta(hours=1),
    final_step="third",
    on_cancelled=lambda job, _now: cancelled.append(str(job.pk)),
)


@contextmanager
def registered() -> Iterator[JobKind]:
    """Let the test's kind be known inside the block."""
    job_kinds._kinds[KIND.name] = KIND
    answers.clear()
    cancelled.clear()
    try:
        yield KIND
    finally:
        del job_kinds._kinds[KIND.name]


def effects(job: Job) -> dict[str, int]:
    """Return how often each step's effect happened."""
    rows = fetch_all("SELECT subject, count FROM core_incident WHERE kind = 'step'")
    return {subject.partition(":")[2]: count for subject, count in rows if subject.startswith(str(job.pk))}


def states(job: Job) -> list[str]:
    """Return the states of the Job and of its steps."""
    job.refresh_from_db()
    return [job.state, *job.steps.order_by("position").values_list("state", flat=True)]


def end_leases() -> None:
    """Let the time pass that leases and pauses last."""
    execute("UPDATE marketplace_job SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL")
    execute("UPDATE marketplace_job SET next_action_at = now() - interval '1 second'")
