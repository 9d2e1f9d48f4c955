"""Which keys may attest, and the newest catalogue index of each place. Its serial number never falls."""

import django.db.models.functions.datetime
from django.db import migrations, models

GUARDS = """
CREATE FUNCTION catalogueindex_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF new.location <> old.location OR new.serial < old.serial
     OR (new.serial = old.serial AND new.digest <> old.digest) THEN
    RAISE EXCEPTION 'marketplace_catalogueindex goes forward only' USING errcode = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER catalogueindex_guard AFTER UPDATE ON marketplace_catalogueindex FOR EACH ROW
  EXECUTE FUNCTION catalogueindex_forward();
CREATE TRIGGER catalogueindex_no_delete BEFORE DELETE ON marketplace_catalogueindex FOR EACH ROW
  EXECUTE FUNCTION forbid_mutation();
REVOKE DELETE, TRUNCATE ON marketplace_catalogueindex FROM catalyst_app;
"""
GUARDS_BACK = """
DROP TRIGGER catalogueindex_no_delete ON marketplace_catalogueindex;
DROP TRIGGER catalogueindex_guard ON marketplace_catalogueindex;
DROP FUNCTION catalogueindex_forward();
GRANT DELETE ON marketplace_catalogueindex TO catalyst_app;
"""


class Migration(migrations.Migration):
    dependencies = [("marketplace", "0008_previews_policies_jobs")]

    operations = [
        migrations.AddField(
            model_name="trustedkey",
            name="may_attest",
            field=models.BooleanField(db_default=False, default=False, verbose_name="may attest"),
        ),
        migrations.CreateModel(
            name="CatalogueIndex",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("location", models.CharField(max_length=200, unique=True, verbose_name="location")),
                ("serial", models.PositiveBigIntegerField(verbose_name="serial number")),
                ("digest", models.CharField(max_length=71, verbose_name="digest")),
                ("versions", models.PositiveIntegerField(verbose_name="versions")),
                ("is_complete", models.BooleanField(db_default=False, default=False, verbose_name="complete")),
                (
                    "seen_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="seen"),
                ),
            ],
            options={
                "verbose_name": "catalogue index",
                "verbose_name_plural": "catalogue indexes",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("digest__regex", "^sha256:[0-9a-f]{64}$")), name="catalogueindex_digest"
                    ),
                    models.CheckConstraint(condition=models.Q(("serial__gt", 0)), name="catalogueindex_serial"),
                ],
            },
        ),
        migrations.RunSQL(GUARDS, GUARDS_BACK),
    ]
