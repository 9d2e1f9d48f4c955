"""The recurring right to a Plan and Add-ons for one Environment."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import DateTimeRangeField
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Coalesce, Now
from django.db.models.lookups import LessThan
from django.utils.translation import gettext_lazy as _

from catalyst.core import names


class _Bound(Func):
    output_field = models.DateTimeField()


class _ItemsTotal(Func):
    """The sum of quantity times unit price over a list of items, in minor units (an SQL function of migration 0005)."""

    function = "billing_items_total"
    output_field = models.BigIntegerField()


class SubscriptionTransition(models.Model):
    """One allowed move; reference data that the history's foreign key points at."""

    pk = models.CompositePrimaryKey("from_state", "to_state")
    from_state = models.TextField()
    to_state = models.TextField()

    def __str__(self) -> str:
        return f"{self.from_state} → {self.to_state}"


class Subscription(models.Model):
    """What is billed every month until it ends. Moves and graces: docs/subscriptions.md.

    ``items`` is what the next period costs: ``{kind, reference, title, title_ar, quantity, unit_minor}`` each, as sold.
    ``version`` counts moves; version 1 is the row as its sale made it, later ones have a ``SubscriptionEvent``.
    """

    class State(models.TextChoices):
        ACTIVE = "active", _("Active")
        PAST_DUE = "past_due", _("Payment due")
        SUSPENDED = "suspended", _("Suspended")
        CANCELED = "canceled", _("Ended")

    class Collection(models.TextChoices):
        CREDIT = "credit", _("Credit")
        CARD = "card", _("Card")

    organization = models.ForeignKey(
        "billing.Account", on_delete=models.PROTECT, db_constraint=False, related_name="subscriptions"
    )
    currency = models.ForeignKey(
        "core.Currency", on_delete=models.PROTECT, db_column="currency", related_name="+", db_constraint=False
    )
    env_type = models.CharField(max_length=4)
    order = models.OneToOneField(
        "billing.Order", on_delete=models.PROTECT, db_constraint=False, related_name="subscription"
    )
    plan = models.CharField(_("Plan"), max_length=48)
    state = models.TextField(_("state"), choices=State)
    collection = models.TextField(choices=Collection)
    psp_subscription_id = models.TextField(null=True, unique=True)
    current_period = DateTimeRangeField(_("period"))
    psp_seen_at = models.DateTimeField(null=True)
    items = models.JSONField(db_default=models.Value([], models.JSONField()))
    monthly_minor = models.GeneratedField(
        expression=_ItemsTotal(F("items")), output_field=models.BigIntegerField(_("monthly")), db_persist=True
    )
    version = models.IntegerField(db_default=1)
    past_due_since = models.DateTimeField(_("payment due since"), null=True)
    suspended_at = models.DateTimeField(_("suspended since"), null=True)
    canceled_at = models.DateTimeField(_("ended"), null=True)
    cancel_at_period_end = models.BooleanField(_("ends with its period"), db_default=False)
    next_action_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(_("started"), db_default=Now())

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        constraints = [
            models.CheckConstraint(condition=Q(env_type__in=names.ENVIRONMENT_TYPES), name="subscription_env_type"),
            models.CheckConstraint(
                condition=Q(state__in=["active", "past_due", "suspended", "canceled"]), name="subscription_state"
            ),
            models.CheckConstraint(
                condition=Q(collection="card", psp_subscription_id__isnull=False)
                | Q(collection="credit", psp_subscription_id__isnull=True),
                name="subscription_collection",
            ),
            # A range with an open end, or an empty one, is no period: NULL would pass a CHECK.
            models.CheckConstraint(
                condition=Q(
                    Coalesce(
                        LessThan(
                            _Bound("current_period", function="lower"), _Bound("current_period", function="upper")
                        ),
                        models.Value(False),
                        output_field=models.BooleanField(),
                    )
                ),
                name="subscription_period",
            ),
            models.CheckConstraint(
                condition=Q(state="canceled") | Q(past_due_since__isnull=False) ^ Q(state="active"),
                name="subscription_due_since",
            ),
            models.CheckConstraint(
                condition=Q(state="canceled") | Q(suspended_at__isnull=False) ^ ~Q(state="suspended"),
                name="subscription_suspended_at",
            ),
            models.CheckConstraint(
                condition=Q(canceled_at__isnull=False) ^ ~Q(state="canceled"), name="subscription_canceled_at"
            ),
            models.UniqueConstraint(fields=["organization", "id"], name="subscription_org_key"),
            models.UniqueConstraint(
                fields=["organization", "env_type"], condition=~Q(state="canceled"), name="subscription_one_live"
            ),
        ]

        indexes = [
            # the sweep: live ones whose time has come
            models.Index(fields=["next_action_at"], condition=~Q(state="canceled"), name="subscription_due"),
        ]

    def __str__(self) -> str:
        return f"subscription {self.pk} {self.state}"


