"""Hosts of an Organization's own, and what the DNS last said of their proof."""

import uuid
from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class DomainQuerySet(models.QuerySet["Domain"]):
    def kept(self) -> Self:
        """Keep the domains that their Organizations have not given up."""
        return self.exclude(state=Domain.State.RELEASED)

    def verified(self) -> Self:
        """Keep the domains whose proof stands."""
        return self.filter(state=Domain.State.VERIFIED)


class Domain(models.Model):
    """One name that an Organization says is its own; the proof is a TXT record that holds ``token``.

    Several may say it, one can have proven it. A domain that was given up stays as a row, and its token opens nothing.
    ``missing_since`` is when the proof of a verified one was first seen to be gone.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("Waiting for DNS")
        VERIFIED = "verified", _("Verified")
        FAILED = "failed", _("Needs attention")
        RELEASED = "released", _("Removed")

    class Trouble(models.TextChoices):
        """What the last look found instead of the proof."""

        NONE = "", _("Nothing")
        MISSING = "missing", _("No record")
        OTHER = "other", _("Another record")
        ALIAS = "alias", _("An alias")
        SILENT = "silent", _("No answer")
        TAKEN = "taken", _("Not available")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, related_name="domains")
    name = models.CharField(_("name"), max_length=243, help_text="In ASCII and lower case, as the DNS knows it.")
    token = models.CharField(max_length=64, editable=False)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.PENDING)
    trouble = models.CharField(_("last look"), max_length=7, choices=Trouble, blank=True, default="")
    found = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    verified_at = models.DateTimeField(_("verified"), null=True, editable=False)
    last_checked_at = models.DateTimeField(_("last look"), null=True, editable=False)
    missing_since = models.DateTimeField(null=True, editable=False)
    next_check_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    objects: ClassVar[DomainQuerySet] = DomainQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("domain")
        verbose_name_plural = _("domains")
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(state="verified"), name="domain_verified_once"),
            models.UniqueConstraint(
                fields=["organization", "name"], condition=~Q(state="released"), name="domain_once_per_organization"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["pending", "verified", "failed", "released"]), name="domain_state"
            ),
            models.CheckConstraint(
                condition=~Q(state="verified") | Q(verified_at__isnull=False), name="domain_verified_when"
            ),
            models.CheckConstraint(condition=Q(name__regex=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$"), name="domain_name_normal"),
        ]
        indexes = [models.Index(fields=["next_check_at"], name="domain_due", condition=Q(next_check_at__isnull=False))]

    def __str__(self) -> str:
        return self.name
