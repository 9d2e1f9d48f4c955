"""The billing account, its append-only credit ledger, and credit set aside for a purchase.

Amounts are minor units of the account's currency. What the database refuses beyond this file (composite foreign keys,
triggers, grants) stands in migration 0002.
"""

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Abs, Now
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from catalyst.core.expressions import NumNonNulls


class Account(models.Model):
    """One per Organization, in one currency: the row that is locked. ``posted - held`` can be spent."""

    organization = models.OneToOneField(
        "tenancy.Organization", primary_key=True, on_delete=models.PROTECT, related_name="billing_account"
    )
    currency = models.ForeignKey("core.Currency", on_delete=models.PROTECT, db_column="currency", related_name="+")
    psp_customer_id = models.TextField(null=True, unique=True)
    posted_minor = models.BigIntegerField(db_default=0)
    held_minor = models.BigIntegerField(db_default=0)
    last_seq = models.BigIntegerField(db_default=0)
    frozen_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("billing account")
        verbose_name_plural = _("billing accounts")
        constraints = [
            models.CheckConstraint(
                condition=Q(held_minor__gte=0) & Q(held_minor__lte=F("posted_minor")), name="account_no_overdraft"
            ),
            models.CheckConstraint(condition=Q(last_seq__gte=0), name="account_last_seq"),
            models.UniqueConstraint(fields=["organization", "currency"], name="account_currency"),
        ]

    def __str__(self) -> str:
        return f"account {self.organization_id}"


