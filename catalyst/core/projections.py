"""The projection runner: projectors fold the event log into read tables, in order, exactly once per event.

A projector is a pure function of the event and its own tables. Its cursor moves in the transaction of its writes, so a
crash repeats nothing. Dropping the tables and folding again gives equal rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.db import transaction
from django.db.models import Count, Max, Min

from catalyst.core.models import Outbox, ProjectorCursor
from catalyst.core.outbox import Message, as_message

log = structlog.get_logger(__name__)

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Projector:
    name: str
    topics: frozenset[str]
    apply: Callable[[Message], None]
    clear: Callable[[], None]


_projectors: dict[str, Projector] = {}


def register_projector(projector: Projector) -> Projector:
    """Make a projector known to the relay and to ``rebuild_projection``."""
    _projectors[projector.name] = projector
    return projector


def projector_names() -> list[str]:
    return sorted(_projectors)


def run_projectors() -> int:
    """Fold everything that is published and not yet folded; return how many events were read.

    A projector that fails stops only itself: it stays where it is, with an alarm, and the others go on.
    """
    applied = 0
    for name in projector_names():
        try:
            while step := _advance(_projectors[name]):
                applied += step
        except Exception as error:
            log.error("projector_failed", projector=name, alarm=True, exc_info=error)
    return applied


def folded_sequence() -> int:
    """Return the last sequence that every projector has folded: what live streams may show without being ahead of the
    tables that pages are drawn from."""
    names = projector_names()
    reached = ProjectorCursor.objects.filter(name__in=names).aggregate(least=Min("sequence"), known=Count("name"))
    if not names:
        return Outbox.objects.aggregate(last=Max("sequence"))["last"] or 0
    return reached["least"] if reached["known"] == len(names) else 0


@transaction.atomic(durable=True)
def rebuild_projection(*, name: str) -> None:
    """Empty one projector's tables and fold the whole log into them again, in one transaction."""
    projector = _projectors[name]
    ProjectorCursor.objects.get_or_create(name=name)
    ProjectorCursor.objects.select_for_update().get(name=name)
    projector.clear()
    last = 0
    for event in Outbox.objects.filter(sequence__isnull=False).order_by("sequence").iterator(chunk_size=_BATCH):
        last = event.sequence or last
        if event.topic in projector.topics:
            projector.apply(as_message(event))
    ProjectorCursor.objects.filter(name=name).update(sequence=last)


@transaction.atomic(durable=True)
def _advance(projector: Projector) -> int:
    ProjectorCursor.objects.get_or_create(name=projector.name)
    cursor = ProjectorCursor.objects.select_for_update(skip_locked=True).filter(name=projector.name).first()
    if cursor is None:
        return 0
    events = list(Outbox.objects.filter(sequence__gt=cursor.sequence).order_by("sequence")[:_BATCH])
    for event in events:
        if event.topic in projector.topics:
            projector.apply(as_message(event))
    if events:
        ProjectorCursor.objects.filter(name=projector.name).update(sequence=events[-1].sequence)
    return len(events)
