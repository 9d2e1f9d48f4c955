"""The card processor's side: intents before each call, the webhook inbox, the Sovereign's keys."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length, Now
from django.db.models.lookups import Exact, LessThanOrEqual
from django.utils.translation import gettext_lazy as _

from catalyst.core.expressions import OctetLength


class PspCallQuerySet(models.QuerySet["PspCall"]):
    def undecided(self) -> "PspCallQuerySet":
        """Return the calls of which nobody knows yet whether they had their effect."""
        return self.filter(state__in=[PspCall.State.REQUESTED, PspCall.State.UNKNOWN])


class PspCall(models.Model):
    """The intent of one call, committed before the request is sent. Unknown is not failed."""

    class State(models.TextChoices):
        REQUESTED = "requested", _("Requested")
        SUCCEEDED = "succeeded", _("Succeeded")
        REJECTED = "rejected", _("Rejected")
        UNKNOWN = "unknown", _("Outcome unknown")
        ABSENT = "absent", _("Never happened")
        VOIDED = "voided", _("Undone")

    organization = models.ForeignKey("billing.Account", on_delete=models.PROTECT, related_name="psp_calls")
    checkout = models.ForeignKey(
        "billing.Checkout", on_delete=models.PROTECT, null=True, db_constraint=False, related_name="psp_calls"
    )
    invoice = models.ForeignKey("billing.Invoice", on_delete=models.PROTECT, null=True, db_constraint=False)
    credit_note = models.ForeignKey("billing.CreditNote", on_delete=models.PROTECT, null=True, db_constraint=False)
    op = models.TextField(_("operation"))
    idempotency_key = models.TextField(unique=True)
    params = models.JSONField()
    params_sha256 = models.BinaryField()
    state = models.TextField(_("state"), choices=State, default=State.REQUESTED)
    first_sent_at = models.DateTimeField(_("first sent"), null=True)
    http_status = models.IntegerField(null=True)
    object_id = models.TextField(_("object"), null=True)
    next_action_at = models.DateTimeField(db_default=Now())
    resolved_at = models.DateTimeField(_("resolved"), null=True)

    objects = PspCallQuerySet.as_manager()

    class Meta:
        verbose_name = _("processor call")
        verbose_name_plural = _("processor calls")
        constraints = [
            models.CheckConstraint(
                condition=Q(LessThanOrEqual(Length(F("idempotency_key")), 255)), name="pspcall_key_length"
            ),
            models.CheckConstraint(condition=Q(Exact(OctetLength(F("params_sha256")), 32)), name="pspcall_params_hash"),
            models.CheckConstraint(
                condition=Q(state__in=["requested", "succeeded", "rejected", "unknown", "absent", "voided"]),
                name="pspcall_state",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["requested", "unknown"], resolved_at__isnull=True)
                | (~Q(state__in=["requested", "unknown"]) & Q(resolved_at__isnull=False)),
                name="pspcall_resolved",
            ),
        ]
        indexes = [
            # the cleaner: intents without an outcome
            models.Index(
                fields=["next_action_at"], condition=Q(state__in=["requested", "unknown"]), name="pspcall_due"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.op} {self.state}"


class StripeEvent(models.Model):
    """Webhook inbox: the raw event is stored and answered; its effect comes later, from the processor's own answer."""

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        DONE = "done", _("Done")
        IGNORED = "ignored", _("Ignored")
        DEAD = "dead", _("Dead")

    id = models.TextField(primary_key=True)
    type = models.TextField(_("type"))
    object_id = models.TextField(_("object"), null=True)
    livemode = models.BooleanField()
    created = models.DateTimeField(_("created at the processor"))
    payload = models.JSONField()
    state = models.TextField(_("state"), choices=State, default=State.PENDING)
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    last_error = models.TextField(blank=True, default="")
    received_at = models.DateTimeField(_("received"), db_default=Now())
    done_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("processor event")
        verbose_name_plural = _("processor events")
        constraints = [
            models.CheckConstraint(condition=~Q(id=""), name="stripeevent_id"),
            models.CheckConstraint(
                condition=Q(state__in=["pending", "done", "ignored", "dead"]), name="stripeevent_state"
            ),
            models.CheckConstraint(
                condition=Q(state="pending", done_at__isnull=True) | (~Q(state="pending") & Q(done_at__isnull=False)),
                name="stripeevent_done",
            ),
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state="pending"), name="stripeevent_due"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class Dispute(models.Model):
    """A cardholder's complaint at the bank. While it is open the account spends nothing and takes no codes."""

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        WON = "won", _("Won")
        LOST = "lost", _("Lost")

    organization = models.ForeignKey("billing.Account", on_delete=models.PROTECT, related_name="disputes")
    invoice = models.ForeignKey("billing.Invoice", on_delete=models.PROTECT, null=True, db_constraint=False)
    psp_dispute_id = models.TextField(_("processor's id"), unique=True)
    currency = models.ForeignKey("core.Currency", on_delete=models.PROTECT, db_column="currency", related_name="+")
    amount_minor = models.BigIntegerField(_("amount"))
    state = models.TextField(_("state"), choices=State)
    opened_at = models.DateTimeField(_("opened"), db_default=Now())
    closed_at = models.DateTimeField(_("closed"), null=True)

    class Meta:
        verbose_name = _("dispute")
        verbose_name_plural = _("disputes")
        constraints = [
            models.CheckConstraint(condition=Q(state__in=["open", "won", "lost"]), name="dispute_state"),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="dispute_amount"),
            models.CheckConstraint(condition=Q(closed_at__isnull=False) ^ Q(state="open"), name="dispute_closed"),
        ]

    def __str__(self) -> str:
        return f"{self.psp_dispute_id} {self.state}"


class BillingSettings(models.Model):
    """The Sovereign's processor keys, one row, sealed. An empty value means "not configured"."""

    stripe_secret_key_sealed = models.TextField(blank=True, default="")
    stripe_webhook_secret_sealed = models.TextField(blank=True, default="")
    stripe_webhook_secret_previous_sealed = models.TextField(blank=True, default="")
    stripe_publishable_key = models.TextField(blank=True, default="")
    seller_name = models.CharField(_("seller"), max_length=120, blank=True, default="")
    seller_name_ar = models.CharField(_("seller in Arabic"), max_length=120, blank=True, default="")
    seller_address = models.TextField(_("seller's address"), blank=True, default="")
    seller_vatin = models.CharField(_("seller's VAT number"), max_length=20, blank=True, default="")
    grant_limit_minor = models.BigIntegerField(
        _("credit that one person may grant"), default=50_000, help_text=_("Above it a second person confirms.")
    )
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("billing settings")
        verbose_name_plural = _("billing settings")
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="billingsettings_one_row"),
            models.CheckConstraint(condition=Q(grant_limit_minor__gte=0), name="billingsettings_grant_limit"),
        ]

    def __str__(self) -> str:
        return str(_("Billing settings"))
