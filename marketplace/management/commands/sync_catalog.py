"""``manage.py sync_catalog``: load the shipped catalogue; harmless to repeat."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from catalyst.core.errors import DomainError
from marketplace.services.sync_catalog import sync_catalog


class Command(BaseCommand):
    help = "Create what is missing of the shipped catalogue. Rows that a person edited are left alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--blueprints", type=Path, default=Path(settings.ROOT) / "blueprints")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = sync_catalog(blueprints_root=options["blueprints"], now=timezone.now())
        except DomainError as error:
            raise CommandError(error.message) from error
        for label in report.conflicts:
            self.stderr.write(f"{label} is published with other bytes; raise its version to publish the change.")
        self.stdout.write(f"Catalogue: {len(report.created)} created, {len(report.updated)} updated.")
