"""The one event log: publish in the transaction of the effect, relay afterwards, deliver until done.

``publish`` writes; ``relay_once`` (one process at a time) gives committed events their gapless sequence and one
delivery row per consumer; ``run_delivery`` runs a consumer. What Redis carries is only "look now": every step is found
again by a sweep.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import F, Max, Q
from django.utils import timezone

from catalyst.core.database import execute
from catalyst.core.failpoints import fp
from catalyst.core.models import Delivery, Outbox

log = structlog.get_logger(__name__)

#: After so many failed attempts a delivery is dead until a person replays it.
MAX_ATTEMPTS = 8
LEASE = timedelta(seconds=120)
_BATCH = 500
_RELAY_LOCK = 0x0CA7A1


@dataclass(frozen=True, slots=True)
class Message:
    """One event as a consumer or projector sees it."""

    id: int
    topic: str
    key: str
    stream: str
    payload: dict[str, Any]
    created_at: datetime
    sequence: int


Consumer = Callable[[Message], None]
_consumers: dict[str, dict[str, Consumer]] = {}


def subscribe(topic: str, *, name: str) -> Callable[[Consumer], Consumer]:
    """Register a consumer of ``topic``. It runs at least once per event, so its effect must be keyed by the event."""

    def register(function: Consumer) -> Consumer:
        if name in _consumers.get(topic, {}):
            raise LookupError(f"Two consumers of {topic} are called {name}.")
        _consumers.setdefault(topic, {})[name] = function
        return function

    return register


#: The statement of ``publish``, for a transaction that writes its event together with other rows.
PUBLISH = """
INSERT INTO core_outbox (dedup_key, topic, stream, payload)
VALUES (%(event_key)s, %(event_topic)s, %(event_stream)s, %(event_payload)s::jsonb)
"""


def publish(*, topic: str, key: str, stream: str, payload: dict[str, Any]) -> None:
    """Append one event; call inside the transaction of the effect. The same ``key`` twice is an integrity error."""
    execute(PUBLISH, event_parameters(topic=topic, key=key, stream=stream, payload=payload), prepared=True)


def event_parameters(*, topic: str, key: str, stream: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Return what ``PUBLISH`` needs."""
    return {"event_key": key, "event_topic": topic, "event_stream": stream, "event_payload": json.dumps(payload)}


@transaction.atomic(durable=True)
def relay_once() -> list[int]:
    """Give committed events their sequence and deliveries, in order; return the ids of the new deliveries.

    Does nothing while another relay holds the lock: one writer makes the sequence a promise that no smaller number
    can appear later.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_RELAY_LOCK])
        if not cursor.fetchone()[0]:
            return []
    waiting = list(Outbox.objects.filter(sent_at__isnull=True).order_by("id")[:_BATCH])
    if not waiting:
        return []
    last = Outbox.objects.aggregate(last=Max("sequence"))["last"] or 0
    now = timezone.now()
    for offset, event in enumerate(waiting, start=1):
        event.sequence, event.sent_at = last + offset, now
    Outbox.objects.bulk_update(waiting, ["sequence", "sent_at"])
    deliveries = Delivery.objects.bulk_create(
        Delivery(message=event, consumer=name) for event in waiting for name in sorted(_consumers.get(event.topic, {}))
    )
    fp("outbox.relay.in_tx")
    return [delivery.pk for delivery in deliveries]


def due_deliveries(*, now: datetime, limit: int = 100) -> list[int]:
    """Return the ids of deliveries that nobody is working on and whose time has come."""
    return list(
        Delivery.objects.filter(
            Q(lease_until__isnull=True) | Q(lease_until__lt=now), state=Delivery.State.PENDING, next_attempt_at__lte=now
        )
        .order_by("next_attempt_at")
        .values_list("pk", flat=True)[:limit]
    )


def run_delivery(*, delivery_id: int, owner: str) -> bool:
    """Claim one delivery, run its consumer, record the outcome; return whether it is done.

    A consumer that raises is tried again with growing pauses and is dead after ``MAX_ATTEMPTS``.
    """
    now = timezone.now()
    claimed = Delivery.objects.filter(
        Q(lease_until__isnull=True) | Q(lease_until__lt=now),
        pk=delivery_id,
        state=Delivery.State.PENDING,
        next_attempt_at__lte=now,
    ).update(lease_owner=owner, lease_until=now + LEASE, attempts=F("attempts") + 1)
    if not claimed:
        return False
    delivery = Delivery.objects.select_related("message").get(pk=delivery_id)
    try:
        _consumers[delivery.message.topic][delivery.consumer](as_message(delivery.message))
    except Exception as error:
        _record_failure(delivery, error)
        return False
    fp("outbox.delivery.after_effect")
    Delivery.objects.filter(pk=delivery_id, lease_owner=owner).update(
        state=Delivery.State.DONE, done_at=timezone.now(), lease_owner="", lease_until=None, last_error=""
    )
    return True


def replay_delivery(*, delivery_id: int) -> None:
    """Give a dead delivery a new life, for the person who has mended the cause."""
    Delivery.objects.filter(pk=delivery_id, state=Delivery.State.DEAD).update(
        state=Delivery.State.PENDING, attempts=0, next_attempt_at=timezone.now()
    )


def as_message(event: Outbox) -> Message:
    """Return the event in the form that consumers and projectors take."""
    return Message(
        id=event.pk,
        topic=event.topic,
        key=event.dedup_key,
        stream=event.stream,
        payload=event.payload,
        created_at=event.created_at,
        sequence=event.sequence or 0,
    )


def _record_failure(delivery: Delivery, error: Exception) -> None:
    dead = delivery.attempts >= MAX_ATTEMPTS
    log.warning("delivery_failed", consumer=delivery.consumer, delivery=delivery.pk, dead=dead, exc_info=error)
    Delivery.objects.filter(pk=delivery.pk, lease_owner=delivery.lease_owner).update(
        state=Delivery.State.DEAD if dead else Delivery.State.PENDING,
        next_attempt_at=timezone.now() + timedelta(seconds=min(2**delivery.attempts, 300)),
        lease_owner="",
        lease_until=None,
        last_error=f"{type(error).__name__}: {error}"[:500],
    )
