"""Fold the whole event log into one read model again."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalyst.core.projections import projector_names, rebuild_projection


class Command(BaseCommand):
    help = "Empty a projection's tables and fill them from the event log, in one transaction."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="*", help="Projections to rebuild; none means every one.")

    def handle(self, *args: Any, **options: Any) -> None:
        known = projector_names()
        unknown = sorted(set(options["name"]) - set(known))
        if unknown:
            raise CommandError(f"There is no projection {unknown[0]}. Known: {', '.join(known) or 'none'}.")
        for name in options["name"] or known:
            rebuild_projection(name=name)
            self.stdout.write(f"{name} is rebuilt.")
