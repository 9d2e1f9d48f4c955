"""``soak``: since when each Application is ready without a break. A pure fold of the log; it knows no other source.

Every commit that touches an Application is a break, and so is every word of the cluster that is not "ready".
"""

from datetime import datetime

from django.db.models import Q, QuerySet

from catalyst.core.outbox import Message
from catalyst.core.projections import Projector, register_projector
from marketplace.models import ApplicationStatus, ReadySpan

_Status = ApplicationStatus.Status
_REMOVALS = frozenset({"remove", "offboard"})


def _apply(message: Message) -> None:
    {
        "change.committed": _committed,
        "application.requested": _requested,
        "application.edited": _edited,
        "application.observed": _observed,
    }[message.topic](message)


def _committed(message: Message) -> None:
    """Begin anew what a commit touches, and forget what it takes away."""
    said = message.payload
    touched = _rows(message).filter(application__in=said["applications"])
    leaving = _rows(message).filter(application__in=said.get("removed") or ())
    leaving.delete()
    if said.get("kind") in _REMOVALS:
        touched.delete()
    else:
        touched.update(ready_since=None, seq=said["seq"], sequence=message.sequence)


def _requested(message: Message) -> None:
    said = message.payload
    ReadySpan.objects.update_or_create(
        environment_id=said["environment_id"],
        application=said["application"],
        defaults={
            "organization_id": said["organization_id"],
            "blueprint": said["blueprint"],
            "version": said["version"],
            "seq": 0,
            "ready_since": None,
            "observed_at": None,
            "sequence": message.sequence,
        },
    )


def _edited(message: Message) -> None:
    said = message.payload
    rows = _rows(message).filter(application=said["application"])
    rows.update(blueprint=said["blueprint"], version=said["version"], ready_since=None, sequence=message.sequence)


def _observed(message: Message) -> None:
    """Believe the newest word on the commit that stands; that Flux looks again at what runs is no break."""
    said = message.payload
    if said["status"] == _Status.INSTALLING:
        return
    at = datetime.fromisoformat(said["observed_at"])
    is_newer = Q(observed_at__isnull=True) | Q(observed_at__lte=at)
    rows = _rows(message).filter(is_newer, application=said["application"], seq__lte=said["seq"])
    rows.update(observed_at=at, sequence=message.sequence)
    known = rows.filter(observed_at=at)
    if said["status"] == _Status.READY:
        known.filter(ready_since__isnull=True).update(ready_since=at)
    else:
        known.update(ready_since=None)


def _rows(message: Message) -> QuerySet[ReadySpan]:
    return ReadySpan.objects.filter(environment_id=message.payload["environment_id"])


def _clear() -> None:
    ReadySpan.objects.all().delete()


SOAK = register_projector(
    Projector(
        name="soak",
        topics=frozenset({"change.committed", "application.requested", "application.edited", "application.observed"}),
        apply=_apply,
        clear=_clear,
    )
)
