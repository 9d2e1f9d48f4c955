"""The price list and its shelves: categories, business types, Plans, Add-ons, Bundles, Prices.

Seed rows are made by ``sync_catalog``. ``edited_at`` marks a row that a person changed: from then on the seed leaves it
alone. ``retired_at`` takes a row out of every list; nothing here is ever deleted.

Source: catalog.md of the design.
"""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from catalyst.core.expressions import Modulo

#: Slugs of Plans, Add-ons, Bundles, categories, business types.
SLUG = r"^(?=.{1,48}$)[a-z](?:-?[a-z0-9])*$"


class Availability(models.TextChoices):
    """``now`` can be bought; ``soon`` is shown with a badge and can never be bought."""

    NOW = "now", _("Available")
    SOON = "soon", _("Coming soon")


class CatalogueRow(models.Model):
    """What every row that staff may curate has in common."""

    slug = models.CharField(_("slug"), max_length=48)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    edited_at = models.DateTimeField(_("edited"), null=True, blank=True, editable=False)
    retired_at = models.DateTimeField(_("retired"), null=True, blank=True)

    class Meta:
        abstract = True
        constraints = [models.CheckConstraint(condition=Q(slug__regex=SLUG), name="%(class)s_slug")]

    def __str__(self) -> str:
        return self.slug

    def is_retired(self) -> bool:
        return self.retired_at is not None


class TitledRow(CatalogueRow):
    """A row with a translated title. Without the Arabic one it stays out of the Arabic marketplace."""

    title_en = models.CharField(_("title"), max_length=120)
    title_ar = models.CharField(_("title in Arabic"), max_length=120, default="", blank=True)

    class Meta(CatalogueRow.Meta):
        abstract = True
        constraints = [
            *CatalogueRow.Meta.constraints,
            models.UniqueConstraint(fields=["slug"], name="%(class)s_slug_once"),
            models.CheckConstraint(condition=~Q(title_en=""), name="%(class)s_title"),
        ]


class Category(TitledRow):
    """A shelf of the marketplace."""

    class Meta(TitledRow.Meta):
        verbose_name = _("category")
        verbose_name_plural = _("categories")


class Industry(TitledRow):
    """A business type: suggests Blueprints (by slug, in display order) and a Bundle."""

    suggested = ArrayField(models.CharField(max_length=48), verbose_name=_("suggested"), default=list, blank=True)
    bundle = models.CharField(_("Bundle"), max_length=48, default="", blank=True)

    class Meta(TitledRow.Meta):
        verbose_name = _("business type")
        verbose_name_plural = _("business types")


class Plan(TitledRow):
    """Monthly capacity for one Environment. A Plan that can be bought has limits on all three axes."""

    audience_en = models.CharField(_("for whom"), max_length=200, default="", blank=True)
    audience_ar = models.CharField(_("for whom, in Arabic"), max_length=200, default="", blank=True)
    vcpu_milli = models.PositiveIntegerField(_("CPU, milli"))
    memory_mib = models.PositiveIntegerField(_("memory, MiB"))
    disk_gib = models.PositiveIntegerField(_("disk, GiB"))
    popular = models.BooleanField(_("popular"), default=False)
    state = models.CharField(_("state"), max_length=4, choices=Availability, default=Availability.SOON)

    class Meta(TitledRow.Meta):
        verbose_name = _("Plan")
        verbose_name_plural = _("Plans")
        constraints = [
            *TitledRow.Meta.constraints,
            models.CheckConstraint(condition=Q(state__in=Availability.values), name="plan_state"),
            models.CheckConstraint(
                condition=Q(state="soon") | Q(vcpu_milli__gt=0, memory_mib__gt=0, disk_gib__gt=0),
                name="plan_sold_with_limits",
            ),
        ]


