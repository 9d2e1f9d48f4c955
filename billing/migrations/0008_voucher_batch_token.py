"""A batch of Vouchers remembers the form that asked for it, so that a form sent twice makes one batch."""

import django.contrib.postgres.functions
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_refunds")]

    operations = [
        migrations.AddField(
            model_name="voucherbatch",
            name="token",
            field=models.UUIDField(
                db_default=django.contrib.postgres.functions.RandomUUID(), editable=False, unique=True
            ),
        ),
    ]
