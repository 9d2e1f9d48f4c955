"""The saved selection of a shopper, before and after sign-in."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from catalyst.core import names


class Cart(models.Model):
    """One selection. ``voucher_code_sealed`` holds the code the shopper wants to use; nothing is reserved by it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="carts")
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, null=True, related_name="carts")
    env_type = models.CharField(max_length=4, default="prod")
    plan = models.CharField(max_length=48, blank=True, default="")
    blueprints = ArrayField(models.CharField(max_length=48), default=list, blank=True)
    addons = ArrayField(models.CharField(max_length=48), default=list, blank=True)
    bundle = models.CharField(max_length=48, blank=True, default="")
    config = models.JSONField(default=dict, blank=True)
    voucher_code_sealed = models.TextField(blank=True, default="")
    organization_name = models.CharField(max_length=120, blank=True, default="")
    organization_slug = models.CharField(max_length=32, blank=True, default="")
    updated_at = models.DateTimeField(db_default=Now())
    ordered_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("cart")
        verbose_name_plural = _("carts")
        constraints = [
            models.CheckConstraint(condition=Q(env_type__in=names.ENVIRONMENT_TYPES), name="cart_env_type"),
            models.UniqueConstraint(
                fields=["user"], condition=Q(ordered_at__isnull=True), name="cart_one_open_per_user"
            ),
        ]

    def __str__(self) -> str:
        return f"cart {self.id}"
