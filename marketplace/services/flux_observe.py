"""What Flux's messages mean: an observation of one Application at one commit, or nothing.

Source: docs/delivery.md.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from catalyst.core import outbox
from catalyst.core.database import use_case
from marketplace.models import Application, ApplicationStatus, Change, FluxMessage
from tenancy.services.audit import organization_stream

log = structlog.get_logger(__name__)

_MAX_ATTEMPTS: Final = 8
_BATCH: Final = 500
_REVISION = re.compile(r"main@sha1:([0-9a-f]{40})")
#: With ``wait: true`` this is said only after every object has become healthy.
_READY_REASON: Final = "ReconciliationSucceeded"


class NotRecordedYet(Exception):
    """The commit that Flux speaks of is not recorded: look again in a moment."""


@dataclass(frozen=True, slots=True)
class Observation:
    application: str
    status: str
    status_reason: str
    commit: str
    seq: int


def process_messages() -> int:
    """Look at every message whose time has come, oldest first; return how many there were."""
    due = FluxMessage.objects.filter(state=FluxMessage.State.PENDING, next_attempt_at__lte=Now())
    ids = list(due.order_by("occurred_at", "id").values_list("pk", flat=True)[:_BATCH])
    return sum(process_message(message_id=message_id) for message_id in ids)


@use_case
def process_message(*, message_id: int) -> bool:
    """Turn one message into its event, in one transaction; False when that is done, or somebody is at it."""
    pending = FluxMessage.objects.filter(pk=message_id, state=FluxMessage.State.PENDING)
    locked = pending.select_related("environment__organization").select_for_update(of=("self",), skip_locked=True)
    message = locked.first()
    if message is None:
        return False
    try:
        with transaction.atomic(savepoint=True):
            observation = _observation(message)
            if observation is not None:
                _publish(message, observation)
    except Exception as error:
        _postpone(message, error)
        return True
    note = "" if observation else "nothing to observe"
    FluxMessage.objects.filter(pk=message.pk).update(state=FluxMessage.State.DONE, last_error=note)
    return True


def _observation(message: FluxMessage) -> Observation | None:
    """Return what the message says of an Application of its own Environment.

    :raises NotRecordedYet: the commit may be ours and is not recorded yet.
    """
    payload, environment = message.payload, message.environment
    revision = _REVISION.fullmatch(payload["revision"])
    if payload["kind"] != "Kustomization" or payload["namespace"] != f"env-{environment.name}" or revision is None:
        return None
    rows = Application.objects.filter(environment=environment, slug=payload["name"]).select_related("change")
    application = rows.first()
    if application is None:
        return None
    sha = revision[1]
    seq = Change.objects.filter(environment=environment, commit=sha).values_list("seq", flat=True).first()
    wanted = application.change.seq
    if seq is None or wanted is None:
        raise NotRecordedYet(sha)
    if seq < wanted:
        return None  # of a tree that did not hold this Application's present state
    status = _status(payload["severity"], payload["reason"])
    said = f"{payload['reason']}: {payload['message']}" if status == ApplicationStatus.Status.FAILED else ""
    return Observation(application.slug, status, said, sha, seq)


def _status(severity: str, reason: str) -> str:
    if severity == "error":
        return ApplicationStatus.Status.FAILED
    return ApplicationStatus.Status.READY if reason == _READY_REASON else ApplicationStatus.Status.INSTALLING


def _publish(message: FluxMessage, observation: Observation) -> None:
    environment = message.environment
    outbox.publish(
        topic="application.observed",
        key=f"application.observed:{message.pk}",
        stream=organization_stream(environment.organization),
        payload={
            "environment": environment.name,
            "environment_id": environment.pk,
            "application": observation.application,
            "status": observation.status,
            "status_reason": observation.status_reason,
            "commit": observation.commit,
            "seq": observation.seq,
            "observed_at": message.occurred_at.isoformat(),
        },
    )


def _postpone(message: FluxMessage, error: Exception) -> None:
    is_dead = message.attempts + 1 >= _MAX_ATTEMPTS
    if not isinstance(error, NotRecordedYet) or is_dead:
        log.warning("flux_message_failed", message=message.pk, dead=is_dead, exc_info=error)
    FluxMessage.objects.filter(pk=message.pk).update(
        state=FluxMessage.State.DEAD if is_dead else FluxMessage.State.PENDING,
        attempts=F("attempts") + 1,
        next_attempt_at=Now() + timedelta(seconds=2**message.attempts),
        last_error=f"{type(error).__name__}: {error}"[:500],
    )
