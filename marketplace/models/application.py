"""Applications, the Changes that install them, what was observed of them, and Flux's raw messages."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from catalyst.core import names


class Change(models.Model):
    """One intended modification of one Environment; becomes exactly one commit.

    ``committed_at`` is stored before the commit is written, so that writing it again gives the same SHA.
    """

    class State(models.TextChoices):
        AWAITING_GATES = "awaiting_gates", _("Waiting for approval or time window")
        COMMITTING = "committing", _("Saving")
        COMMITTED = "committed", _("Saved")
        RECONCILING = "reconciling", _("Rolling out")
        SUCCEEDED = "succeeded", _("Done")
        FAILED = "failed", _("Failed")
        SUPERSEDED = "superseded", _("Replaced by a newer change")
        CANCELLED = "cancelled", _("Cancelled")

    class Kind(models.TextChoices):
        """What it does. ``offboard`` takes away everything a subscription ran when it ended."""

        INSTALL = "install", _("Install")
        PAUSE = "pause", _("Pause")
        RESUME = "resume", _("Resume")
        REMOVE = "remove", _("Remove")
        OFFBOARD = "offboard", _("Remove everything")
        UPGRADE = "upgrade", _("Upgrade")
        CONFIGURE = "configure", _("Configure")
        # Asked for with a preview: whatever a person puts together, another Environment's state, an older state, and
        # what somebody wrote to ``main`` behind our back.
        CHANGE = "change", _("Change")
        PROMOTE = "promote", _("Promote")
        REVERT = "revert", _("Roll back")
        ADOPT = "adopt", _("Adopt")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, related_name="changes")
    environment = models.ForeignKey("tenancy.Environment", on_delete=models.PROTECT, related_name="changes")
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.COMMITTING)
    kind = models.CharField(_("kind"), max_length=9, choices=Kind, default=Kind.INSTALL, db_default="install")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="Empty: the platform.",
    )
    cause = models.TextField(
        _("cause"), blank=True, default="", db_default="", help_text="The event that asked for it, by its key."
    )
    log_sequence = models.BigIntegerField(default=0, db_default=0, help_text="Place in the log of what asked for it.")
    reason = models.TextField(
        _("reason"), blank=True, default="", db_default="", help_text="Why, as its commit says it."
    )
    summary = models.TextField(_("summary"), blank=True, default="")
    order_number = models.CharField(_("order"), max_length=20, blank=True, default="")
    install = models.JSONField(default=list, help_text="The Blueprints that were bought, by name.")
    preview = models.OneToOneField(
        "marketplace.ChangePreview", on_delete=models.PROTECT, null=True, related_name="change"
    )
    target_tree = models.CharField(
        max_length=40,
        blank=True,
        default="",
        db_default="",
        help_text="The previewed tree; no other is saved.",
    )
    reverts = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="reverted_by")
    promoted_from = models.CharField(
        _("promoted from"), max_length=80, blank=True, default="", db_default="", help_text="<environment>@<commit>"
    )
    gates = models.JSONField(default=list, blank=True, db_default=Value([], models.JSONField()))
    is_emergency = models.BooleanField(_("emergency"), default=False, db_default=False)
    seq = models.BigIntegerField(null=True)
    base_commit = models.CharField(max_length=40, blank=True, default="")
    commit = models.CharField(_("commit"), max_length=40, blank=True, default="")
    committed_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    next_action_at = models.DateTimeField(db_default=Now())
    attempts = models.IntegerField(default=0)
    status_reason = models.TextField(_("status reason"), blank=True, default="")
    created_at = models.DateTimeField(_("created"), db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("change")
        verbose_name_plural = _("changes")
        constraints = [
            models.UniqueConstraint(fields=["environment", "seq"], name="change_seq"),
            models.UniqueConstraint(
                fields=["order_number"], condition=~Q(order_number=""), name="change_one_installation_per_order"
            ),
            models.UniqueConstraint(fields=["cause"], condition=~Q(cause=""), name="change_once_per_cause"),
            models.UniqueConstraint(fields=["organization", "id"], name="change_org_key"),
            models.CheckConstraint(
                condition=Q(
                    kind__in=[
                        "install",
                        "pause",
                        "resume",
                        "remove",
                        "offboard",
                        "upgrade",
                        "configure",
                        "change",
                        "promote",
                        "revert",
                        "adopt",
                    ]
                ),
                name="change_kind",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["pause", "resume", "remove", "offboard"]) | Q(author__isnull=False),
                name="change_author",
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=[
                        "awaiting_gates",
                        "committing",
                        "committed",
                        "reconciling",
                        "succeeded",
                        "failed",
                        "superseded",
                        "cancelled",
                    ]
                ),
                name="change_state",
            ),
            models.CheckConstraint(
                condition=Q(commit="") | (Q(seq__isnull=False) & Q(committed_at__isnull=False)),
                name="change_commit_has_seq",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["awaiting_gates", "committing", "failed", "superseded", "cancelled"])
                | ~Q(commit=""),
                name="change_committed_has_commit",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["awaiting_gates", "cancelled"]) | Q(commit=""),
                name="change_waits_uncommitted",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=["change", "promote", "revert", "adopt"])
                | (Q(preview__isnull=False) & ~Q(target_tree="")),
                name="change_previewed",
            ),
        ]
        indexes = [
            # the sweep: unfinished Changes whose time has come
            models.Index(
                fields=["next_action_at"],
                condition=Q(state__in=["awaiting_gates", "committing", "committed", "reconciling"]),
                name="change_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.summary or self.id}"


class Application(models.Model):
    """A Blueprint installed in an Environment: the intent. What runs is said by ``ApplicationStatus``.

    It stands on ``main`` from the commit of ``change`` to the commit of ``removed_by``; the row stays as history, and
    its name is free again once its removal is planned. ``state`` is what ``main`` says today. ``gone_at`` is when the
    cluster said that it has deleted it.
    """

    class State(models.TextChoices):
        ACTIVE = "active", _("Active")
        PAUSED = "paused", _("Paused")

    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, related_name="applications")
    environment = models.ForeignKey("tenancy.Environment", on_delete=models.PROTECT, related_name="applications")
    slug = models.CharField(_("name"), max_length=53)
    blueprint_version = models.ForeignKey(
        "marketplace.BlueprintVersion", on_delete=models.PROTECT, related_name="applications"
    )
    version_range = models.CharField(max_length=120)
    size = models.CharField(max_length=8, default="small")
    config = models.JSONField(default=dict, blank=True)
    bindings = models.JSONField(default=dict, blank=True, help_text="Dependency alias to Application name.")
    requested_by = models.JSONField(
        default=list, blank=True, help_text="Applications that need this one; empty: bought."
    )
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.ACTIVE)
    change = models.ForeignKey(Change, on_delete=models.PROTECT, related_name="applications")
    removed_by = models.ForeignKey(Change, on_delete=models.PROTECT, null=True, related_name="removed_applications")
    is_protected = models.BooleanField(
        _("delete protection"), default=False, db_default=False, help_text="It cannot be removed until this is lifted."
    )
    purge_at = models.DateTimeField(_("data kept until"), null=True, help_text="When its data is deleted for good.")
    purged_at = models.DateTimeField(_("data deleted"), null=True)
    gone_at = models.DateTimeField(_("gone"), null=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("Application")
        verbose_name_plural = _("Applications")
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "slug"], condition=Q(removed_by__isnull=True), name="application_once"
            ),
            models.UniqueConstraint(fields=["organization", "id"], name="application_org_key"),
            models.CheckConstraint(condition=Q(slug__regex=names.APPLICATION), name="application_slug"),
            models.CheckConstraint(condition=Q(size__in=["small", "medium", "large"]), name="application_size"),
            models.CheckConstraint(condition=Q(state__in=["active", "paused"]), name="application_state"),
            models.CheckConstraint(
                condition=Q(gone_at__isnull=True) | Q(removed_by__isnull=False), name="application_gone_when_removed"
            ),
            models.CheckConstraint(
                condition=Q(purged_at__isnull=True) | Q(gone_at__isnull=False), name="application_purged_when_gone"
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class ApplicationEdit(models.Model):
    """What one Change makes of an Application that stands already; the row has it from that Change's commit on."""

    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, related_name="+")
    change = models.ForeignKey(Change, on_delete=models.PROTECT, related_name="edits")
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="edits")
    blueprint_version = models.ForeignKey("marketplace.BlueprintVersion", on_delete=models.PROTECT, related_name="+")
    version_range = models.CharField(max_length=120)
    size = models.CharField(max_length=8)
    config = models.JSONField(default=dict, blank=True)
    bindings = models.JSONField(default=dict, blank=True)
    requested_by = models.JSONField(default=list, blank=True)
    state = models.CharField(max_length=8, blank=True, default="", db_default="", help_text="Empty: as it is.")
    removes = models.BooleanField(default=False, db_default=False, help_text="The Application goes.")

    class Meta:
        verbose_name = _("Application edit")
        verbose_name_plural = _("Application edits")
        constraints = [
            models.UniqueConstraint(fields=["change", "application"], name="applicationedit_once"),
            models.CheckConstraint(condition=Q(size__in=["small", "medium", "large"]), name="applicationedit_size"),
            models.CheckConstraint(condition=Q(state__in=["", "active", "paused"]), name="applicationedit_state"),
        ]

    def __str__(self) -> str:
        return f"{self.application_id} {self.change_id}"


