"""``manage.py prepare_local``: schema, catalogue and demo in one process, because `make run` waits for it."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection


class Command(BaseCommand):
    help = "Migrate, load the catalogue and make the demo Sovereign; harmless to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        _become_application()
        call_command("sync_catalog")
        call_command("seed_demo")


def _become_application() -> None:
    """Go on with the application's rights: only the schema is the owner's business."""
    options = connection.settings_dict["OPTIONS"]
    options["options"] = f"{options.get('options', '')} -c role=catalyst_app".strip()
    connection.close()
