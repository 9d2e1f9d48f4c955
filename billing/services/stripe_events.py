"""The webhook inbox: store first, answer, then follow the processor's own answer about the object.

The payload is a hint. An event that matches nothing yet waits; a handler that fails is tried again and is then dead
until a person replays it. Source: docs/checkout.md, "Webhook inbox".
"""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import stripe
import structlog
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from billing.models import BillingSettings, StripeEvent
from billing.services.psp import ProcessorNotConfigured, ProcessorUnavailable, get_processor
from billing.services.stripe_follow import FOLLOWERS
from catalyst.core.crypto import SealBroken, unseal
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from catalyst.core.failpoints import fp
from catalyst.core.incidents import open_incident, resolve_incident
from catalyst.core.models import Incident
from tenancy.models import User
from tenancy.services.audit import SOVEREIGN_STREAM, actor_name, append_audit

log = structlog.get_logger(__name__)

TOLERANCE_SECONDS = 300
MAX_ATTEMPTS = 8
_UNMATCHED_FOR = timedelta(hours=72)
#: The kind of incident that a dead event opens.
_DEAD = "stripe_event_dead"


class WebhookRefused(DomainError):
    code = "webhook_signature_invalid"
    status = HTTPStatus.BAD_REQUEST


class WebhookNotConfigured(DomainError):
    code = "webhook_not_configured"
    status = HTTPStatus.SERVICE_UNAVAILABLE


def verify_event(*, body: bytes, signature: str) -> dict[str, Any]:
    """Return the event of raw bytes whose signature one of our secrets made; two are valid during rotation.

    :raises WebhookNotConfigured: no secret is stored. :raises WebhookRefused: bad signature, too old, or not an event.
    """
    secrets = _webhook_secrets()
    if not secrets:
        raise WebhookNotConfigured(_("No webhook secret is stored."))
    for secret in secrets:
        try:
            event = stripe.Webhook.construct_event(body, signature, secret, tolerance=TOLERANCE_SECONDS)
        except (stripe.SignatureVerificationError, ValueError):
            continue
        parsed: dict[str, Any] = event.to_dict(for_json=True)
        if isinstance(parsed.get("id"), str) and isinstance(parsed.get("type"), str):
            return parsed
    raise WebhookRefused(_("The signature does not match."))


@use_case
def store_event(*, event: dict[str, Any]) -> bool:
    """Store an event once; return whether it is new. Only after this commit is the processor answered."""
    row = StripeEvent(
        id=event["id"],
        type=event["type"],
        object_id=(event.get("data", {}).get("object") or {}).get("id"),
        livemode=bool(event.get("livemode")),
        created=datetime.fromtimestamp(int(event.get("created", 0)), tz=UTC),
        payload=event,
    )
    before = StripeEvent.objects.filter(pk=row.pk).exists()
    StripeEvent.objects.bulk_create([row], ignore_conflicts=True)
    return not before


def process_event(*, event_id: str, now: datetime) -> None:
    """Take the step that the event hints at, by asking the processor; safe to repeat and in any order."""
    event = StripeEvent.objects.filter(pk=event_id, state=StripeEvent.State.PENDING).first()
    if event is None:
        return
    follow = FOLLOWERS.get(event.type)
    if follow is None or not event.object_id:
        _finish(event, StripeEvent.State.IGNORED)
        return
    try:
        matched = follow(get_processor(), event.object_id, actor="webhook", now=now)
    except (ProcessorNotConfigured, ProcessorUnavailable) as error:
        # Not the event's fault: it waits as long as one that matches nothing yet.
        _retry(event, error, counted=False)
        return
    except Exception as error:
        _retry(event, error, counted=True)
        return
    if matched:
        fp("inbox.effect.in_tx")
        _finish(event, StripeEvent.State.DONE)
    else:
        _retry(event, LookupError("nothing of ours matches yet"), counted=False)


