"""Credit that staff give by hand. A large amount needs a second person."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class CreditGrant(models.Model):
    """One wish to give credit, and who decided. The ledger entry is written when it is granted."""

    class State(models.TextChoices):
        REQUESTED = "requested", _("Waits for a second person")
        GRANTED = "granted", _("Granted")
        DECLINED = "declined", _("Declined")

    organization = models.ForeignKey("billing.Account", on_delete=models.PROTECT, related_name="credit_grants")
    currency = models.ForeignKey("core.Currency", on_delete=models.PROTECT, db_column="currency", related_name="+")
    amount_minor = models.BigIntegerField(_("amount"))
    reason = models.TextField(_("reason"))
    needs_second = models.BooleanField(_("needs a second person"))
    state = models.TextField(_("state"), choices=State)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    entry_seq = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(_("requested"), db_default=Now())
    decided_at = models.DateTimeField(_("decided"), null=True)

    class Meta:
        verbose_name = _("credit grant")
        verbose_name_plural = _("credit grants")
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["requested", "granted", "declined"]), name="creditgrant_state"
            ),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="creditgrant_amount"),
            models.CheckConstraint(condition=~Q(reason=""), name="creditgrant_reason"),
            models.CheckConstraint(
                condition=Q(decided_at__isnull=False, decided_by__isnull=False) ^ Q(state="requested"),
                name="creditgrant_decided",
            ),
            models.CheckConstraint(
                condition=Q(entry_seq__isnull=False) ^ ~Q(state="granted"), name="creditgrant_entry"
            ),
            models.CheckConstraint(
                condition=Q(needs_second=False) | ~Q(state="granted") | ~Q(decided_by=F("requested_by")),
                name="creditgrant_second_person",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.state}"