class LedgerEntry(models.Model):
    """One fact of one account's chain; never changed. A mistake is a new, reversing entry."""

    class Kind(models.TextChoices):
        OPENING = "opening", _("Opening")
        VOUCHER_GRANT = "voucher_grant", _("Voucher")
        MANUAL_GRANT = "manual_grant", _("Credit granted")
        PURCHASE = "purchase", _("Credit purchased")
        ORDER_SPEND = "order_spend", _("Order")
        INVOICE_SPEND = "invoice_spend", _("Invoice")
        REFUND = "refund", _("Refund")
        REVERSAL = "reversal", _("Reversal")
        EXPIRY = "expiry", _("Expired")

    class CounterAccount(models.TextChoices):
        OPENING = "opening"
        PROMOTION = "promotion"
        CASH = "cash"
        SETTLEMENT = "settlement"
        BREAKAGE = "breakage"

    organization = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="entries")
    seq = models.BigIntegerField()
    amount_minor = models.BigIntegerField(_("amount"))
    balance_after_minor = models.BigIntegerField(_("balance after"))
    prev_seq = models.BigIntegerField(null=True)
    prev_balance_minor = models.BigIntegerField(null=True)
    kind = models.TextField(_("kind"), choices=Kind)
    counter_account = models.TextField(choices=CounterAccount)
    idempotency_key = models.TextField()
    actor = models.TextField(_("actor"))
    created_at = models.DateTimeField(_("time"), db_default=Now())
    redemption = models.ForeignKey("billing.Redemption", on_delete=models.PROTECT, null=True, db_constraint=False)
    order = models.ForeignKey("billing.Order", on_delete=models.PROTECT, null=True, db_constraint=False)
    invoice = models.ForeignKey("billing.Invoice", on_delete=models.PROTECT, null=True, db_constraint=False)
    credit_note = models.ForeignKey("billing.CreditNote", on_delete=models.PROTECT, null=True, db_constraint=False)
    reverses_seq = models.BigIntegerField(null=True)
    reverses_amount_minor = models.BigIntegerField(null=True)
    reverses_kind = models.TextField(null=True)
    magnitude_minor = models.GeneratedField(
        expression=Abs("amount_minor"), output_field=models.BigIntegerField(), db_persist=True
    )
    is_grant = models.GeneratedField(
        expression=Case(When(kind="voucher_grant", then=Value(True)), output_field=models.BooleanField()),
        output_field=models.BooleanField(null=True),
        db_persist=True,
    )

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("credit ledger")
        constraints = [
            models.UniqueConstraint(fields=["organization", "seq"], name="entry_seq"),
            models.UniqueConstraint(fields=["organization", "prev_seq"], name="entry_no_fork"),
            models.UniqueConstraint(fields=["organization", "seq", "balance_after_minor"], name="entry_balance_key"),
            models.UniqueConstraint(fields=["organization", "seq", "amount_minor", "kind"], name="entry_reversal_key"),
            models.UniqueConstraint(
                fields=["organization", "seq", "redemption", "amount_minor"], name="entry_grant_key"
            ),
            models.UniqueConstraint(fields=["organization", "idempotency_key"], name="entry_once"),
            models.UniqueConstraint(fields=["organization", "reverses_seq"], name="entry_reversed_once"),
            models.UniqueConstraint(fields=["redemption"], condition=Q(kind="voucher_grant"), name="entry_one_grant"),
            models.UniqueConstraint(fields=["order"], condition=Q(kind="order_spend"), name="entry_one_order_spend"),
            models.UniqueConstraint(
                fields=["invoice"], condition=Q(kind="invoice_spend"), name="entry_one_invoice_spend"
            ),
            models.UniqueConstraint(fields=["credit_note"], condition=Q(kind="refund"), name="entry_one_refund"),
            models.CheckConstraint(condition=Q(balance_after_minor__gte=0), name="entry_no_overdraft"),
            models.CheckConstraint(
                condition=Q(
                    kind__in=[
                        "opening",
                        "voucher_grant",
                        "manual_grant",
                        "purchase",
                        "order_spend",
                        "invoice_spend",
                        "refund",
                        "reversal",
                        "expiry",
                    ]
                ),
                name="entry_kind",
            ),
            models.CheckConstraint(
                condition=Q(counter_account__in=["opening", "promotion", "cash", "settlement", "breakage"]),
                name="entry_counter_account",
            ),
            models.CheckConstraint(
                condition=Q(
                    seq=0,
                    kind="opening",
                    prev_seq__isnull=True,
                    prev_balance_minor__isnull=True,
                    amount_minor=0,
                    balance_after_minor=0,
                )
                | (
                    Q(seq__gt=0, prev_seq__isnull=False, prev_balance_minor__isnull=False)
                    & ~Q(kind="opening")
                    & ~Q(amount_minor=0)
                    & Q(prev_seq=F("seq") - 1)
                    & Q(balance_after_minor=F("prev_balance_minor") + F("amount_minor"))
                ),
                name="entry_chain",
            ),
            models.CheckConstraint(
                condition=(Q(kind__in=["voucher_grant", "manual_grant", "purchase", "refund"]) & Q(amount_minor__gt=0))
                | (Q(kind__in=["order_spend", "invoice_spend", "expiry"]) & Q(amount_minor__lt=0))
                | Q(kind__in=["opening", "reversal"]),
                name="entry_sign",
            ),
            models.CheckConstraint(
                condition=(
                    Q(kind="voucher_grant", redemption__isnull=False)
                    | (~Q(kind="voucher_grant") & Q(redemption__isnull=True))
                )
                & (Q(kind="order_spend", order__isnull=False) | (~Q(kind="order_spend") & Q(order__isnull=True)))
                & (
                    Q(kind="invoice_spend", invoice__isnull=False)
                    | (~Q(kind="invoice_spend") & Q(invoice__isnull=True))
                )
                & (Q(kind="refund", credit_note__isnull=False) | (~Q(kind="refund") & Q(credit_note__isnull=True))),
                name="entry_source",
            ),
            models.CheckConstraint(
                condition=(
                    ~Q(kind="reversal")
                    & Q(reverses_seq__isnull=True, reverses_amount_minor__isnull=True, reverses_kind__isnull=True)
                )
                | (
                    Q(
                        kind="reversal",
                        reverses_seq__isnull=False,
                        reverses_amount_minor__isnull=False,
                        reverses_kind__isnull=False,
                    )
                    & Q(amount_minor=-1 * F("reverses_amount_minor"))
                ),
                name="entry_reversal",
            ),
            models.CheckConstraint(
                condition=Q(reverses_kind__isnull=True)
                | Q(reverses_kind__in=["voucher_grant", "manual_grant", "purchase", "expiry"]),
                name="entry_reversible",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id}:{self.seq} {self.kind} {self.amount_minor}"


class CreditHold(models.Model):
    """Credit set aside for one checkout or invoice; captured or voided exactly once."""

    class Source(models.TextChoices):
        BALANCE = "balance", _("Balance, when the checkout was reserved")
        GRANT = "grant", _("Voucher, at the hand-over")
        RENEWAL = "renewal", _("Renewal")

    class State(models.TextChoices):
        ACTIVE = "active", _("Active")
        CAPTURED = "captured", _("Captured")
        VOIDED = "voided", _("Voided")

    organization = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="holds")
    checkout = models.ForeignKey(
        "billing.Checkout", on_delete=models.PROTECT, null=True, db_constraint=False, related_name="holds"
    )
    cart_id = models.UUIDField(null=True)
    invoice = models.ForeignKey("billing.Invoice", on_delete=models.PROTECT, null=True, db_constraint=False)
    source = models.TextField(choices=Source)
    amount_minor = models.BigIntegerField()
    state = models.TextField(choices=State, default=State.ACTIVE)
    created_at = models.DateTimeField(db_default=Now())
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("credit hold")
        verbose_name_plural = _("credit holds")
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="hold_amount"),
            models.CheckConstraint(condition=Q(source__in=["balance", "grant", "renewal"]), name="hold_source"),
            models.CheckConstraint(condition=Q(state__in=["active", "captured", "voided"]), name="hold_state"),
            models.CheckConstraint(
                condition=Q(Exact(NumNonNulls(F("checkout"), F("invoice")), 1))
                & (Q(checkout__isnull=True, cart_id__isnull=True) | Q(checkout__isnull=False, cart_id__isnull=False))
                & (Q(source="renewal", invoice__isnull=False) | (~Q(source="renewal") & Q(invoice__isnull=True))),
                name="hold_owner",
            ),
            models.CheckConstraint(
                condition=Q(state="active", resolved_at__isnull=True)
                | (~Q(state="active") & Q(resolved_at__isnull=False)),
                name="hold_resolved",
            ),
            models.UniqueConstraint(
                fields=["checkout", "source"],
                condition=Q(state__in=["active", "captured"]),
                name="hold_one_per_checkout",
            ),
            models.UniqueConstraint(
                fields=["invoice"], condition=Q(state__in=["active", "captured"]), name="hold_one_per_invoice"
            ),
        ]
        indexes = [
            # the commit-time check: what is held in one account
            models.Index(fields=["organization"], condition=Q(state="active"), name="hold_active"),
        ]

    def __str__(self) -> str:
        return f"hold {self.pk} {self.state} {self.amount_minor}"
