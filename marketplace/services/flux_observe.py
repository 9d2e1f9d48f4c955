"""What Flux's messages mean: an observation of one Application at one commit, or nothing.

Source: docs/delivery.md.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from catalyst.core import outbox
from catalyst.core.database import use_case
from marketplace.models import Application, ApplicationStatus, Change, FluxMessage
from marketplace.selectors.installed import SETTLED, last_standing_seq
from tenancy.models import Environment
from tenancy.services.audit import organization_stream

log = structlog.get_logger(__name__)

_MAX_ATTEMPTS: Final = 8
_BATCH: Final = 500
_REVISION = re.compile(r"main@sha1:([0-9a-f]{40})")
#: With ``wait: true`` this is said only after every object has become healthy.
_READY_REASON: Final = "ReconciliationSucceeded"
#: The Kustomization over all Applications; it has nothing of its own.
_ROOT: Final = "applications"
#: What Flux writes when a Kustomization has been taken away, one line for each of its objects.
_DELETED = re.compile(r"(?:\S+/\S+ (?:deleted|skipped)\n?)+")
_Status = ApplicationStatus.Status


class NotRecordedYet(Exception):
    """The commit that Flux speaks of is not recorded: look again in a moment."""


@dataclass(frozen=True, slots=True)
class Word:
    """What the cluster says of one of its objects, whoever brought it: a notification, or a look of our own.

    ``ready`` of ``wanted`` counts its working parts, where somebody has counted them.
    """

    kind: str
    namespace: str
    name: str
    revision: str
    severity: str
    reason: str
    message: str
    occurred_at: datetime
    ready: int | None = None
    wanted: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    application: str
    status: str
    status_reason: str
    commit: str
    seq: int
    is_gone: bool = False
    ready: int | None = None
    wanted: int | None = None


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
            word = Word(**message.payload, occurred_at=message.occurred_at)
            observations = observe(message.environment, word)
            for observation in observations:
                publish_observation(message.environment, observation, at=message.occurred_at, cause=str(message.pk))
    except Exception as error:
        _postpone(message, error)
        return True
    note = "" if observations else "nothing to observe"
    FluxMessage.objects.filter(pk=message.pk).update(state=FluxMessage.State.DONE, last_error=note)
    return True


def observe(environment: Environment, word: Word) -> list[Observation]:
    """Return what a word says of Applications of its own Environment; call inside a transaction.

    :raises NotRecordedYet: the commit may be ours and is not recorded yet.
    """
    revision = _REVISION.fullmatch(word.revision)
    if word.kind != "Kustomization" or word.namespace != f"env-{environment.name}" or revision is None:
        return []
    applications = Application.objects.filter(environment=environment).select_related("change", "removed_by")
    rows = list(applications.filter(slug=word.name).order_by("-pk"))
    if not rows and word.name != _ROOT:
        return []
    sha = revision[1]
    seq = Change.objects.filter(environment=environment, commit=sha).values_list("seq", flat=True).first()
    if seq is None:
        raise NotRecordedYet(sha)
    if word.name == _ROOT:
        # Before it has come to an end the tree is not applied, and what it does not hold may still run.
        is_applied = word.severity != "error" and word.reason == _READY_REASON
        if not is_applied:
            return []
        return [note_gone(row, at=word.occurred_at) for row in _never_seen(environment.pk, seq)]
    found = next((row for row in rows if _stands_at(row, seq)), None)
    observation = _observation(found, word, sha=sha, seq=seq) if found else None
    return [observation] if observation else []


def _stands_at(row: Application, seq: int) -> bool:
    """Tell whether the tree of this number holds this Application, and not another one of its name."""
    is_there = row.change.seq is not None and bool(row.change.commit) and row.change.seq <= seq
    end = row.removed_by.seq if row.removed_by and row.removed_by.commit else None
    return is_there and (end is None or seq < end)


def _observation(row: Application, word: Word, *, sha: str, seq: int) -> Observation | None:
    """Return what the word says of an Application whose tree this is.

    :raises NotRecordedYet: the cluster has removed it, and the commit that says so is not recorded yet.
    """
    is_error = word.severity == "error"
    said = f"{word.reason}: {word.message}" if is_error else ""
    is_deleted = not is_error and _DELETED.fullmatch(word.message) is not None
    if row.removed_by is not None and row.removed_by.commit:
        if is_error:
            return Observation(row.slug, _Status.DELETING, said, row.removed_by.commit, seq)
        return note_gone(row, at=word.occurred_at) if is_deleted and row.gone_at is None else None
    if row.removed_by is not None and is_deleted:
        raise NotRecordedYet(sha)
    if seq < last_standing_seq(row.environment_id):
        return None  # of a tree in which it still ran, or was still paused
    status = _status(row, word)
    if status in SETTLED:
        _note_replaced(row, at=word.occurred_at)
    return Observation(row.slug, status, said, sha, seq, ready=word.ready, wanted=word.wanted)


def _note_replaced(row: Application, *, at: datetime) -> None:
    """Note that removed Applications of this name are gone: the cluster has put this one in their place."""
    older = Application.objects.filter(environment_id=row.environment_id, slug=row.slug, pk__lt=row.pk)
    older.filter(removed_by__isnull=False, gone_at__isnull=True).update(gone_at=at)


def _status(row: Application, word: Word) -> str:
    if word.severity == "error":
        return _Status.FAILED
    if word.reason != _READY_REASON:
        return _Status.INSTALLING
    if row.state == Application.State.PAUSED:
        return _Status.PAUSED
    is_whole = word.ready is None or word.wanted is None or word.ready >= word.wanted
    return _Status.READY if is_whole else _Status.DEGRADED


def note_gone(row: Application, *, at: datetime) -> Observation:
    """Note that the cluster has deleted a removed Application."""
    assert row.removed_by is not None
    assert row.removed_by.seq is not None
    Application.objects.filter(pk=row.pk).update(gone_at=at)
    return Observation(row.slug, _Status.DELETING, "", row.removed_by.commit, row.removed_by.seq, is_gone=True)


def _never_seen(environment_id: int, seq: int) -> list[Application]:
    """Return the Applications that were removed before the cluster began with them: it says nothing of them itself.

    The tree of this number is applied and does not hold them any more.
    """
    removed = Application.objects.filter(environment_id=environment_id, gone_at__isnull=True, removed_by__seq__lte=seq)
    rows = list(removed.exclude(removed_by__commit="").exclude(change__commit="").select_related("removed_by"))
    slugs = [row.slug for row in rows]
    statuses = ApplicationStatus.objects.filter(environment_id=environment_id, application__in=slugs)
    seen = set(statuses.filter(observed_at__isnull=False).values_list("application", flat=True))
    return [row for row in rows if row.slug not in seen]


def publish_observation(environment: Environment, observation: Observation, *, at: datetime, cause: str) -> None:
    """Append what was observed; call inside a transaction. ``cause`` tells one observation from another."""
    outbox.publish(
        topic="application.observed",
        key=f"application.observed:{cause}:{observation.application}",
        stream=organization_stream(environment.organization),
        payload={
            "environment": environment.name,
            "environment_id": environment.pk,
            "application": observation.application,
            "status": observation.status,
            "status_reason": observation.status_reason,
            "commit": observation.commit,
            "seq": observation.seq,
            "is_gone": observation.is_gone,
            "ready": observation.ready,
            "wanted": observation.wanted,
            "observed_at": at.isoformat(),
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
