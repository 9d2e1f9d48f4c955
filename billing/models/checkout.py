"""The checkout saga: its state, its history, and the table of legal steps."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Now, NullIf
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from catalyst.core import names
from catalyst.core.expressions import ClockTimestamp, Modulo, NumNonNulls

OPEN_STATES = ["reserved", "session_requested", "awaiting_payment", "payment_processing", "expiring"]


class CheckoutTransition(models.Model):
    """One legal step; reference data that the history's foreign key points at."""

    pk = models.CompositePrimaryKey("from_state", "to_state")
    from_state = models.TextField()
    to_state = models.TextField()

    def __str__(self) -> str:
        return f"{self.from_state} → {self.to_state}"


class Checkout(models.Model):
    """One attempt to buy one cart for one Environment. States and steps: docs/checkout.md."""

    class State(models.TextChoices):
        RESERVED = "reserved", _("Reserved")
        SESSION_REQUESTED = "session_requested", _("Card page requested")
        AWAITING_PAYMENT = "awaiting_payment", _("Waiting for payment")
        PAYMENT_PROCESSING = "payment_processing", _("Payment in progress")
        EXPIRING = "expiring", _("Closing")
        COMPLETED = "completed", _("Completed")
        COMPENSATED = "compensated", _("Given back")
        LAPSED = "lapsed", _("Lapsed")
        LATE_PAYMENT = "late_payment", _("Late payment")
        REFUNDING = "refunding", _("Refunding")
        REFUNDED = "refunded", _("Refunded")
        NEEDS_REVIEW = "needs_review", _("Under review")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        "billing.Account", on_delete=models.PROTECT, db_constraint=False, related_name="checkouts"
    )
    currency = models.ForeignKey(
        "core.Currency", on_delete=models.PROTECT, db_column="currency", related_name="+", db_constraint=False
    )
    cart_id = models.UUIDField()
    buyer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    env_type = models.CharField(max_length=4)
    # Set for a change of a live subscription; null for a first purchase.
    change = models.ForeignKey(
        "billing.SubscriptionChange",
        on_delete=models.PROTECT,
        null=True,
        db_constraint=False,
        related_name="checkouts",
    )
    selection = models.JSONField(default=dict)
    state = models.TextField(_("state"), choices=State)
    version = models.IntegerField()
    quote_hash = models.BinaryField()
    total_minor = models.BigIntegerField(_("total"))
    credit_minor = models.BigIntegerField(_("credit part"))
    charge_minor = models.GeneratedField(
        expression=F("total_minor") - F("credit_minor"), output_field=models.BigIntegerField(), db_persist=True
    )
    psp_step = models.IntegerField()
    psp_min_minor = models.BigIntegerField()
    psp_session_id = models.TextField(null=True, unique=True)
    psp_session_url = models.TextField(null=True)
    psp_session_expires_at = models.DateTimeField(null=True)
    handed_over_at = models.DateTimeField(null=True)
    lease_owner = models.TextField(null=True)
    lease_until = models.DateTimeField(null=True)
    next_action_at = models.DateTimeField(db_default=Now())
    last_error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(_("started"), db_default=Now())
    updated_at = models.DateTimeField(_("changed"), db_default=Now())

    class Meta:
        verbose_name = _("checkout")
        verbose_name_plural = _("checkouts")
        constraints = [
            models.CheckConstraint(condition=Q(env_type__in=names.ENVIRONMENT_TYPES), name="checkout_env_type"),
            models.CheckConstraint(condition=Q(version__gt=0), name="checkout_version"),
            models.CheckConstraint(condition=Q(total_minor__gte=0), name="checkout_total"),
            models.CheckConstraint(
                condition=Q(credit_minor__gte=0) & Q(credit_minor__lte=F("total_minor")), name="checkout_credit"
            ),
            models.CheckConstraint(condition=Q(psp_step__gt=0) & Q(psp_min_minor__gte=0), name="checkout_psp"),
            models.UniqueConstraint(fields=["id", "organization", "cart_id"], name="checkout_cart_key"),
            models.UniqueConstraint(fields=["organization", "id"], name="checkout_org_key"),
            models.UniqueConstraint(
                fields=["id", "organization", "currency", "total_minor", "credit_minor"], name="checkout_split_key"
            ),
            models.CheckConstraint(
                condition=Q(total_minor=F("credit_minor"))
                | (
                    Q(Exact(Modulo(F("total_minor") - F("credit_minor"), F("psp_step")), 0))
                    & Q(total_minor__gte=F("credit_minor") + F("psp_min_minor"))
                ),
                name="checkout_charge_billable",
            ),
            models.CheckConstraint(
                condition=Q(
                    Exact(
                        NumNonNulls(
                            F("psp_session_id"), F("psp_session_url"), F("psp_session_expires_at"), F("handed_over_at")
                        ),
                        0,
                    )
                )
                | Q(
                    Exact(
                        NumNonNulls(
                            F("psp_session_id"), F("psp_session_url"), F("psp_session_expires_at"), F("handed_over_at")
                        ),
                        4,
                    )
                ),
                name="checkout_handover_whole",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["reserved", "session_requested", "compensated"])
                | Q(handed_over_at__isnull=True),
                name="checkout_before_handover",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["awaiting_payment", "payment_processing", "expiring", "lapsed"])
                | Q(handed_over_at__isnull=False),
                name="checkout_after_handover",
            ),
            models.CheckConstraint(
                condition=~Q(state="completed") | Q(total_minor=F("credit_minor")) | Q(handed_over_at__isnull=False),
                name="checkout_sold",
            ),
            models.CheckConstraint(
                condition=Q(lease_owner__isnull=True, lease_until__isnull=True)
                | Q(lease_owner__isnull=False, lease_until__isnull=False),
                name="checkout_lease_whole",
            ),
            models.UniqueConstraint(
                fields=["organization", "cart_id"],
                condition=Q(state__in=[*OPEN_STATES, "completed"]),
                name="checkout_one_sale_per_cart",
            ),
            models.UniqueConstraint(
                fields=["organization", "env_type"],
                condition=Q(state__in=OPEN_STATES),
                name="checkout_one_open_per_environment",
            ),
        ]
        indexes = [
            # the sweeper: what is due
            models.Index(
                fields=["next_action_at"],
                condition=~Q(state__in=["completed", "compensated", "lapsed", "refunded", "needs_review"]),
                name="checkout_due",
            ),
        ]

    def __str__(self) -> str:
        return f"checkout {self.id}"


