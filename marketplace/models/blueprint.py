"""Blueprints and their immutable versions.

Source: blueprints.md of the design.
"""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Concat, Now
from django.utils.translation import gettext_lazy as _

from catalyst.core.names import BLUEPRINT, VERSION
from marketplace.models.catalogue import Availability, CatalogueRow, Category
from marketplace.models.publisher import TrustedKey
from tenancy.models import Organization


class BlueprintQuerySet(models.QuerySet["Blueprint"]):
    def visible_to(self, organization: Organization | None) -> Self:
        """Keep what this reader may know of by name: public, the Sovereign's, and the Organization's own."""
        shared = ~Q(source=Blueprint.Source.ORG) & ~Q(visibility=Blueprint.Visibility.PRIVATE)
        if organization is None:
            return self.filter(shared)
        return self.filter(shared | Q(source=Blueprint.Source.ORG, organization=organization))


class Blueprint(CatalogueRow):
    """An installable thing under one name of one source, with the texts of its card and its footprint.

    A row without a published version is announced, not sold. Names of Applications are proper nouns: not translated.
    """

    class Kind(models.TextChoices):
        APPLICATION = "application", _("Application")
        SERVICE = "service", _("Backing service")
        BUNDLE = "bundle", _("Bundle")

    class Visibility(models.TextChoices):
        LISTED = "listed", _("Listed")
        UNLISTED = "unlisted", _("Unlisted")
        PRIVATE = "private", _("Private")

    class Source(models.TextChoices):
        PUBLIC = "public", _("Public")
        SOVEREIGN = "sovereign", _("Sovereign")
        ORG = "org", _("Organization")

    name = models.CharField(_("name"), max_length=48)
    kind = models.CharField(_("kind"), max_length=11, choices=Kind, default=Kind.APPLICATION)
    visibility = models.CharField(_("visibility"), max_length=8, choices=Visibility, default=Visibility.LISTED)
    source = models.CharField(_("source"), max_length=9, choices=Source, default=Source.PUBLIC)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, null=True, blank=True, related_name="blueprints"
    )
    state = models.CharField(_("state"), max_length=4, choices=Availability, default=Availability.SOON)
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="blueprints")
    title = models.CharField(_("title"), max_length=80)
    tagline_en = models.CharField(_("tagline"), max_length=160, default="", blank=True)
    tagline_ar = models.CharField(_("tagline in Arabic"), max_length=160, default="", blank=True)
    description_en = models.TextField(_("description"), default="", blank=True)
    description_ar = models.TextField(_("description in Arabic"), default="", blank=True)
    color = models.CharField(_("color"), max_length=7, default="", blank=True)
    icon = models.TextField(_("icon"), default="", blank=True, help_text=_("SVG text."))
    tags = ArrayField(models.CharField(max_length=32), verbose_name=_("tags"), default=list, blank=True)
    related = ArrayField(models.CharField(max_length=48), verbose_name=_("related"), default=list, blank=True)
    featured = models.BooleanField(_("featured"), default=False)
    popular = models.BooleanField(_("popular"), default=False)
    memory_mib = models.PositiveIntegerField(_("memory, MiB"))
    cpu_milli = models.PositiveIntegerField(_("CPU, milli"))
    disk_gib = models.PositiveIntegerField(_("disk, GiB"))
    minimum_plan = models.CharField(_("minimum Plan"), max_length=48, default="", blank=True)
    recommended_plan = models.CharField(_("recommended Plan"), max_length=48, default="", blank=True)
    license = models.CharField(_("license"), max_length=64, default="", blank=True)
    documentation = models.URLField(_("documentation"), default="", blank=True)

    objects = BlueprintQuerySet.as_manager()

    class Meta(CatalogueRow.Meta):
        verbose_name = _("Blueprint")
        verbose_name_plural = _("Blueprints")
        constraints = [
            *CatalogueRow.Meta.constraints,
            models.UniqueConstraint(
                fields=["source", "organization", "name"], nulls_distinct=False, name="blueprint_name_once"
            ),
            models.CheckConstraint(condition=Q(name__regex=BLUEPRINT), name="blueprint_name"),
            models.CheckConstraint(
                condition=Q(name=Concat(models.Value("bp-"), F("slug"))), name="blueprint_name_of_slug"
            ),
            models.CheckConstraint(condition=Q(kind__in=["application", "service", "bundle"]), name="blueprint_kind"),
            models.CheckConstraint(condition=Q(state__in=Availability.values), name="blueprint_state"),
            models.CheckConstraint(
                condition=Q(source="public", visibility__in=["listed", "unlisted"])
                | Q(source="sovereign", visibility__in=["listed", "unlisted", "private"])
                | Q(source="org", visibility="private"),
                name="blueprint_visibility",
            ),
            models.CheckConstraint(
                condition=Q(source="org", organization__isnull=False)
                | Q(source__in=["public", "sovereign"], organization__isnull=True),
                name="blueprint_organization",
            ),
            models.CheckConstraint(condition=~Q(title=""), name="blueprint_title"),
            models.CheckConstraint(condition=Q(color="") | Q(color__regex=r"^#[0-9A-F]{6}$"), name="blueprint_color"),
        ]

    def __str__(self) -> str:
        return self.name

    def has_card(self) -> bool:
        """Services, unlisted and retired Blueprints have none; an Organization's own have one for its members."""
        listed = self.visibility == self.Visibility.LISTED or self.source == self.Source.ORG
        return listed and self.kind != self.Kind.SERVICE and not self.is_retired()

    def has_arabic(self) -> bool:
        return bool(self.tagline_ar and self.category.title_ar)


