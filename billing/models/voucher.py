"""Vouchers, what Organizations did with them, and failed guesses."""

from django.conf import settings
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Now
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from catalyst.core.expressions import OctetLength


class VoucherBatch(models.Model):
    """Many codes of equal terms, issued at once for one campaign, to one partner.

    ``token`` is the form that asked for it: sent twice, it makes one batch.
    """

    token = models.UUIDField(unique=True, db_default=RandomUUID(), editable=False)
    campaign = models.CharField(_("campaign"), max_length=60)
    partner = models.CharField(_("partner"), max_length=120, blank=True, default="")
    count = models.IntegerField(_("codes"))
    issued_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("issued by")
    )
    created_at = models.DateTimeField(_("issued"), db_default=Now())

    class Meta:
        verbose_name = _("Voucher batch")
        verbose_name_plural = _("Voucher batches")
        constraints = [models.CheckConstraint(condition=Q(count__range=(1, 5000)), name="voucherbatch_count")]

    def __str__(self) -> str:
        return self.campaign


class Voucher(models.Model):
    """A code that grants a fixed amount. Issued means immutable: only the counters, ``active`` and ``revoked_at`` move.

    ``code_key`` is the keyed hash by which a code is found, ``code_sealed`` its text for voucher managers.
    """

    code_key = models.BinaryField()
    code_sealed = models.TextField()
    code_hint = models.CharField(_("code ends with"), max_length=4)
    description = models.CharField(_("description"), max_length=200, blank=True, default="")
    campaign = models.CharField(_("campaign"), max_length=60, blank=True, default="")
    batch = models.ForeignKey(
        VoucherBatch, on_delete=models.PROTECT, null=True, blank=True, related_name="vouchers", verbose_name=_("batch")
    )
    currency = models.ForeignKey("core.Currency", on_delete=models.PROTECT, db_column="currency", related_name="+")
    grant_minor = models.BigIntegerField(_("credit"))
    starts_at = models.DateTimeField(_("starts"), db_default=Now())
    ends_at = models.DateTimeField(_("ends"), null=True, blank=True)
    active = models.BooleanField(_("active"), default=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    max_redemptions = models.IntegerField(_("uses in all"), null=True, blank=True)
    per_organization_limit = models.IntegerField(_("uses per Organization"), default=1)
    reserved_count = models.IntegerField(_("reserved"), default=0)
    redeemed_count = models.IntegerField(_("redeemed"), default=0)
    issued_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("issued by")
    )
    created_at = models.DateTimeField(_("issued"), db_default=Now())

    class Meta:
        verbose_name = _("Voucher")
        verbose_name_plural = _("Vouchers")
        constraints = [
            models.UniqueConstraint(fields=["code_key"], name="voucher_code_once"),
            models.CheckConstraint(condition=Q(Exact(OctetLength(F("code_key")), 32)), name="voucher_code_key"),
            models.CheckConstraint(condition=Q(grant_minor__gt=0), name="voucher_grant"),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")), name="voucher_window"
            ),
            models.CheckConstraint(
                condition=Q(max_redemptions__isnull=True) | Q(max_redemptions__gt=0), name="voucher_max"
            ),
            models.CheckConstraint(condition=Q(per_organization_limit__range=(1, 1000)), name="voucher_limit"),
            models.CheckConstraint(
                condition=Q(reserved_count__gte=0) & Q(redeemed_count__gte=0), name="voucher_counters"
            ),
            models.CheckConstraint(
                condition=Q(max_redemptions__isnull=True)
                | Q(max_redemptions__gte=F("reserved_count") + F("redeemed_count")),
                name="voucher_cap",
            ),
            models.UniqueConstraint(fields=["id", "per_organization_limit"], name="voucher_limit_key"),
            models.UniqueConstraint(fields=["id", "currency", "grant_minor"], name="voucher_grant_key"),
        ]

    def __str__(self) -> str:
        return f"…{self.code_hint}"


class Redemption(models.Model):
    """One use of one Voucher by one Organization."""

    class State(models.TextChoices):
        RESERVED = "reserved", _("Reserved")
        REDEEMED = "redeemed", _("Redeemed")
        RELEASED = "released", _("Released")
        REVERSED = "reversed", _("Reversed")

    organization = models.ForeignKey(
        "billing.Account", on_delete=models.PROTECT, db_constraint=False, related_name="redemptions"
    )
    voucher = models.ForeignKey(Voucher, on_delete=models.PROTECT, related_name="redemptions")
    checkout = models.OneToOneField(
        "billing.Checkout", on_delete=models.PROTECT, null=True, db_constraint=False, related_name="redemption"
    )
    cart_id = models.UUIDField(null=True)
    state = models.TextField(_("state"), choices=State)
    currency = models.ForeignKey(
        "core.Currency", on_delete=models.PROTECT, db_column="currency", related_name="+", db_constraint=False
    )
    grant_minor = models.BigIntegerField(_("credit"))
    per_organization_limit = models.IntegerField()
    slot = models.SmallIntegerField()
    grant_seq = models.BigIntegerField(null=True)
    reserved_at = models.DateTimeField(_("reserved"), db_default=Now())
    resolved_at = models.DateTimeField(_("resolved"), null=True)
    granted = models.GeneratedField(
        expression=Case(When(state__in=["redeemed", "reversed"], then=Value(True)), default=Value(False)),
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        verbose_name = _("redemption")
        verbose_name_plural = _("redemptions")
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["reserved", "redeemed", "released", "reversed"]), name="redemption_state"
            ),
            models.CheckConstraint(
                condition=Q(checkout__isnull=True, cart_id__isnull=True)
                | Q(checkout__isnull=False, cart_id__isnull=False),
                name="redemption_cart_whole",
            ),
            models.CheckConstraint(
                condition=Q(checkout__isnull=False) | Q(state__in=["redeemed", "reversed"]), name="redemption_direct"
            ),
            models.CheckConstraint(
                condition=Q(slot__gte=1) & Q(slot__lte=F("per_organization_limit")), name="redemption_slot_range"
            ),
            models.CheckConstraint(
                condition=Q(state="reserved", resolved_at__isnull=True)
                | (~Q(state="reserved") & Q(resolved_at__isnull=False)),
                name="redemption_resolved",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["redeemed", "reversed"], grant_seq__isnull=False)
                | Q(state__in=["reserved", "released"], grant_seq__isnull=True),
                name="redemption_grant_known",
            ),
            models.UniqueConstraint(fields=["organization", "id"], name="redemption_org_key"),
            models.UniqueConstraint(fields=["organization", "id", "granted"], name="redemption_granted_key"),
            models.UniqueConstraint(
                fields=["voucher", "organization", "slot"],
                condition=Q(state__in=["reserved", "redeemed"]),
                name="redemption_slot",
            ),
            models.UniqueConstraint(
                fields=["voucher", "organization", "cart_id"],
                condition=Q(state__in=["reserved", "redeemed"]),
                name="redemption_once_per_cart",
            ),
        ]

    def __str__(self) -> str:
        return f"redemption {self.pk} {self.state}"


class CodeAttempt(models.Model):
    """Failed code look-ups per scope and window, counted where a Redis flush cannot reach."""

    pk = models.CompositePrimaryKey("scope", "window_start")
    scope = models.TextField()
    window_start = models.DateTimeField()
    failures = models.IntegerField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(failures__gt=0), name="codeattempt_failures")]

    def __str__(self) -> str:
        return f"{self.scope}: {self.failures}"
