"""When each Environment's cluster was last looked at, and what a Git server said that is worth a look."""

from django.db import models
from django.db.models.functions import Now


class ClusterLook(models.Model):
    """One Environment: its next look, and since when nobody has seen its cluster.

    A message of Flux or of a Git server only brings ``next_look_at`` forward; what is true is read by the look.
    """

    environment = models.OneToOneField(
        "tenancy.Environment", primary_key=True, on_delete=models.PROTECT, related_name="cluster_look"
    )
    next_look_at = models.DateTimeField(db_default=Now())
    began_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(null=True)
    failures = models.IntegerField(default=0)
    is_unseen = models.BooleanField(default=False, help_text="Its Applications are shown as unknown.")
    last_error = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(failures__gte=0), name="clusterlook_failures"),
        ]
        indexes = [models.Index(fields=["next_look_at"], name="clusterlook_due")]

    def __str__(self) -> str:
        return f"look at {self.environment_id}"


class GitHint(models.Model):
    """Inbox of a Git server's webhook: each body once per Environment, and nothing but a reason to look."""

    environment = models.ForeignKey("tenancy.Environment", on_delete=models.PROTECT, related_name="git_hints")
    body_hash = models.BinaryField()
    commit = models.CharField(max_length=40, blank=True, default="")
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["environment", "body_hash"], name="githint_once")]

    def __str__(self) -> str:
        return f"Git hint {self.pk}"
