"""A secret is sealed here until the secret store has it; who buys types it before the Application exists."""

from django.conf import settings
from django.db import migrations, models
from django.db.models import Q
from django.db.models.functions import Now

_CHANGING = (
    "ciphertext,set_at,set_by_id,is_generated,keeps_first,made_as,rotates_after_days,"
    "delivered_at,attempts,next_attempt_at,last_error"
)
GUARD = """
DROP TRIGGER applicationsecret_guard ON marketplace_applicationsecret;
CREATE TRIGGER applicationsecret_guard AFTER UPDATE ON marketplace_applicationsecret FOR EACH ROW
  EXECUTE FUNCTION guard_row('{columns}', '', '');
"""
NAME = r"^[A-Za-z][A-Za-z0-9._-]{0,62}$"


class Migration(migrations.Migration):
    dependencies = [
        ("marketplace", "0008_catalogue_index"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(GUARD.format(columns=_CHANGING), GUARD.format(columns="ciphertext,set_at,set_by_id")),
        migrations.RemoveConstraint("applicationsecret", "applicationsecret_sealed"),
        migrations.RemoveConstraint("applicationsecret", "applicationsecret_once"),
        migrations.AddField(
            "applicationsecret",
            "issuer",
            models.CharField(blank=True, db_default="", default="", max_length=53, verbose_name="issued by"),
        ),
        migrations.AddField(
            "applicationsecret",
            "is_generated",
            models.BooleanField(db_default=False, default=False, verbose_name="generated"),
        ),
        migrations.AddField("applicationsecret", "keeps_first", models.BooleanField(db_default=False, default=False)),
        migrations.AddField(
            "applicationsecret",
            "made_as",
            models.CharField(blank=True, db_default="", default="", help_text="What it is made of.", max_length=8),
        ),
        migrations.AddField(
            "applicationsecret",
            "rotates_after_days",
            models.IntegerField(help_text="Empty: it is never rotated.", null=True),
        ),
        migrations.AddField(
            "applicationsecret", "delivered_at", models.DateTimeField(null=True, verbose_name="delivered")
        ),
        migrations.AddField("applicationsecret", "attempts", models.IntegerField(db_default=0, default=0)),
        migrations.AddField("applicationsecret", "next_attempt_at", models.DateTimeField(db_default=Now())),
        migrations.AddField(
            "applicationsecret",
            "last_error",
            models.CharField(blank=True, db_default="", default="", help_text="A code.", max_length=64),
        ),
        migrations.AlterField("applicationsecret", "ciphertext", models.TextField(blank=True)),
        migrations.AlterField(
            "applicationsecret",
            "set_by",
            models.ForeignKey(null=True, on_delete=models.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            "applicationsecret",
            models.UniqueConstraint(fields=("application", "issuer", "name"), name="applicationsecret_once"),
        ),
        migrations.AddConstraint(
            "applicationsecret",
            models.CheckConstraint(
                condition=Q(ciphertext__startswith="v1:", delivered_at__isnull=True)
                | Q(ciphertext="", delivered_at__isnull=False),
                name="applicationsecret_sealed_until_delivered",
            ),
        ),
        migrations.AddConstraint(
            "applicationsecret",
            models.CheckConstraint(
                condition=Q(is_generated=True) | Q(set_by__isnull=False), name="applicationsecret_somebody"
            ),
        ),
        migrations.AddIndex(
            "applicationsecret",
            models.Index(
                condition=Q(delivered_at__isnull=True), fields=["next_attempt_at"], name="applicationsecret_due"
            ),
        ),
        migrations.CreateModel(
            name="TypedSecret",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("handle", models.CharField(max_length=63, unique=True)),
                ("blueprint", models.CharField(max_length=48)),
                ("name", models.CharField(max_length=63, verbose_name="name")),
                ("ciphertext", models.TextField()),
                ("set_at", models.DateTimeField(verbose_name="set")),
            ],
            options={
                "verbose_name": "typed secret",
                "verbose_name_plural": "typed secrets",
                "indexes": [models.Index(fields=["set_at"], name="typedsecret_age")],
                "constraints": [
                    models.CheckConstraint(condition=Q(name__regex=NAME), name="typedsecret_name"),
                    models.CheckConstraint(condition=Q(ciphertext__startswith="v1:"), name="typedsecret_sealed"),
                ],
            },
        ),
    ]
