"""API tokens and the audit trail."""

import uuid
from typing import ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from catalyst.core.expressions import OctetLength


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def live(self) -> Self:
        """Keep the tokens that still open something."""
        return self.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=Now()), revoked_at__isnull=True)


class ApiToken(models.Model):
    """A bearer token: stored as a hash, shown once. With an Organization it acts only there."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    token_hash = models.BinaryField()
    hint = models.CharField(max_length=12)
    name = models.CharField(_("name"), max_length=80, blank=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="api_tokens")
    organization = models.ForeignKey(
        "tenancy.Organization", on_delete=models.PROTECT, null=True, blank=True, related_name="api_tokens"
    )
    env_type = models.CharField(max_length=4, blank=True, default="")
    scopes = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)

    objects: ClassVar[ApiTokenQuerySet] = ApiTokenQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        constraints = [
            models.UniqueConstraint(fields=["token_hash"], name="apitoken_hash"),
            models.CheckConstraint(condition=Q(Exact(OctetLength(F("token_hash")), 32)), name="apitoken_hash_length"),
        ]

    def __str__(self) -> str:
        return f"{self.name or self.hint}"


class AuditHead(models.Model):
    """The end of one audit chain, locked by an append. ``stream`` is ``organization:<id>`` or ``sovereign``."""

    stream = models.TextField(primary_key=True)
    last_seq = models.BigIntegerField(default=0)
    last_hash = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.stream} at {self.last_seq}"


class AuditEntry(models.Model):
    """One security or money mutation, in the same transaction as the mutation; insert-only and chained by hash."""

    stream = models.TextField()
    seq = models.BigIntegerField()
    prev_hash = models.BinaryField()
    hash = models.BinaryField()
    at = models.DateTimeField(_("time"), db_default=Now())
    actor = models.TextField(_("actor"))
    action = models.TextField(_("action"))
    target = models.TextField(_("target"), default="")
    detail = models.JSONField(_("detail"), default=dict)
    request_id = models.TextField(default="")

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit trail")
        constraints = [
            models.UniqueConstraint(fields=["stream", "seq"], name="auditentry_seq"),
            models.CheckConstraint(condition=Q(seq__gt=0), name="auditentry_seq_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.seq} {self.action}"
