"""Invoices and credit notes. Their constraints stand; the services that issue them come with the renewal work."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


class DocumentCounter(models.Model):
    """The last number of one series; locked last, by the transaction that issues the document."""

    series = models.TextField(primary_key=True)
    last_number = models.IntegerField(db_default=0)

    def __str__(self) -> str:
        return f"{self.series} {self.last_number}"


class Invoice(models.Model):
    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        OPEN = "open", _("Due")
        PAID = "paid", _("Paid")
        VOID = "void", _("Void")
        UNCOLLECTIBLE = "uncollectible", _("Uncollectible")

    organization = models.ForeignKey(
        "billing.Account", on_delete=models.PROTECT, db_constraint=False, related_name="invoices"
    )
    currency = models.ForeignKey(
        "core.Currency", on_delete=models.PROTECT, db_column="currency", related_name="+", db_constraint=False
    )
    series = models.TextField()
    number = models.IntegerField(null=True)
    order = models.ForeignKey("billing.Order", on_delete=models.PROTECT, null=True, db_constraint=False)
    subscription = models.ForeignKey("billing.Subscription", on_delete=models.PROTECT, null=True, db_constraint=False)
    psp_invoice_id = models.TextField(null=True, unique=True)
    state = models.TextField(choices=State)
    period = DateTimeRangeField(null=True)
    total_minor = models.BigIntegerField()
    credit_minor = models.BigIntegerField()
    card_minor = models.GeneratedField(
        expression=F("total_minor") - F("credit_minor"), output_field=models.BigIntegerField(), db_persist=True
    )
    credit_refunded_minor = models.BigIntegerField(db_default=0)
    card_refunded_minor = models.BigIntegerField(db_default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["draft", "open", "paid", "void", "uncollectible"]), name="invoice_state"
            ),
            models.CheckConstraint(condition=Q(total_minor__gte=0), name="invoice_total"),
            models.CheckConstraint(
                condition=Q(credit_minor__gte=0) & Q(credit_minor__lte=F("total_minor")), name="invoice_credit"
            ),
            models.UniqueConstraint(fields=["series", "number"], name="invoice_number"),
            models.CheckConstraint(
                condition=Q(number__isnull=False, number__gt=0) | Q(number__isnull=True, state__in=["draft", "void"]),
                name="invoice_numbered",
            ),
            models.CheckConstraint(
                condition=Q(credit_refunded_minor__gte=0) & Q(credit_refunded_minor__lte=F("credit_minor")),
                name="invoice_refund_within_credit",
            ),
            models.CheckConstraint(
                condition=Q(card_refunded_minor__gte=0)
                & Q(card_refunded_minor__lte=F("total_minor") - F("credit_minor")),
                name="invoice_refund_within_card",
            ),
            models.UniqueConstraint(fields=["organization", "id"], name="invoice_org_key"),
            models.UniqueConstraint(fields=["organization", "id", "credit_minor"], name="invoice_credit_key"),
            models.UniqueConstraint(fields=["order"], condition=~Q(state="void"), name="invoice_one_per_order"),
            ExclusionConstraint(
                name="invoice_no_double_billing",
                expressions=[("subscription", RangeOperators.EQUAL), ("period", RangeOperators.OVERLAPS)],
                condition=~Q(state="void"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.series} {self.number}"


class CreditNote(models.Model):
    class State(models.TextChoices):
        ISSUED = "issued", _("Issued")
        REFUND_PENDING = "refund_pending", _("Refund in progress")
        SETTLED = "settled", _("Settled")
        REFUND_FAILED = "refund_failed", _("Refund failed")

    organization = models.ForeignKey(
        "billing.Account", on_delete=models.PROTECT, db_constraint=False, related_name="credit_notes"
    )
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, db_constraint=False)
    series = models.TextField()
    number = models.IntegerField()
    credit_minor = models.BigIntegerField()
    card_minor = models.BigIntegerField()
    psp_refund_id = models.TextField(null=True, unique=True)
    state = models.TextField(choices=State)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["issued", "refund_pending", "settled", "refund_failed"]),
                name="creditnote_state",
            ),
            models.CheckConstraint(condition=Q(number__gt=0), name="creditnote_number_positive"),
            models.CheckConstraint(condition=Q(credit_minor__gte=0) & Q(card_minor__gte=0), name="creditnote_amounts"),
            models.UniqueConstraint(fields=["series", "number"], name="creditnote_number"),
            models.CheckConstraint(condition=Q(credit_minor__gt=0) | Q(card_minor__gt=0), name="creditnote_not_empty"),
            models.UniqueConstraint(fields=["organization", "id"], name="creditnote_org_key"),
            models.UniqueConstraint(fields=["organization", "id", "credit_minor"], name="creditnote_credit_key"),
        ]

    def __str__(self) -> str:
        return f"{self.series} {self.number}"