class SubscriptionEvent(models.Model):
    """One step of one subscription, with what it cost after the step; append-only. Reports read it."""

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="history")
    seq = models.IntegerField()
    from_state = models.TextField()
    to_state = models.TextField()
    plan = models.CharField(max_length=48)
    monthly_minor = models.BigIntegerField()
    actor = models.TextField()
    reason = models.TextField(default="", blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("subscription step")
        verbose_name_plural = _("subscription steps")
        constraints = [
            models.UniqueConstraint(fields=["subscription", "seq"], name="subscriptionevent_seq"),
            models.CheckConstraint(condition=Q(seq__gt=1), name="subscriptionevent_starts"),
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id}:{self.seq} {self.to_state}"


class SubscriptionChangeQuerySet(models.QuerySet["SubscriptionChange"]):
    def open(self) -> "SubscriptionChangeQuerySet":
        """Return the wishes that wait for payment or for the end of a period; one at most for each subscription."""
        return self.filter(state__in=[SubscriptionChange.State.PENDING, SubscriptionChange.State.SCHEDULED])

    def scheduled(self) -> "SubscriptionChangeQuerySet":
        """Return the wishes that wait for the end of a period."""
        return self.filter(state=SubscriptionChange.State.SCHEDULED)


class SubscriptionChange(models.Model):
    """A change of Plan or contents: at once and paid for by an order of its own, or at the end of the period.

    ``items`` is what the subscription will consist of; ``install`` are Blueprints to add (names), ``config`` theirs,
    ``remove`` Applications that go (names). ``price_minor`` is the price of the rest of the period, 0 at its end.
    """

    class Kind(models.TextChoices):
        NOW = "now", _("At once")
        PERIOD_END = "period_end", _("At the end of the period")

    class State(models.TextChoices):
        PENDING = "pending", _("Waiting for payment")
        SCHEDULED = "scheduled", _("Scheduled")
        APPLIED = "applied", _("Done")
        DROPPED = "dropped", _("Dropped")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        "billing.Account", on_delete=models.PROTECT, db_constraint=False, related_name="subscription_changes"
    )
    subscription = models.ForeignKey(
        Subscription, on_delete=models.PROTECT, db_constraint=False, related_name="changes"
    )
    kind = models.TextField(choices=Kind)
    state = models.TextField(_("state"), choices=State)
    plan = models.CharField(_("Plan"), max_length=48)
    items = models.JSONField()
    install = models.JSONField(default=list)
    config = models.JSONField(default=dict)
    remove = models.JSONField(default=list)
    price_minor = models.BigIntegerField()
    monthly_minor = models.GeneratedField(
        expression=_ItemsTotal(F("items")), output_field=models.BigIntegerField(), db_persist=True
    )
    effective_at = models.DateTimeField()
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    resolved_at = models.DateTimeField(null=True)

    objects = SubscriptionChangeQuerySet.as_manager()

    class Meta:
        verbose_name = _("subscription change")
        verbose_name_plural = _("subscription changes")
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=["now", "period_end"]), name="subscriptionchange_kind"),
            models.CheckConstraint(
                condition=Q(state__in=["pending", "scheduled", "applied", "dropped"]), name="subscriptionchange_state"
            ),
            models.CheckConstraint(condition=Q(price_minor__gte=0), name="subscriptionchange_price"),
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=False) ^ Q(state__in=["pending", "scheduled"]),
                name="subscriptionchange_resolved",
            ),
            models.UniqueConstraint(fields=["organization", "id"], name="subscriptionchange_org_key"),
            # A second wish replaces the first one: two open ones could not both be true.
            models.UniqueConstraint(
                fields=["subscription"],
                condition=Q(state__in=["pending", "scheduled"]),
                name="subscriptionchange_one_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.plan} {self.state}"