class AddOn(TitledRow):
    """Priced extra of one Environment. ``included_from`` is a Plan's slug, ``every``, or empty for never."""

    EVERY_PLAN = "every"

    class Shelf(models.TextChoices):
        RELIABILITY = "reliability", _("Reliability")
        SUPPORT = "support", _("Support")
        NETWORKING = "networking", _("Networking")
        DEVELOPER = "developer", _("Developer")
        SECURITY = "security", _("Security")
        MONITORING = "monitoring", _("Monitoring")

    category = models.CharField(_("category"), max_length=12, choices=Shelf)
    state = models.CharField(_("state"), max_length=4, choices=Availability, default=Availability.SOON)
    included_from = models.CharField(_("included from"), max_length=48, default="", blank=True)

    class Meta(TitledRow.Meta):
        verbose_name = _("Add-on")
        verbose_name_plural = _("Add-ons")
        constraints = [
            *TitledRow.Meta.constraints,
            models.CheckConstraint(condition=Q(state__in=Availability.values), name="addon_state"),
            models.CheckConstraint(
                condition=Q(
                    category__in=["reliability", "support", "networking", "developer", "security", "monitoring"]
                ),
                name="addon_category",
            ),
        ]


class Bundle(TitledRow):
    """Blueprints bought in one act, by slug. ``discount_percent`` is taken from the first month's Plan line.

    ``state`` is the most that staff allow. Whether a Bundle can be bought is computed: three of its members must be.
    """

    members = ArrayField(models.CharField(max_length=48), verbose_name=_("members"))
    discount_percent = models.PositiveSmallIntegerField(
        _("discount, percent"), validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    recommended_plan = models.CharField(_("recommended Plan"), max_length=48, default="", blank=True)
    state = models.CharField(_("state"), max_length=4, choices=Availability, default=Availability.NOW)

    class Meta(TitledRow.Meta):
        verbose_name = _("Bundle")
        verbose_name_plural = _("Bundles")
        constraints = [
            *TitledRow.Meta.constraints,
            models.CheckConstraint(condition=Q(state__in=Availability.values), name="bundle_state"),
            models.CheckConstraint(condition=Q(discount_percent__range=(1, 100)), name="bundle_discount"),
            models.CheckConstraint(condition=Q(members__len__gte=3), name="bundle_members"),
        ]


class PriceQuerySet(models.QuerySet["Price"]):
    def current(self, *, currency: str, at: datetime) -> Self:
        """Keep the newest version per kind and reference that is valid at ``at``."""
        valid = self.filter(currency_id=currency, valid_from__lte=at)
        return valid.order_by("kind", "reference", "-valid_from").distinct("kind", "reference")


class Price(models.Model):
    """One version of a monthly list price, VAT included, in minor units. Rows are inserted, never changed.

    ``reference`` is the slug of a Plan or Add-on, the name (``bp-…``) of a Blueprint. ``set_by`` is empty for the seed.
    """

    class Kind(models.TextChoices):
        PLAN = "plan", _("Plan")
        BLUEPRINT = "blueprint", _("Blueprint")
        ADDON = "addon", _("Add-on")

    kind = models.CharField(_("kind"), max_length=9, choices=Kind)
    reference = models.CharField(_("reference"), max_length=48)
    currency = models.ForeignKey("core.Currency", on_delete=models.PROTECT, related_name="+")
    amount_minor = models.BigIntegerField(_("amount, minor units"))
    valid_from = models.DateTimeField(_("valid from"))
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = PriceQuerySet.as_manager()

    class Meta:
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        constraints = [
            # also the index of PriceQuerySet.current()
            models.UniqueConstraint(fields=["kind", "reference", "currency", "valid_from"], name="price_version_once"),
            models.CheckConstraint(condition=Q(kind__in=["plan", "blueprint", "addon"]), name="price_kind"),
            models.CheckConstraint(condition=Q(reference__regex=SLUG), name="price_reference"),
            models.CheckConstraint(condition=Q(amount_minor__gte=0), name="price_not_negative"),
            # The processor's step and floor for rials; other currencies are checked by the service from their row.
            models.CheckConstraint(
                condition=~Q(currency="OMR")
                | Q(amount_minor=0)
                | (Q(Exact(Modulo(F("amount_minor"), 10), 0)) & Q(amount_minor__gte=200)),
                name="price_step",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference} {self.amount_minor} {self.currency_id}"