class BlueprintVersion(models.Model):
    """One release of a Blueprint. The database refuses to change or delete it; only ``yanked_at`` may be set.

    ``files`` maps a path inside the folder to its text, ``contract`` is the parsed blueprint.yaml. A version from a
    registry has the key that signed it, and ``reference``, the repository it came from; ``digest`` is then that of its
    manifest. What ships with this release has neither, and a digest over its files.
    """

    blueprint = models.ForeignKey(Blueprint, on_delete=models.PROTECT, related_name="versions")
    version = models.CharField(_("version"), max_length=64)
    major = models.PositiveIntegerField()
    minor = models.PositiveIntegerField()
    patch = models.PositiveIntegerField()
    prerelease = models.CharField(max_length=40, default="", blank=True)
    digest = models.CharField(_("digest"), max_length=71)
    contract = models.JSONField()
    files = models.JSONField()
    signer = models.ForeignKey(TrustedKey, on_delete=models.PROTECT, null=True, blank=True, related_name="versions")
    reference = models.CharField(_("repository"), max_length=255, db_default="", default="", blank=True)
    published_at = models.DateTimeField(_("published"), db_default=Now())
    yanked_at = models.DateTimeField(_("yanked"), null=True, blank=True)

    class Meta:
        verbose_name = _("Blueprint version")
        verbose_name_plural = _("Blueprint versions")
        constraints = [
            models.UniqueConstraint(fields=["blueprint", "version"], name="blueprintversion_once"),
            models.CheckConstraint(condition=Q(version__regex=VERSION), name="blueprintversion_version"),
            models.CheckConstraint(condition=Q(digest__regex=r"^sha256:[0-9a-f]{64}$"), name="blueprintversion_digest"),
            models.CheckConstraint(
                condition=Q(signer__isnull=True, reference="") | (Q(signer__isnull=False) & ~Q(reference="")),
                name="blueprintversion_signed",
            ),
        ]
        indexes = [
            # the newest release that is not yanked
            models.Index(
                fields=["blueprint", "-major", "-minor", "-patch"],
                condition=Q(yanked_at__isnull=True, prerelease=""),
                name="blueprintversion_newest",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.blueprint_id} {self.version}"
