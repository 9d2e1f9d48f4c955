"""Since when each Application is ready without a break: what the soak rule of a policy asks."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class ReadySpan(models.Model):
    """Projection: one Application, its version on ``main``, and since when it is ready. Written by its projector only.

    ``seq`` is the number of the last commit that touched it: what was observed of an earlier one says nothing of it.
    Without ``ready_since`` it is not ready, or nobody has said so yet.
    """

    organization_id = models.BigIntegerField()
    environment_id = models.BigIntegerField()
    application = models.CharField(max_length=53)
    blueprint = models.CharField(max_length=48)
    version = models.CharField(max_length=64)
    seq = models.BigIntegerField(default=0)
    ready_since = models.DateTimeField(null=True)
    observed_at = models.DateTimeField(null=True)
    sequence = models.BigIntegerField()

    objects: ClassVar[models.Manager["ReadySpan"]]

    class Meta:
        verbose_name = _("ready span")
        verbose_name_plural = _("ready spans")
        constraints = [
            models.UniqueConstraint(fields=["environment_id", "application"], name="readyspan_once"),
        ]

    def __str__(self) -> str:
        return f"{self.application}: {self.ready_since}"
