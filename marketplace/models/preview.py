"""What a person looks at before an Environment changes, who agreed to it, and the rules that an Environment has."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class ChangePreview(models.Model):
    """One look at what a request would do, bound to the commit it starts from.

    ``id`` is a hash of the base commit, the target tree, the prices, the policy and what the resolver was told, so the
    same look has the same id. Applying it saves exactly ``target_tree`` or nothing. ``branch`` is set when it came by
    ``git push``. Nothing in a row but ``state`` and ``expires_at`` ever changes.
    """

    class State(models.TextChoices):
        OPEN = "open", _("Ready to apply")
        APPLIED = "applied", _("Applied")
        SUPERSEDED = "superseded", _("Replaced by a newer change")
        CANCELLED = "cancelled", _("Cancelled")

    id = models.CharField(primary_key=True, max_length=64, editable=False)
    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, related_name="+")
    environment = models.ForeignKey("tenancy.Environment", on_delete=models.PROTECT, related_name="previews")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.OPEN)
    request = models.JSONField(help_text="What was asked, in the form of the API; secrets are references.")
    kind = models.CharField(_("kind"), max_length=9)
    base_commit = models.CharField(max_length=40, blank=True, default="")
    target_tree = models.CharField(max_length=40)
    summary = models.TextField(_("summary"))
    reason = models.TextField(_("reason"), blank=True, default="")
    shown = models.JSONField(help_text="The answer, in the form of the API.")
    branch = models.CharField(_("branch"), max_length=80, blank=True, default="")
    created_at = models.DateTimeField(_("created"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"))

    class Meta:
        verbose_name = _("change preview")
        verbose_name_plural = _("change previews")
        constraints = [
            models.UniqueConstraint(fields=["organization", "id"], name="changepreview_org_key"),
            models.CheckConstraint(condition=Q(id__regex=r"^[0-9a-f]{64}$"), name="changepreview_id"),
            models.CheckConstraint(
                condition=Q(state__in=["open", "applied", "superseded", "cancelled"]), name="changepreview_state"
            ),
            models.CheckConstraint(
                condition=Q(branch="") | Q(branch__regex=r"^change/[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"),
                name="changepreview_branch",
            ),
        ]
        indexes = [
            # what waits for a person in one Environment
            models.Index(fields=["environment", "created_at"], condition=Q(state="open"), name="changepreview_open"),
        ]

    def __str__(self) -> str:
        return self.summary


class ChangeApproval(models.Model):
    """One person's yes to one preview. It dies with that preview, and counts while the person holds the role.

    What a paid Order installs has no preview: there it is a yes to the Change itself.
    """

    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, related_name="+")
    change = models.ForeignKey("marketplace.Change", on_delete=models.PROTECT, related_name="approvals")
    preview = models.ForeignKey(ChangePreview, on_delete=models.PROTECT, null=True, related_name="approvals")
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(_("role"), max_length=20)
    is_emergency = models.BooleanField(_("emergency"), default=False, help_text="A yes to skip soak and window.")
    reason = models.TextField(_("reason"), blank=True, default="", db_default="", help_text="Why it is an emergency.")
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")
        constraints = [
            models.UniqueConstraint(fields=["change", "approver", "is_emergency"], name="changeapproval_once"),
            models.CheckConstraint(
                condition=Q(is_emergency=False, reason="") | (Q(is_emergency=True) & ~Q(reason="")),
                name="changeapproval_emergency_has_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.change_id} {self.role}"


class EnvironmentPolicy(models.Model):
    """The rules under which one Environment may change; none means no rule. ``rules`` is judged when it is saved."""

    organization = models.ForeignKey("tenancy.Organization", on_delete=models.PROTECT, related_name="+")
    environment = models.OneToOneField("tenancy.Environment", on_delete=models.PROTECT, related_name="policy")
    rules = models.JSONField(_("rules"), default=list)
    version = models.IntegerField(_("version"), default=1)
    is_delegated = models.BooleanField(
        _("edited by the Organization"), default=False, help_text="Its administrators may edit it too."
    )
    updated_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    updated_at = models.DateTimeField(_("changed"), db_default=Now())

    class Meta:
        verbose_name = _("Environment policy")
        verbose_name_plural = _("Environment policies")
        constraints = [
            models.CheckConstraint(condition=Q(version__gte=1), name="environmentpolicy_version"),
        ]

    def __str__(self) -> str:
        return f"{self.environment_id} v{self.version}"
