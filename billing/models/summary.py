"""The read table of what each Organization's money is at."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class BillingSummary(models.Model):
    """Projection: one Organization's credit, subscriptions and debts. Written by its projector only.

    Amounts are minor units of ``currency``. ``subscriptions`` holds what each live subscription costs per month and
    its state, by its id; the sums stand beside it.
    """

    organization_id = models.BigIntegerField(primary_key=True)
    currency = models.CharField(max_length=3, blank=True, default="")
    balance_minor = models.BigIntegerField(default=0)
    balance_entry = models.BigIntegerField(default=0)
    subscriptions = models.JSONField(default=dict)
    live_subscriptions = models.IntegerField(default=0)
    unpaid_subscriptions = models.IntegerField(default=0)
    monthly_minor = models.BigIntegerField(default=0)
    sequence = models.BigIntegerField()

    objects: ClassVar[models.Manager["BillingSummary"]]

    class Meta:
        verbose_name = _("billing summary")
        verbose_name_plural = _("billing summaries")

    def __str__(self) -> str:
        return f"billing of {self.organization_id}"
