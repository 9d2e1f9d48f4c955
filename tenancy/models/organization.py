"""Organizations, who belongs to them, and their Environments."""

import uuid
from typing import ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Concat, Now
from django.utils.translation import gettext_lazy as _

from catalyst.core import names


class OrganizationQuerySet(models.QuerySet["Organization"]):
    def live(self) -> Self:
        """Keep the Organizations that are not deleted."""
        return self.exclude(state=Organization.State.DELETED)

    def for_user(self, user: models.Model, *, env_type: str | None = None) -> Self:
        """Keep the Organizations in which this person holds a membership that has not expired."""
        live = Q(memberships__user=user.pk) & (
            Q(memberships__expires_at__isnull=True) | Q(memberships__expires_at__gt=Now())
        )
        if env_type is not None:
            live &= Q(memberships__env_types__isnull=True) | Q(memberships__env_types__contains=[env_type])
        return self.filter(live).distinct()


class Organization(models.Model):
    """The isolation and billing boundary. The slug never changes; display names do.

    A deleted one stays as a row, because its money is kept. Its slug is nobody else's until ``released_at``.
    """

    class State(models.TextChoices):
        ACTIVE = "active", _("Active")
        SUSPENDED = "suspended", _("Suspended")
        DELETING = "deleting", _("Being deleted")
        DELETED = "deleted", _("Deleted")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    slug = models.CharField(_("slug"), max_length=32)
    name = models.CharField(_("name"), max_length=120)
    name_ar = models.CharField(_("name in Arabic"), max_length=120, blank=True)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.ACTIVE, db_default="active")
    state_reason = models.TextField(
        _("reason"), blank=True, default="", db_default="", help_text="Why, as its members read it."
    )
    deleted_at = models.DateTimeField(_("deleted"), null=True, editable=False)
    released_at = models.DateTimeField(_("name released"), null=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    objects: ClassVar[OrganizationQuerySet] = OrganizationQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("Organization")
        verbose_name_plural = _("Organizations")
        constraints = [
            models.CheckConstraint(condition=Q(slug__regex=names.ORGANIZATION), name="organization_slug"),
            models.CheckConstraint(
                condition=~Q(slug__regex=r"-(prod|stg|uat|dev|poc)$"), name="organization_slug_no_environment"
            ),
            models.UniqueConstraint(
                fields=["slug"], condition=Q(released_at__isnull=True), name="organization_slug_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["active", "suspended", "deleting", "deleted"]), name="organization_state"
            ),
            models.CheckConstraint(
                condition=Q(state="deleted", deleted_at__isnull=False)
                | (~Q(state="deleted") & Q(deleted_at__isnull=True, released_at__isnull=True)),
                name="organization_deleted",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class MembershipQuerySet(models.QuerySet["Membership"]):
    def live(self) -> Self:
        """Keep the memberships that have not expired, by the database's clock."""
        return self.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=Now()))


class Membership(models.Model):
    """One role of one person in one Organization, with an optional Environment scope and end."""

    class Role(models.TextChoices):
        ADMIN = "org-admin", _("Administrator")
        DEVELOPER = "org-developer", _("Developer")
        VIEWER = "org-viewer", _("Viewer")
        SECURITY = "security-officer", _("Security officer")
        BILLING = "billing-admin", _("Billing administrator")

    # The database makes it: the release before this one adds rows without it.
    uuid = models.UUIDField(db_default=RandomUUID(), unique=True, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(_("role"), max_length=20, choices=Role)
    env_types = ArrayField(models.CharField(max_length=4), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    objects: ClassVar[MembershipQuerySet] = MembershipQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["user", "organization", "role"], name="membership_once"),
            models.CheckConstraint(
                condition=Q(role__in=["org-admin", "org-developer", "org-viewer", "security-officer", "billing-admin"]),
                name="membership_role",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} #{self.organization_id}"


class LiveEnvironmentManager(models.Manager["Environment"]):
    """Finds no Environment that is deleted, so none is shown, written to or counted by mistake."""

    def get_queryset(self) -> models.QuerySet["Environment"]:
        return super().get_queryset().exclude(status=Environment.Status.DELETED)


class Environment(models.Model):
    """A place where Applications run: one Git repository, one writer at a time (``lease_*``).

    A deleted one stays as a row, for its history; ``objects`` does not know it, ``every`` does. Its name is free again
    for its own Organization, and for nobody else while that has its slug.
    """

    class Status(models.TextChoices):
        PROVISIONING = "provisioning", _("Being prepared")
        READY = "ready", _("Ready")
        DELETING = "deleting", _("Being deleted")
        DELETED = "deleted", _("Deleted")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="environments")
    env_type = models.CharField(_("type"), max_length=4)
    name = models.CharField(_("name"), max_length=37)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.PROVISIONING)
    flux_key_sealed = models.TextField(editable=False)
    head_commit = models.CharField(max_length=40, blank=True, default="")
    head_seq = models.BigIntegerField(default=0)
    lease_owner = models.TextField(default="", blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    objects = LiveEnvironmentManager()
    every = models.Manager["Environment"]()

    class Meta:
        verbose_name = _("Environment")
        verbose_name_plural = _("Environments")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "env_type"], condition=~Q(status="deleted"), name="environment_one_per_type"
            ),
            models.UniqueConstraint(fields=["name"], condition=~Q(status="deleted"), name="environment_name_once"),
            models.CheckConstraint(
                condition=Q(status__in=["provisioning", "ready", "deleting", "deleted"]), name="environment_status"
            ),
            models.CheckConstraint(
                condition=Q(status="deleted", deleted_at__isnull=False)
                | (~Q(status="deleted") & Q(deleted_at__isnull=True)),
                name="environment_deleted",
            ),
            models.UniqueConstraint(fields=["organization", "id"], name="environment_org_key"),
            models.CheckConstraint(condition=Q(name__regex=names.ENVIRONMENT), name="environment_name"),
            models.CheckConstraint(condition=Q(env_type__in=names.ENVIRONMENT_TYPES), name="environment_type"),
            models.CheckConstraint(
                condition=Q(name__endswith=Concat(models.Value("-"), F("env_type"))), name="environment_name_type"
            ),
            models.CheckConstraint(
                condition=Q(lease_owner="", lease_until__isnull=True)
                | (~Q(lease_owner="") & Q(lease_until__isnull=False)),
                name="environment_lease_whole",
            ),
            models.CheckConstraint(condition=Q(head_seq__gte=0), name="environment_seq"),
        ]

    def __str__(self) -> str:
        return self.name
