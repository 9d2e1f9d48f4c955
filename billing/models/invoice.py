"""Invoices, credit notes and their documents. Issued amounts and facts never change: docs/invoices.md."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from catalyst.core.expressions import NumNonNulls, OctetLength


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
    card_refunded_minor = models.BigIntegerField(_("refunded to the card"), db_default=0)
    card_disputed_minor = models.BigIntegerField(_("lost in disputes"), db_default=0)
    uuid = models.UUIDField(db_default=RandomUUID(), unique=True, editable=False)
    # Frozen when the number is given: what the document says never depends on later edits.
    lines = models.JSONField(default=list)
    tax_percent = models.DecimalField(_("VAT rate, percent"), max_digits=5, decimal_places=2, default=0)
    tax_minor = models.BigIntegerField(_("VAT included"), default=0)
    rounding_minor = models.BigIntegerField(_("rounding"), default=0)
    seller = models.JSONField(default=dict)
    buyer = models.JSONField(default=dict)
    issued_at = models.DateTimeField(_("issued"), null=True)
    due_at = models.DateTimeField(_("due"), null=True)
    paid_at = models.DateTimeField(_("paid"), null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("invoice")
        verbose_name_plural = _("invoices")
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
                & Q(card_disputed_minor__gte=0)
                & Q(card_refunded_minor__lte=F("total_minor") - F("credit_minor") - F("card_disputed_minor")),
                name="invoice_refund_within_card",
            ),
            models.CheckConstraint(
                condition=Q(number__isnull=False) ^ Q(issued_at__isnull=True), name="invoice_issued_at"
            ),
            models.CheckConstraint(
                condition=Q(tax_minor__gte=0) & Q(tax_minor__lte=F("total_minor")), name="invoice_tax"
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
    uuid = models.UUIDField(db_default=RandomUUID(), unique=True, editable=False)
    reason = models.TextField(_("reason"), default="")
    tax_minor = models.BigIntegerField(_("VAT included"), default=0)
    seller = models.JSONField(default=dict)
    buyer = models.JSONField(default=dict)
    issued_by = models.TextField(default="system")
    issued_at = models.DateTimeField(_("issued"), db_default=Now())

    class Meta:
        verbose_name = _("credit note")
        verbose_name_plural = _("credit notes")
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


class Document(models.Model):
    """The PDF of one invoice or credit note: made once, never changed, so that every download is the same bytes."""

    organization = models.ForeignKey("billing.Account", on_delete=models.PROTECT, related_name="documents")
    invoice = models.OneToOneField(
        Invoice, on_delete=models.PROTECT, null=True, db_constraint=False, related_name="document"
    )
    credit_note = models.OneToOneField(
        CreditNote, on_delete=models.PROTECT, null=True, db_constraint=False, related_name="document"
    )
    content = models.BinaryField()
    sha256 = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        constraints = [
            models.CheckConstraint(
                condition=Q(Exact(NumNonNulls(F("invoice"), F("credit_note")), 1)), name="document_of_one"
            ),
            models.CheckConstraint(condition=Q(Exact(OctetLength(F("sha256")), 32)), name="document_hash"),
        ]

    def __str__(self) -> str:
        return f"document {self.pk}"


class BillingDetails(models.Model):
    """Whom an Organization's invoices name, and where they are sent; what is empty is taken from the Organization."""

    organization = models.OneToOneField(
        "billing.Account", primary_key=True, on_delete=models.PROTECT, related_name="billing_details"
    )
    name = models.CharField(_("name on the invoice"), max_length=120, blank=True, default="")
    address = models.TextField(_("address"), blank=True, default="")
    vatin = models.CharField(_("VAT number"), max_length=20, blank=True, default="")
    email = models.EmailField(_("billing e-mail"), blank=True, default="")
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("billing details")
        verbose_name_plural = _("billing details")
        constraints = [
            models.CheckConstraint(
                condition=Q(vatin="") | Q(vatin__regex=r"^[A-Z0-9]{4,20}$"), name="billingdetails_vatin"
            ),
        ]

    def __str__(self) -> str:
        return f"billing details {self.organization_id}"
