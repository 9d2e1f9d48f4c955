"""An Application and a Change belong to an Environment of their own Organization; neither is ever deleted by the app."""

from django.db import migrations


def _key(table: str, name: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (organization_id, environment_id)"
        " REFERENCES tenancy_environment (organization_id, id);",
        f"ALTER TABLE {table} DROP CONSTRAINT {name};",
    )


class Migration(migrations.Migration):
    dependencies = [("marketplace", "0002_catalogue_guards"), ("tenancy", "0002_audit_chain")]

    operations = [
        _key("marketplace_change", "change_environment"),
        _key("marketplace_application", "application_environment"),
        migrations.RunSQL(
            "ALTER TABLE marketplace_application ADD CONSTRAINT application_change"
            " FOREIGN KEY (organization_id, change_id) REFERENCES marketplace_change (organization_id, id);",
            "ALTER TABLE marketplace_application DROP CONSTRAINT application_change;",
        ),
        migrations.RunSQL(
            "REVOKE DELETE ON marketplace_change, marketplace_application, marketplace_fluxmessage FROM catalyst_app;",
            migrations.RunSQL.noop,
        ),
    ]