class CheckoutEvent(models.Model):
    """One step that happened; append-only. A bad step or a lost update is a key violation."""

    checkout = models.ForeignKey(Checkout, on_delete=models.PROTECT, related_name="events")
    seq = models.IntegerField()
    from_state = models.TextField(_("from"))
    to_state = models.TextField(_("to"))
    actor = models.TextField(_("actor"))
    reason = models.TextField(_("reason"), blank=True, default="")
    at = models.DateTimeField(_("time"), db_default=ClockTimestamp(output_field=models.DateTimeField()))
    prev_seq = models.GeneratedField(
        expression=NullIf(F("seq") - 1, Value(0)), output_field=models.IntegerField(null=True), db_persist=True
    )
    prev_to_state = models.GeneratedField(
        expression=NullIf(F("from_state"), Value("-")), output_field=models.TextField(null=True), db_persist=True
    )

    class Meta:
        verbose_name = _("checkout event")
        verbose_name_plural = _("checkout history")
        constraints = [
            models.UniqueConstraint(fields=["checkout", "seq"], name="checkoutevent_seq"),
            models.UniqueConstraint(fields=["checkout", "seq", "to_state"], name="checkoutevent_step_key"),
            models.CheckConstraint(condition=Q(seq__gt=0), name="checkoutevent_seq_positive"),
            models.CheckConstraint(
                condition=Q(seq=1, from_state="-") | (~Q(seq=1) & ~Q(from_state="-")), name="checkoutevent_starts"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.from_state} → {self.to_state}"
