"""Secrets on their way into the secret store: sealed here for as long as they are not there."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class ApplicationSecret(models.Model):
    """One property of an entry in the secret store, and its value, sealed, until it has arrived there.

    ``name`` is the property. Of the Application's own entry that is the path of the setting that asks for it, or what
    its Blueprint reads; the configuration holds that name and nothing else. With an ``issuer`` the entry is what that
    Application issues to this one: a user and a password of a database. ``is_generated``: the platform made the value.
    ``keeps_first``: a value that stands in the store already stays, because a volume may know it.
    Delivered, the store is the only home of the value: ``ciphertext`` is empty.
    """

    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, related_name="+")
    application = models.ForeignKey("marketplace.Application", on_delete=models.PROTECT, related_name="secrets")
    issuer = models.CharField(_("issued by"), max_length=53, blank=True, default="", db_default="")
    name = models.CharField(_("name"), max_length=63)
    ciphertext = models.TextField(blank=True)
    is_generated = models.BooleanField(_("generated"), default=False, db_default=False)
    keeps_first = models.BooleanField(default=False, db_default=False)
    made_as = models.CharField(max_length=8, blank=True, default="", db_default="", help_text="What it is made of.")
    rotates_after_days = models.IntegerField(null=True, help_text="Empty: it is never rotated.")
    set_at = models.DateTimeField(_("set"))
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    delivered_at = models.DateTimeField(_("delivered"), null=True)
    attempts = models.IntegerField(default=0, db_default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    last_error = models.CharField(max_length=64, blank=True, default="", db_default="", help_text="A code.")

    class Meta:
        verbose_name = _("Application secret")
        verbose_name_plural = _("Application secrets")
        constraints = [
            models.UniqueConstraint(fields=["application", "issuer", "name"], name="applicationsecret_once"),
            models.CheckConstraint(
                condition=Q(name__regex=r"^[A-Za-z][A-Za-z0-9._-]{0,62}$"), name="applicationsecret_name"
            ),
            models.CheckConstraint(
                condition=Q(ciphertext__startswith="v1:", delivered_at__isnull=True)
                | Q(ciphertext="", delivered_at__isnull=False),
                name="applicationsecret_sealed_until_delivered",
            ),
            models.CheckConstraint(
                condition=Q(is_generated=True) | Q(set_by__isnull=False), name="applicationsecret_somebody"
            ),
        ]
        indexes = [
            # the sweep: what has not arrived and whose time has come
            models.Index(
                fields=["next_attempt_at"], condition=Q(delivered_at__isnull=True), name="applicationsecret_due"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.application_id} {self.name}"


class TypedSecret(models.Model):
    """A secret that a buyer typed before the Application exists, sealed for as long as the order is open.

    The configuration that is ordered names it by its ``handle``. It is deleted when the Application takes it over.
    """

    handle = models.CharField(max_length=63, unique=True)
    blueprint = models.CharField(max_length=48)
    name = models.CharField(_("name"), max_length=63)
    ciphertext = models.TextField()
    set_at = models.DateTimeField(_("set"))

    class Meta:
        verbose_name = _("typed secret")
        verbose_name_plural = _("typed secrets")
        constraints = [
            models.CheckConstraint(condition=Q(name__regex=r"^[A-Za-z][A-Za-z0-9._-]{0,62}$"), name="typedsecret_name"),
            models.CheckConstraint(condition=Q(ciphertext__startswith="v1:"), name="typedsecret_sealed"),
        ]
        indexes = [models.Index(fields=["set_at"], name="typedsecret_age")]

    def __str__(self) -> str:
        return f"{self.blueprint} {self.name}"
