"""Work that takes longer than one Change: its steps and what they said. No step is lost on a restart."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class JobState(models.TextChoices):
    """The words for Jobs and for their steps alike."""

    PENDING = "pending", _("Waiting")
    RUNNING = "running", _("In progress")
    SUCCEEDED = "succeeded", _("Done")
    FAILED = "failed", _("Failed")
    CANCELLING = "cancelling", _("Cancelling")
    CANCELLED = "cancelled", _("Cancelled")
    SKIPPED = "skipped", _("Skipped")


_JOB_STATES = ["pending", "running", "succeeded", "failed", "cancelling", "cancelled"]
_STEP_STATES = ["pending", "running", "succeeded", "failed", "skipped"]


class Job(models.Model):
    """One piece of work in durable steps, driven by one worker at a time (``lease_*``) until it ends.

    ``subject`` is what it is about, as ids and names that do not change. ``deadline_at`` is when the watchdog fails it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, related_name="jobs")
    environment = models.ForeignKey("tenancy.Environment", on_delete=models.PROTECT, null=True, related_name="jobs")
    kind = models.CharField(_("kind"), max_length=32)
    state = models.CharField(_("state"), max_length=16, choices=JobState, default=JobState.PENDING)
    subject = models.JSONField(default=dict)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="Empty: the platform.",
    )
    status_reason = models.TextField(_("status reason"), blank=True, default="")
    attempts = models.IntegerField(default=0)
    lease_owner = models.TextField(blank=True, default="")
    lease_until = models.DateTimeField(null=True)
    next_action_at = models.DateTimeField(db_default=Now())
    deadline_at = models.DateTimeField(_("deadline"))
    created_at = models.DateTimeField(_("created"), db_default=Now())
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("Job")
        verbose_name_plural = _("Jobs")
        constraints = [
            models.UniqueConstraint(fields=["organization", "id"], name="job_org_key"),
            models.CheckConstraint(condition=Q(state__in=_JOB_STATES), name="job_state"),
            models.CheckConstraint(
                condition=Q(lease_owner="", lease_until__isnull=True)
                | (~Q(lease_owner="") & Q(lease_until__isnull=False)),
                name="job_lease_whole",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["succeeded", "failed", "cancelled"], finished_at__isnull=False)
                | Q(state__in=["pending", "running", "cancelling"], finished_at__isnull=True),
                name="job_finished",
            ),
        ]
        indexes = [
            # the sweep: unfinished Jobs whose time has come
            models.Index(
                fields=["next_action_at"],
                condition=Q(state__in=["pending", "running", "cancelling"]),
                name="job_due",
            ),
            models.Index(fields=["organization", "created_at"], name="job_list"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class JobStep(models.Model):
    """One step: done again from its beginning when it fails, so what it does must bear repetition."""

    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, related_name="+")
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="steps")
    position = models.IntegerField()
    name = models.CharField(_("step"), max_length=48)
    state = models.CharField(_("state"), max_length=16, choices=JobState, default=JobState.PENDING)
    progress = models.IntegerField(_("progress"), default=0, help_text="Per cent.")
    attempts = models.IntegerField(default=0)
    status_reason = models.TextField(_("status reason"), blank=True, default="")
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("Job step")
        verbose_name_plural = _("Job steps")
        constraints = [
            models.UniqueConstraint(fields=["job", "position"], name="jobstep_position"),
            models.UniqueConstraint(fields=["job", "name"], name="jobstep_name"),
            models.CheckConstraint(condition=Q(state__in=_STEP_STATES), name="jobstep_state"),
            models.CheckConstraint(condition=Q(progress__gte=0, progress__lte=100), name="jobstep_progress"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} {self.name}"


class JobLine(models.Model):
    """One line of a Job's log; numbered without gaps, never changed."""

    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, related_name="+")
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="lines")
    number = models.IntegerField()
    step = models.CharField(max_length=48, blank=True, default="")
    text = models.TextField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("Job line")
        verbose_name_plural = _("Job lines")
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="jobline_number")]

    def __str__(self) -> str:
        return self.text
