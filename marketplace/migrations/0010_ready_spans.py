"""Since when each Application is ready, for soak rules; emergency reasons; approvals of what an Order installs."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("marketplace", "0009_secret_delivery")]

    operations = [
        migrations.AlterField(
            "changeapproval",
            "preview",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="approvals",
                to="marketplace.changepreview",
            ),
        ),
        migrations.AddField(
            "changeapproval",
            "reason",
            models.TextField(
                blank=True, db_default="", default="", help_text="Why it is an emergency.", verbose_name="reason"
            ),
        ),
        migrations.AddConstraint(
            "changeapproval",
            models.CheckConstraint(
                condition=Q(is_emergency=False, reason="") | (Q(is_emergency=True) & ~Q(reason="")),
                name="changeapproval_emergency_has_reason",
            ),
        ),
        migrations.CreateModel(
            name="ReadySpan",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("organization_id", models.BigIntegerField()),
                ("environment_id", models.BigIntegerField()),
                ("application", models.CharField(max_length=53)),
                ("blueprint", models.CharField(max_length=48)),
                ("version", models.CharField(max_length=64)),
                ("seq", models.BigIntegerField(default=0)),
                ("ready_since", models.DateTimeField(null=True)),
                ("observed_at", models.DateTimeField(null=True)),
                ("sequence", models.BigIntegerField()),
            ],
            options={
                "verbose_name": "ready span",
                "verbose_name_plural": "ready spans",
                "constraints": [
                    models.UniqueConstraint(fields=("environment_id", "application"), name="readyspan_once")
                ],
            },
        ),
    ]
