"""The read table of Organizations."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class OrganizationSummary(models.Model):
    """Projection: one Organization and how many Environments it has. Written by its projector only."""

    organization_id = models.BigIntegerField(primary_key=True)
    slug = models.CharField(max_length=32)
    state = models.CharField(max_length=9)
    state_reason = models.TextField(blank=True, default="")
    environments = models.IntegerField(default=0)
    created_at = models.DateTimeField()
    sequence = models.BigIntegerField()

    objects: ClassVar[models.Manager["OrganizationSummary"]]

    class Meta:
        verbose_name = _("Organization summary")
        verbose_name_plural = _("Organization summaries")

    def __str__(self) -> str:
        return f"{self.slug}: {self.state}"
