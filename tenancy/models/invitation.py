"""Invitations into an Organization."""

import uuid
from typing import ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from catalyst.core.expressions import OctetLength
from tenancy.models.organization import Membership


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self) -> Self:
        """Keep those that were neither accepted nor withdrawn; their time may be over."""
        return self.filter(accepted_at__isnull=True, revoked_at__isnull=True)


class Invitation(models.Model):
    """One address is asked to join with one role. The link's secret is kept as a hash.

    ``member_until`` is the end of the membership that it makes, ``expires_at`` that of the invitation itself.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, related_name="invitations")
    email = models.EmailField(_("e-mail address"))
    role = models.CharField(_("role"), max_length=20, choices=Membership.Role)
    env_types = ArrayField(models.CharField(max_length=4), null=True, blank=True)
    member_until = models.DateTimeField(_("member until"), null=True, blank=True)
    secret_hash = models.BinaryField()
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="invitations_sent")
    created_at = models.DateTimeField(_("created"), db_default=Now())
    sent_at = models.DateTimeField(_("sent"))
    sent_count = models.PositiveIntegerField(default=1)
    expires_at = models.DateTimeField(_("expires"))
    accepted_at = models.DateTimeField(_("accepted"), null=True, editable=False)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="invitations_accepted"
    )
    revoked_at = models.DateTimeField(_("withdrawn"), null=True, editable=False)

    objects: ClassVar[InvitationQuerySet] = InvitationQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        constraints = [
            models.UniqueConstraint(fields=["secret_hash"], name="invitation_secret"),
            models.CheckConstraint(
                condition=Q(Exact(OctetLength(F("secret_hash")), 32)), name="invitation_secret_length"
            ),
            models.UniqueConstraint(
                fields=["organization", "email"],
                condition=Q(accepted_at__isnull=True, revoked_at__isnull=True),
                name="invitation_open_once",
            ),
            models.CheckConstraint(condition=Q(Exact(F("email"), Lower("email"))), name="invitation_email_normal"),
            models.CheckConstraint(
                condition=Q(role__in=["org-admin", "org-developer", "org-viewer", "security-officer", "billing-admin"]),
                name="invitation_role",
            ),
            models.CheckConstraint(
                condition=Q(accepted_at__isnull=True, accepted_by__isnull=True)
                | Q(accepted_at__isnull=False, accepted_by__isnull=False, revoked_at__isnull=True),
                name="invitation_one_end",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} #{self.organization_id}"
