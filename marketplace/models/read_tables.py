"""Read tables beside ``ApplicationStatus``: Environments, Changes and Jobs as every surface shows them.

Written by their projectors only, from the event log only. ``sequence`` is the event that a row was last moved by.
"""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class EnvironmentSummary(models.Model):
    """Projection: one Environment, where its ``main`` stands, and its newest Change."""

    environment_id = models.BigIntegerField(primary_key=True)
    organization_id = models.BigIntegerField()
    name = models.CharField(max_length=37)
    env_type = models.CharField(max_length=4)
    status = models.CharField(max_length=16)
    head_commit = models.CharField(max_length=40, blank=True, default="")
    head_seq = models.BigIntegerField(default=0)
    last_change_id = models.UUIDField(null=True)
    last_change_state = models.CharField(max_length=16, blank=True, default="")
    last_change_at = models.DateTimeField(null=True)
    observed_at = models.DateTimeField(null=True, help_text="The cluster's newest word on anything in it.")
    sequence = models.BigIntegerField()

    objects: ClassVar[models.Manager["EnvironmentSummary"]]

    class Meta:
        verbose_name = _("Environment summary")
        verbose_name_plural = _("Environment summaries")
        indexes = [models.Index(fields=["organization_id", "env_type"], name="environmentsummary_list")]

    def __str__(self) -> str:
        return f"{self.name}: {self.status}"


class ChangeSummary(models.Model):
    """Projection: one Change. Its author is an id: names are people's own and not kept in the log."""

    change_id = models.UUIDField(primary_key=True)
    organization_id = models.BigIntegerField()
    environment_id = models.BigIntegerField()
    environment = models.CharField(max_length=37)
    kind = models.CharField(max_length=9)
    state = models.CharField(max_length=16)
    status_reason = models.TextField(blank=True, default="")
    summary = models.TextField(blank=True, default="")
    author_id = models.BigIntegerField(null=True, help_text="Empty: the platform.")
    order_number = models.CharField(max_length=20, blank=True, default="")
    commit = models.CharField(max_length=40, blank=True, default="")
    seq = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    committed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    sequence = models.BigIntegerField()

    objects: ClassVar[models.Manager["ChangeSummary"]]

    class Meta:
        verbose_name = _("Change summary")
        verbose_name_plural = _("Change summaries")
        indexes = [
            # the history of one Environment, newest first
            models.Index(fields=["environment_id", "-created_at", "change_id"], name="changesummary_list"),
        ]

    def __str__(self) -> str:
        return f"{self.change_id}: {self.state}"


class JobSummary(models.Model):
    """Projection: one Job, at which of its steps it is, and the number of its newest log line."""

    job_id = models.UUIDField(primary_key=True)
    organization_id = models.BigIntegerField()
    environment_id = models.BigIntegerField(null=True)
    environment = models.CharField(max_length=37, blank=True, default="")
    kind = models.CharField(max_length=32)
    state = models.CharField(max_length=16)
    status_reason = models.TextField(blank=True, default="")
    step = models.CharField(max_length=48, blank=True, default="")
    steps_done = models.IntegerField(default=0)
    steps = models.IntegerField(default=0)
    last_line = models.IntegerField(default=0)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    sequence = models.BigIntegerField()

    objects: ClassVar[models.Manager["JobSummary"]]

    class Meta:
        verbose_name = _("Job summary")
        verbose_name_plural = _("Job summaries")
        indexes = [models.Index(fields=["organization_id", "-created_at", "job_id"], name="jobsummary_list")]

    def __str__(self) -> str:
        return f"{self.job_id}: {self.state}"
