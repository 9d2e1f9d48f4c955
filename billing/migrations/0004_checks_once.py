"""The checks of half-written transactions do their work once for each transaction, with the same strength."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_guards")]

    operations: list[migrations.operations.base.Operation] = []
