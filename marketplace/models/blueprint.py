"""Blueprints and their immutable versions.

Source: blueprints.md of the design.
"""

import uuid
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


class BlueprintVersionQuerySet(models.QuerySet["BlueprintVersion"]):
    def installable(self) -> Self:
        """Keep what may be installed anew: published, and neither retired nor yanked."""
        return self.filter(state=BlueprintVersion.State.PUBLISHED, yanked_at=None)


class BlueprintVersion(models.Model):
    """One release of a Blueprint. Its bytes never change; ``state`` takes legal steps, ``yanked_at`` is set once.

    ``files`` maps a path inside the folder to its text, ``contract`` is the parsed blueprint.yaml. A version from a
    registry has the key that signed it, and ``reference``, the repository it came from; ``digest`` is then that of its
    manifest. What ships with this release, or was pushed to a repository here, has neither, and a digest over its
    files; of the latter ``commit`` says where it stood. Only a draft can be deleted.
    """

    class State(models.TextChoices):
        """How far it is. Yanked is what ``yanked_at`` says: a published or retired one that nobody should run."""

        DRAFT = "draft", _("Draft")
        REVIEW = "review", _("In review")
        PUBLISHED = "published", _("Published")
        RETIRED = "retired", _("Retired")

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
    commit = models.CharField(_("commit"), max_length=40, db_default="", default="", blank=True)
    changelog = models.TextField(
        _("changelog"), db_default="", default="", blank=True, help_text="What it says of itself in CHANGELOG.md."
    )
    is_security = models.BooleanField(_("security fix"), db_default=False, default=False)
    state = models.CharField(
        _("state"), max_length=9, choices=State, default=State.PUBLISHED, db_default=State.PUBLISHED
    )
    published_at = models.DateTimeField(_("published"), db_default=Now())
    yanked_at = models.DateTimeField(_("yanked"), null=True, blank=True)

    objects = BlueprintVersionQuerySet.as_manager()

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
            models.CheckConstraint(
                condition=Q(state__in=["draft", "review", "published", "retired"]), name="blueprintversion_state"
            ),
            models.CheckConstraint(
                condition=Q(yanked_at__isnull=True) | Q(state__in=["published", "retired"]),
                name="blueprintversion_yanked",
            ),
            models.CheckConstraint(
                condition=Q(commit="") | Q(commit__regex=r"^[0-9a-f]{40}$"), name="blueprintversion_commit"
            ),
        ]
        indexes = [
            # the newest release that can be installed
            models.Index(
                fields=["blueprint", "-major", "-minor", "-patch"],
                condition=Q(state="published", yanked_at__isnull=True, prerelease=""),
                name="blueprintversion_newest",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.blueprint_id} {self.version}"


class SourceRepository(models.Model):
    """A Git repository that Blueprints are pushed to.

    That is an Organization's ``shared-blueprints`` with a folder per Blueprint, or one of the Sovereign's own
    Blueprints, under its name. ``taken_commit`` is the last commit of ``main`` that the catalogue has taken in.
    """

    SHARED = "shared-blueprints"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, null=True, blank=True, related_name="source_repositories"
    )
    name = models.CharField(_("name"), max_length=48)
    taken_commit = models.CharField(_("taken"), max_length=40, db_default="", default="", blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("Blueprint repository")
        verbose_name_plural = _("Blueprint repositories")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], nulls_distinct=False, name="sourcerepository_once"
            ),
            models.CheckConstraint(
                condition=Q(organization__isnull=False, name="shared-blueprints")
                | Q(organization__isnull=True, name__regex=BLUEPRINT),
                name="sourcerepository_name",
            ),
            models.CheckConstraint(
                condition=Q(taken_commit="") | Q(taken_commit__regex=r"^[0-9a-f]{40}$"), name="sourcerepository_commit"
            ),
        ]

    def __str__(self) -> str:
        return self.name
