"""A bank may send a refund back after it was accepted: a settled credit note can still fail."""

from django.db import migrations

GUARD = """
DROP TRIGGER creditnote_guard ON billing_creditnote;
CREATE TRIGGER creditnote_guard AFTER UPDATE ON billing_creditnote FOR EACH ROW
  EXECUTE FUNCTION guard_row('state', 'psp_refund_id',
    'issued>refund_pending,issued>settled,refund_pending>settled,refund_pending>refund_failed%s');
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0006_life_cycle_guards")]

    operations = [migrations.RunSQL(GUARD % ",settled>refund_failed", GUARD % "")]
