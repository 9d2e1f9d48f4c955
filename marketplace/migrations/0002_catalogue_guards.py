"""Published versions and prices are facts: the database refuses to change or delete them."""

from django.db import migrations

GUARDS = """
CREATE TRIGGER blueprintversion_guard AFTER UPDATE ON marketplace_blueprintversion FOR EACH ROW
  EXECUTE FUNCTION guard_row('', 'yanked_at', '');
CREATE TRIGGER blueprintversion_no_delete BEFORE DELETE ON marketplace_blueprintversion FOR EACH ROW
  EXECUTE FUNCTION forbid_mutation();
CREATE TRIGGER price_no_change BEFORE UPDATE OR DELETE ON marketplace_price FOR EACH ROW
  EXECUTE FUNCTION forbid_mutation();
REVOKE UPDATE, DELETE, TRUNCATE ON marketplace_price FROM catalyst_app;
REVOKE DELETE, TRUNCATE ON marketplace_blueprintversion FROM catalyst_app;
"""
GUARDS_BACK = """
DROP TRIGGER blueprintversion_guard ON marketplace_blueprintversion;
DROP TRIGGER blueprintversion_no_delete ON marketplace_blueprintversion;
DROP TRIGGER price_no_change ON marketplace_price;
GRANT UPDATE, DELETE ON marketplace_price TO catalyst_app;
GRANT DELETE ON marketplace_blueprintversion TO catalyst_app;
"""


class Migration(migrations.Migration):
    dependencies = [("marketplace", "0001_initial"), ("core", "0002_guards")]

    operations = [migrations.RunSQL(GUARDS, GUARDS_BACK)]
