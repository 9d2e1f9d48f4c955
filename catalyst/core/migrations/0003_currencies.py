"""What the card processor accepts per currency.

Source: https://docs.stripe.com/currencies (three-decimal currencies end in 0; minimum about US$ 0.50).
"""

from django.db import migrations

CURRENCIES = """
INSERT INTO core_currency (code, exponent, psp_step, psp_min_minor) VALUES
  ('OMR', 3, 10, 200), ('BHD', 3, 10, 200), ('KWD', 3, 10, 200), ('JOD', 3, 10, 360), ('TND', 3, 10, 1600),
  ('USD', 2, 1, 50), ('EUR', 2, 1, 50), ('AED', 2, 1, 200), ('SAR', 2, 1, 200);
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0002_guards")]

    operations = [migrations.RunSQL(CURRENCIES, "DELETE FROM core_currency;")]
