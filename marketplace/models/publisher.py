"""Whom this Sovereign believes: the keys that may sign Blueprints, each for one place.

Source: blueprints.md §6 of the design.
"""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenancy.models import Organization


class TrustedKeyQuerySet(models.QuerySet["TrustedKey"]):
    def valid_for(self, location: str, *, at: datetime) -> Self:
        """Keep the keys that may sign what lies in this folder of a registry, now."""
        return self.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=at),
            location=location,
            valid_from__lte=at,
            revoked_at__isnull=True,
        )


class TrustedKey(models.Model):
    """One public key of one publisher, for one folder of one registry (``registry.example.om/catalog``).

    The key says which shelf its Blueprints stand on: public, the Sovereign's, or one Organization's. It never comes
    from an artifact. ``may_attest``: a catalogue index that it signed is believed about what only rendering can show.
    A row is not changed or deleted; only ``revoked_at`` is set, once.
    """

    class Source(models.TextChoices):
        PUBLIC = "public", _("Public")
        SOVEREIGN = "sovereign", _("Sovereign")
        ORG = "org", _("Organization")

    publisher = models.CharField(_("publisher"), max_length=80)
    location = models.CharField(_("location"), max_length=200)
    source = models.CharField(_("source"), max_length=9, choices=Source)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, null=True, blank=True, related_name="trusted_keys"
    )
    public_key = models.TextField(_("public key"))
    fingerprint = models.CharField(_("fingerprint"), max_length=71)
    may_attest = models.BooleanField(_("may attest"), default=False, db_default=False)
    added_by = models.TextField(_("added by"))
    valid_from = models.DateTimeField(_("valid from"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    objects = TrustedKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("trusted key")
        verbose_name_plural = _("trusted keys")
        constraints = [
            models.UniqueConstraint(fields=["location", "fingerprint"], name="trustedkey_once"),
            models.CheckConstraint(
                condition=Q(source="org", organization__isnull=False)
                | Q(source__in=["public", "sovereign"], organization__isnull=True),
                name="trustedkey_organization",
            ),
            models.CheckConstraint(
                condition=Q(fingerprint__regex=r"^sha256:[0-9a-f]{64}$"), name="trustedkey_fingerprint"
            ),
            models.CheckConstraint(condition=~Q(publisher="") & ~Q(location=""), name="trustedkey_named"),
            models.CheckConstraint(
                condition=Q(expires_at__isnull=True) | Q(expires_at__gt=F("valid_from")), name="trustedkey_ends_later"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.publisher} {self.location} {self.fingerprint[7:19]}"


class CatalogueIndex(models.Model):
    """The newest catalogue index that was believed for one place: a Sovereign never goes back to an older one.

    ``is_complete`` says that all of it was taken, so that the same index again costs one request.
    """

    location = models.CharField(_("location"), max_length=200, unique=True)
    serial = models.PositiveBigIntegerField(_("serial number"))
    digest = models.CharField(_("digest"), max_length=71)
    versions = models.PositiveIntegerField(_("versions"))
    is_complete = models.BooleanField(_("complete"), default=False, db_default=False)
    seen_at = models.DateTimeField(_("seen"), db_default=Now())

    class Meta:
        verbose_name = _("catalogue index")
        verbose_name_plural = _("catalogue indexes")
        constraints = [
            models.CheckConstraint(condition=Q(digest__regex=r"^sha256:[0-9a-f]{64}$"), name="catalogueindex_digest"),
            models.CheckConstraint(condition=Q(serial__gt=0), name="catalogueindex_serial"),
        ]

    def __str__(self) -> str:
        return f"{self.location} {self.serial}"
