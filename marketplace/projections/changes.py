"""``changes``: every Change, where it stands and since when. A pure fold of the log; it knows no other source."""

from datetime import datetime
from typing import Any, Final

from catalyst.core.outbox import Message
from catalyst.core.projections import Projector, register_projector
from marketplace.models import Change, ChangeSummary

#: A retry opens a Change again, so each of these sets the end anew, also to nothing.
_ENDS: Final = frozenset({"change.failed", "change.superseded", "change.cancelled", "change.succeeded"})
_TOPICS: Final = _ENDS | {"change.created", "change.gates_opened", "change.committed", "change.retried"}
_OVER: Final = frozenset({Change.State.FAILED, Change.State.SUPERSEDED, Change.State.CANCELLED, Change.State.SUCCEEDED})


def _apply(message: Message) -> None:
    said = message.payload
    fields: dict[str, Any] = {
        "organization_id": int(message.stream.removeprefix("organization:")),
        "environment_id": said["environment_id"],
        "environment": said["environment"],
        "kind": said["kind"],
        "state": said["status"],
        "status_reason": said.get("status_reason") or "",
        "order_number": said["order"],
        "commit": said["commit"],
        "finished_at": _ended(message),
        "sequence": message.sequence,
    }
    # Events of earlier releases do not have these: what is known of it stays.
    for name, key in (("summary", "summary"), ("author_id", "author"), ("seq", "seq")):
        if key in said:
            fields[name] = said[key]
    if message.topic == "change.committed" and said.get("at"):
        fields["committed_at"] = datetime.fromisoformat(said["at"])
    ChangeSummary.objects.update_or_create(
        change_id=said["change"], defaults=fields, create_defaults={**fields, "created_at": message.created_at}
    )


def _ended(message: Message) -> datetime | None:
    """Return when it ended; an event of an earlier release does not say, and was written in that moment."""
    if message.payload["status"] not in _OVER:
        return None
    said = message.payload.get("finished_at")
    return datetime.fromisoformat(said) if said else message.created_at


def _clear() -> None:
    ChangeSummary.objects.all().delete()


CHANGES = register_projector(Projector(name="changes", topics=_TOPICS, apply=_apply, clear=_clear))
