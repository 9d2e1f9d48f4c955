"""``manage.py sync_catalog``: load the shipped catalogue, or what a registry has; harmless to repeat."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from catalyst.core.errors import DomainError
from marketplace.services.oci.registry import Registry, read_location, read_login
from marketplace.services.sync_catalog import sync_catalog
from marketplace.services.sync_registry import sync_registry


class Command(BaseCommand):
    help = "Create what is missing of the shipped catalogue. Rows that a person edited are left alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--blueprints", type=Path, default=Path(settings.ROOT) / "blueprints")
        parser.add_argument("--from", dest="location", metavar="REGISTRY", help="registry.example.om/catalog")
        parser.add_argument("--login", type=Path, metavar="FILE", help="With --from. One line: user:password.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["location"] is not None:
                self._from_registry(options["location"], options["login"])
            else:
                self._from_release(options["blueprints"])
        except DomainError as error:
            raise CommandError(error.message) from error

    def _from_release(self, blueprints: Path) -> None:
        report = sync_catalog(blueprints_root=blueprints, now=timezone.now())
        for label in report.conflicts:
            self.stderr.write(f"{label} is published with other bytes; raise its version to publish the change.")
        self._name_unpriced(report.unpriced)
        self.stdout.write(f"Catalogue: {len(report.created)} created, {len(report.updated)} updated.")

    def _from_registry(self, place: str, login: Path | None) -> None:
        location = read_location(place)
        registry = Registry(location.host, read_login(login))
        report = sync_registry(registry=registry, location=location, now=timezone.now())
        for notice in report.notices:
            self.stderr.write(f"{location}: {notice}")
        for refusal in report.refused:
            self.stderr.write(f"{refusal.reference}: {refusal.reason}")
        self._name_unpriced(report.unpriced)
        counts = f"{len(report.created)} taken, {report.known} known, {len(report.refused)} refused"
        self.stdout.write(f"{location}: {counts}.")

    def _name_unpriced(self, labels: list[str]) -> None:
        for label in labels:
            self.stderr.write(f"{label} has no price in the currency of this Sovereign; set one before it can be sold.")
