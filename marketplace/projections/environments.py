"""``environments``: every Environment, its head, its newest Change. A pure fold of the log."""

from datetime import datetime
from typing import Any, Final

from django.db.models import Q, QuerySet

from catalyst.core.outbox import Message
from catalyst.core.projections import Projector, register_projector
from marketplace.models import EnvironmentSummary

_LIFE: Final = frozenset({"environment.created", "environment.deleting", "environment.kept", "environment.deleted"})
_CHANGES: Final = frozenset(
    {
        "change.created",
        "change.gates_opened",
        "change.committed",
        "change.failed",
        "change.retried",
        "change.superseded",
        "change.cancelled",
        "change.succeeded",
    }
)
_OBSERVED: Final = "application.observed"


def _apply(message: Message) -> None:
    if message.topic in _LIFE:
        _live(message)
    elif message.topic == _OBSERVED:
        _observed(message)
    else:
        _changed(message)


def _live(message: Message) -> None:
    said = message.payload
    EnvironmentSummary.objects.update_or_create(
        environment_id=said["environment_id"],
        defaults={
            "organization_id": int(message.stream.removeprefix("organization:")),
            "name": said["environment"],
            "env_type": said["environment"].rpartition("-")[2],
            "status": said["status"],
            "sequence": message.sequence,
        },
    )


def _changed(message: Message) -> None:
    """Move the head with a commit; show the state of whichever Change spoke last."""
    said = message.payload
    fields: dict[str, Any] = {"sequence": message.sequence}
    rows = _rows(message)
    if message.topic == "change.committed":
        fields |= {"head_commit": said["commit"], "head_seq": said["seq"]}
    if message.topic in {"change.created", "change.committed"}:
        fields |= {"last_change_id": said["change"], "last_change_state": said["status"]}
        fields["last_change_at"] = message.created_at
    rows.update(**fields)
    rows.filter(last_change_id=said["change"]).update(last_change_state=said["status"])


def _observed(message: Message) -> None:
    at = datetime.fromisoformat(message.payload["observed_at"])
    newer = _rows(message).filter(Q(observed_at__isnull=True) | Q(observed_at__lt=at))
    newer.update(observed_at=at, sequence=message.sequence)


def _rows(message: Message) -> QuerySet[EnvironmentSummary]:
    return EnvironmentSummary.objects.filter(environment_id=message.payload["environment_id"])


def _clear() -> None:
    EnvironmentSummary.objects.all().delete()


ENVIRONMENTS = register_projector(
    Projector(name="environments", topics=_LIFE | _CHANGES | {_OBSERVED}, apply=_apply, clear=_clear)
)
