"""The platform's own tables: currencies, the event log, deliveries, idempotency keys, projector cursors."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length, Now
from django.db.models.lookups import Exact, GreaterThanOrEqual, LessThanOrEqual

from catalyst.core.expressions import Modulo, OctetLength


class Currency(models.Model):
    """What the card processor accepts in one currency: reference data, changed by migrations only."""

    code = models.CharField(primary_key=True, max_length=3)
    exponent = models.SmallIntegerField()
    psp_step = models.IntegerField(help_text="The processor bills multiples of this many minor units.")
    psp_min_minor = models.BigIntegerField(help_text="The smallest amount that the processor bills, in minor units.")

    class Meta:
        verbose_name_plural = "currencies"
        constraints = [
            models.CheckConstraint(condition=Q(code__regex=r"^[A-Z]{3}$"), name="currency_code"),
            models.CheckConstraint(condition=Q(exponent__range=(0, 4)), name="currency_exponent"),
            models.CheckConstraint(condition=Q(psp_step__gt=0), name="currency_step"),
            models.CheckConstraint(
                condition=Q(psp_min_minor__gte=0) & Q(Exact(Modulo(F("psp_min_minor"), F("psp_step")), 0)),
                name="currency_minimum",
            ),
        ]

    def __str__(self) -> str:
        return self.code


class Outbox(models.Model):
    """One fact. Written in the transaction of its effect; ``sequence`` is given by the relay and never has a gap.

    ``stream`` says whose fact it is (``organization:42``, empty for the Sovereign's own).
    """

    dedup_key = models.TextField(unique=True)
    topic = models.TextField()
    stream = models.TextField(default="", blank=True)
    payload = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())
    sequence = models.BigIntegerField(null=True, unique=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "event"
        constraints = [
            models.CheckConstraint(
                condition=Q(sequence__isnull=True, sent_at__isnull=True)
                | Q(sequence__isnull=False, sent_at__isnull=False),
                name="outbox_sent_with_sequence",
            ),
        ]
        indexes = [
            # the relay: what is not yet relayed, oldest first
            models.Index(fields=["id"], condition=Q(sent_at__isnull=True), name="outbox_unsent"),
            # live streams: what one Organization may see, after a sequence
            models.Index(fields=["stream", "sequence"], name="outbox_stream"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.dedup_key}"


class Delivery(models.Model):
    """One event on its way to one consumer: the record that Redis is not."""

    class State(models.TextChoices):
        PENDING = "pending"
        DONE = "done"
        DEAD = "dead"

    message = models.ForeignKey(Outbox, on_delete=models.PROTECT, related_name="deliveries")
    consumer = models.TextField()
    state = models.TextField(choices=State.choices, default=State.PENDING)
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    lease_owner = models.TextField(default="", blank=True)
    lease_until = models.DateTimeField(null=True)
    last_error = models.TextField(default="", blank=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["message", "consumer"], name="delivery_once_per_consumer"),
            models.CheckConstraint(condition=Q(state__in=["pending", "done", "dead"]), name="delivery_state"),
            models.CheckConstraint(condition=Q(attempts__gte=0), name="delivery_attempts"),
        ]
        indexes = [
            # the sweep: what is due
            models.Index(fields=["next_attempt_at"], condition=Q(state="pending"), name="delivery_due"),
        ]

    def __str__(self) -> str:
        return f"{self.consumer} #{self.message_id}"


class IdempotencyKey(models.Model):
    """A command's key. ``scope`` is Organization and user, ``subject`` what the command made."""

    scope = models.TextField()
    key = models.TextField()
    fingerprint = models.BinaryField()
    subject = models.TextField(default="", blank=True)
    response_status = models.IntegerField(null=True)
    response_body = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scope", "key"], name="idempotencykey_once"),
            models.CheckConstraint(condition=Q(Exact(OctetLength(F("fingerprint")), 32)), name="idempotencykey_print"),
            models.CheckConstraint(
                condition=Q(GreaterThanOrEqual(Length(F("key")), 8)) & Q(LessThanOrEqual(Length(F("key")), 128)),
                name="idempotencykey_length",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.key}"


class ProjectorCursor(models.Model):
    """How far one projector has folded the log."""

    name = models.TextField(primary_key=True)
    sequence = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} at {self.sequence}"


class Incident(models.Model):
    """Something that must be looked at by a person: a broken invariant, a difference with an outside system.

    One open row for each kind and subject; seen again, it counts.
    """

    kind = models.TextField()
    subject = models.TextField()
    detail = models.TextField(blank=True, default="")
    count = models.IntegerField(db_default=1)
    opened_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.TextField(blank=True, default="")

    class Meta:
        verbose_name = "incident"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=Q(resolved_at__isnull=True), name="incident_one_open"
            ),
            models.CheckConstraint(condition=Q(count__gt=0), name="incident_count"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}"