class ApplicationStatus(models.Model):
    """Projection: what every surface shows of one Application. Written by its projector only."""

    class Status(models.TextChoices):
        INSTALLING = "installing", _("Installing")
        UPDATING = "updating", _("Updating")
        READY = "ready", _("Ready")
        PAUSED = "paused", _("Paused")
        DELETING = "deleting", _("Removing")
        FAILED = "failed", _("Failed")
        DEGRADED = "degraded", _("Partly working")
        UNKNOWN = "unknown", _("Unknown")

    #: Something is expected to happen to it by itself.
    AT_WORK: ClassVar[frozenset[str]] = frozenset({Status.INSTALLING, Status.UPDATING, Status.DELETING})

    organization_id = models.BigIntegerField()
    environment_id = models.BigIntegerField()
    env_type = models.CharField(max_length=4)
    application = models.CharField(max_length=53)
    blueprint = models.CharField(max_length=48)
    title = models.CharField(max_length=80)
    version = models.CharField(max_length=64)
    is_service = models.BooleanField(default=False)
    status = models.CharField(max_length=16, choices=Status)
    status_reason = models.TextField(blank=True, default="")
    observed_at = models.DateTimeField(null=True)
    ready = models.IntegerField(null=True, help_text="Of its parts, how many work; empty: nobody counted.")
    wanted = models.IntegerField(null=True)
    url = models.TextField(blank=True, default="")
    depends_on = models.JSONField(default=list)
    order_number = models.CharField(max_length=20, blank=True, default="")
    commit = models.CharField(max_length=40, blank=True, default="")
    applied_commit = models.CharField(max_length=40, blank=True, default="")
    requested_at = models.DateTimeField()
    sequence = models.BigIntegerField()

    objects: ClassVar[models.Manager["ApplicationStatus"]]

    class Meta:
        verbose_name = _("Application status")
        verbose_name_plural = _("Application status")
        constraints = [
            models.UniqueConstraint(fields=["environment_id", "application"], name="applicationstatus_once"),
        ]
        indexes = [
            # the console's list: one Environment of one Organization by name
            models.Index(fields=["organization_id", "env_type", "application"], name="applicationstatus_list"),
        ]

    def __str__(self) -> str:
        return f"{self.application}: {self.status}"


class FluxMessage(models.Model):
    """Inbox of Flux's notifications: stored first, looked at afterwards, each body once per Environment."""

    class State(models.TextChoices):
        PENDING = "pending"
        DONE = "done"
        DEAD = "dead"

    environment = models.ForeignKey("tenancy.Environment", on_delete=models.PROTECT, related_name="flux_messages")
    body_hash = models.BinaryField()
    payload = models.JSONField()
    occurred_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    last_error = models.TextField(blank=True, default="")
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["environment", "body_hash"], name="fluxmessage_once"),
            models.CheckConstraint(condition=Q(state__in=["pending", "done", "dead"]), name="fluxmessage_state"),
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state="pending"), name="fluxmessage_due"),
        ]

    def __str__(self) -> str:
        return f"Flux message {self.pk}"
