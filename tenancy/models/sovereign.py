"""The one row that says whose deployment this is."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Sovereign(models.Model):
    """Exactly one row: name, public host, currency, languages, branding."""

    name = models.CharField(_("name"), max_length=80)
    name_ar = models.CharField(_("name in Arabic"), max_length=80, blank=True)
    domain = models.CharField(_("domain"), max_length=253)
    currency = models.ForeignKey("core.Currency", on_delete=models.PROTECT, default="OMR")
    languages = ArrayField(models.CharField(max_length=8), default=list)
    time_zone = models.CharField(_("time zone"), max_length=40, default="Asia/Muscat")
    order_prefix = models.CharField(_("order prefix"), max_length=3, default="OMN")
    vat_percent = models.DecimalField(_("VAT rate, percent"), max_digits=5, decimal_places=2, default=5)
    support_email = models.EmailField(_("support e-mail"), blank=True)
    branding = models.JSONField(_("branding"), default=dict, blank=True)
    is_sandbox = models.BooleanField(_("sandbox"), default=False)

    class Meta:
        verbose_name = _("Sovereign")
        verbose_name_plural = _("Sovereign")
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="sovereign_one_row"),
            models.CheckConstraint(condition=Q(order_prefix__regex=r"^[A-Z]{3}$"), name="sovereign_prefix"),
            models.CheckConstraint(condition=Q(vat_percent__range=(0, 100)), name="sovereign_vat"),
        ]

    def __str__(self) -> str:
        return self.name
