"""A subscription that was sold before 0005 costs what its order says: without items its renewals would be free."""

from django.db import migrations

FILL = """
UPDATE billing_subscription AS s SET items = sold.items
FROM (
  SELECT order_id, jsonb_agg(jsonb_build_object('kind', kind, 'reference', reference, 'title', title,
      'title_ar', title_ar, 'quantity', quantity, 'unit_minor', unit_minor) ORDER BY position) AS items
  FROM billing_orderline WHERE kind <> 'discount' GROUP BY order_id
) AS sold
WHERE sold.order_id = s.order_id AND s.items = '[]';
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0008_voucher_batch_token")]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