def sweep_events(*, now: datetime) -> int:
    """Process every event that is due; return how many."""
    due = StripeEvent.objects.filter(state=StripeEvent.State.PENDING, next_attempt_at__lte=now)
    ids = list(due.order_by("next_attempt_at").values_list("pk", flat=True)[:100])
    for event_id in ids:
        process_event(event_id=event_id, now=now)
    return len(ids)


def fetch_missed_events(*, now: datetime, days: int, only_undelivered: bool) -> int:
    """Put into the inbox what the processor could not deliver; return how many were new."""
    created_from = int((now - timedelta(days=days)).timestamp())
    events = get_processor().list_events(created_from=created_from, only_undelivered=only_undelivered)
    return sum(store_event(event=event) for event in events)


@use_case
def replay_event(*, event_id: str, actor: User) -> bool:
    """Give a dead event a new life, for the person who has mended the cause; return whether it was dead."""
    dead = StripeEvent.objects.filter(pk=event_id, state=StripeEvent.State.DEAD)
    revived = dead.update(
        state=StripeEvent.State.PENDING, attempts=0, next_attempt_at=Now(), received_at=Now(), done_at=None
    )
    if revived:
        _settle_death(event_id, actor=actor, action="stripe_event.replayed")
    return bool(revived)


@use_case
def dismiss_event(*, event_id: str, actor: User) -> bool:
    """Put a dead event aside for good, for the person who knows that it is none of ours; return whether it was dead."""
    dismissed = StripeEvent.objects.filter(pk=event_id, state=StripeEvent.State.DEAD).update(
        state=StripeEvent.State.IGNORED
    )
    if dismissed:
        _settle_death(event_id, actor=actor, action="stripe_event.dismissed")
    return bool(dismissed)


def _settle_death(event_id: str, *, actor: User, action: str) -> None:
    opened = Incident.objects.filter(kind=_DEAD, subject=event_id, resolved_at=None)
    for incident_id in opened.values_list("pk", flat=True):
        resolve_incident(incident_id=incident_id, actor=actor_name(actor))
    append_audit(stream=SOVEREIGN_STREAM, actor=actor, action=action, target=f"stripe_event:{event_id}", detail={})


def _webhook_secrets() -> list[str]:
    row = BillingSettings.objects.filter(pk=1).first()
    if row is None:
        return []
    secrets = []
    for sealed in (row.stripe_webhook_secret_sealed, row.stripe_webhook_secret_previous_sealed):
        if sealed:
            try:
                secrets.append(unseal(sealed, place="billing_billingsettings:1:stripe_webhook_secret"))
            except SealBroken:
                log.error("webhook_secret_unreadable", alarm=True)
    return secrets


@transaction.atomic(durable=True)
def _finish(event: StripeEvent, state: str) -> None:
    StripeEvent.objects.filter(pk=event.pk, state=StripeEvent.State.PENDING).update(
        state=state, done_at=timezone.now(), last_error=""
    )


@transaction.atomic(durable=True)
def _retry(event: StripeEvent, error: Exception, *, counted: bool) -> None:
    attempts = event.attempts + 1
    too_old = timezone.now() - event.received_at > _UNMATCHED_FOR
    dead = too_old or (counted and attempts >= MAX_ATTEMPTS)
    reason = f"{type(error).__name__}: {error}"[:500]
    if dead:
        log.error("stripe_event_dead", stripe_event=event.pk, alarm=True)
        open_incident(kind=_DEAD, subject=event.pk, detail=f"{event.type} {event.object_id}: {reason}")
    StripeEvent.objects.filter(pk=event.pk, state=StripeEvent.State.PENDING).update(
        state=StripeEvent.State.DEAD if dead else StripeEvent.State.PENDING,
        done_at=timezone.now() if dead else None,
        attempts=F("attempts") + 1,
        next_attempt_at=timezone.now() + timedelta(seconds=min(5 * 2**attempts, 3600)),
        last_error=reason,
    )
