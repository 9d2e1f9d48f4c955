"""Orders and their lines: the single source of every amount."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Order(models.Model):
    """An accepted quote with its split into credit and card. Only ``state`` ever changes."""

    class State(models.TextChoices):
        PENDING_PAYMENT = "pending_payment", _("Waiting for payment")
        PAID = "paid", _("Paid")
        CANCELLED = "cancelled", _("Cancelled")
        REFUNDED = "refunded", _("Refunded")

    number = models.CharField(_("number"), max_length=20, unique=True)
    organization = models.ForeignKey(
        "billing.Account", on_delete=models.PROTECT, db_constraint=False, related_name="orders"
    )
    checkout = models.OneToOneField(
        "billing.Checkout", on_delete=models.PROTECT, db_constraint=False, related_name="order"
    )
    buyer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    currency = models.ForeignKey(
        "core.Currency", on_delete=models.PROTECT, db_column="currency", related_name="+", db_constraint=False
    )
    state = models.TextField(_("state"), choices=State)
    total_minor = models.BigIntegerField(_("total"))
    credit_minor = models.BigIntegerField(_("credit part"))
    card_minor = models.GeneratedField(
        expression=F("total_minor") - F("credit_minor"), output_field=models.BigIntegerField(), db_persist=True
    )
    monthly_minor = models.BigIntegerField(_("then monthly"))
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["pending_payment", "paid", "cancelled", "refunded"]), name="order_state"
            ),
            models.CheckConstraint(condition=Q(monthly_minor__gte=0), name="order_monthly"),
            models.UniqueConstraint(fields=["organization", "id"], name="order_org_key"),
            models.UniqueConstraint(fields=["organization", "id", "credit_minor"], name="order_credit_key"),
        ]

    def __str__(self) -> str:
        return self.number


class OrderLine(models.Model):
    """One priced row: quote, ledger and the processor's line items are all built from these."""

    class Kind(models.TextChoices):
        PLAN = "plan", _("Plan")
        BLUEPRINT = "blueprint", _("Application")
        ADDON = "addon", _("Add-on")
        DISCOUNT = "discount", _("Discount")

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="lines")
    position = models.IntegerField()
    kind = models.TextField(choices=Kind)
    reference = models.TextField()
    title = models.TextField(default="")
    title_ar = models.TextField(default="")
    quantity = models.IntegerField()
    unit_minor = models.BigIntegerField()
    total_minor = models.GeneratedField(
        expression=F("quantity") * F("unit_minor"), output_field=models.BigIntegerField(), db_persist=True
    )

    class Meta:
        verbose_name = _("order line")
        verbose_name_plural = _("order lines")
        constraints = [
            models.UniqueConstraint(fields=["order", "position"], name="orderline_position"),
            models.CheckConstraint(
                condition=Q(kind__in=["plan", "blueprint", "addon", "discount"]), name="orderline_kind"
            ),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="orderline_quantity"),
            models.CheckConstraint(
                condition=Q(kind="discount", unit_minor__lt=0) | (~Q(kind="discount") & Q(unit_minor__gte=0)),
                name="orderline_sign",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"
