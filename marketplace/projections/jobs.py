"""``jobs``: every Job, at which of its steps it is, and its newest log line. A pure fold of the log."""

from datetime import datetime
from typing import Any, Final

from catalyst.core.outbox import Message
from catalyst.core.projections import Projector, register_projector
from marketplace.models import JobState, JobSummary

_OVER: Final = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
_TOPICS: Final = frozenset({"job.created", "job.step", "job.finished", "job.cancelling"})


def _apply(message: Message) -> None:
    said = message.payload
    fields: dict[str, Any] = {
        "organization_id": said["organization_id"],
        "environment_id": said["environment_id"],
        "environment": said["environment"],
        "kind": said["kind"],
        "state": said["status"],
        "status_reason": said.get("status_reason") or "",
        "finished_at": _ended(message),
        "sequence": message.sequence,
    }
    # A word of an earlier release names fewer facts: what is known stays.
    for name, key in (("step", "step"), ("steps_done", "done"), ("steps", "of"), ("last_line", "line")):
        if key in said:
            fields[name] = said[key]
    JobSummary.objects.update_or_create(
        job_id=said["job"], defaults=fields, create_defaults={**fields, "created_at": message.created_at}
    )


def _ended(message: Message) -> datetime | None:
    if message.payload["status"] not in _OVER:
        return None
    said = message.payload.get("finished_at")
    return datetime.fromisoformat(said) if said else message.created_at


def _clear() -> None:
    JobSummary.objects.all().delete()


JOBS = register_projector(Projector(name="jobs", topics=_TOPICS, apply=_apply, clear=_clear))
