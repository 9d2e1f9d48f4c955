"""The recurring right to a Plan and Add-ons for one Environment."""

from django.contrib.postgres.fields import DateTimeRangeField
from django.db import models
from django.db.models import Func, Q
from django.db.models.functions import Coalesce
from django.db.models.lookups import LessThan
from django.utils.translation import gettext_lazy as _

from catalyst.core import names


class _Bound(Func):
    output_field = models.DateTimeField()


class Subscription(models.Model):
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
            models.UniqueConstraint(fields=["organization", "id"], name="subscription_org_key"),
            models.UniqueConstraint(
                fields=["organization", "env_type"], condition=~Q(state="canceled"), name="subscription_one_live"
            ),
        ]

    def __str__(self) -> str:
        return f"subscription {self.pk} {self.state}"
