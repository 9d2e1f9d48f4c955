"""Secrets of Applications, sealed. Of a row only the value changes, with who set it and when; none is deleted."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

GUARDS = """
CREATE TRIGGER applicationsecret_guard AFTER UPDATE ON marketplace_applicationsecret FOR EACH ROW
  EXECUTE FUNCTION guard_row('ciphertext,set_at,set_by_id', '', '');
CREATE TRIGGER applicationsecret_no_delete BEFORE DELETE ON marketplace_applicationsecret FOR EACH ROW
  EXECUTE FUNCTION forbid_mutation();
REVOKE DELETE, TRUNCATE ON marketplace_applicationsecret FROM catalyst_app;
ALTER TABLE marketplace_applicationsecret ADD CONSTRAINT applicationsecret_application
  FOREIGN KEY (organization_id, application_id) REFERENCES marketplace_application (organization_id, id);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("marketplace", "0006_versions_and_edits"),
        ("tenancy", "0002_audit_chain"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ApplicationSecret",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=63, verbose_name="name")),
                ("ciphertext", models.TextField()),
                ("set_at", models.DateTimeField(verbose_name="set")),
                (
                    "application",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="secrets",
                        to="marketplace.application",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenancy.organization"
                    ),
                ),
                (
                    "set_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name": "Application secret",
                "verbose_name_plural": "Application secrets",
                "constraints": [
                    models.UniqueConstraint(fields=("application", "name"), name="applicationsecret_once"),
                    models.CheckConstraint(
                        condition=models.Q(("name__regex", "^[A-Za-z][A-Za-z0-9._-]{0,62}$")),
                        name="applicationsecret_name",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("ciphertext__startswith", "v1:")), name="applicationsecret_sealed"
                    ),
                ],
            },
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
