"""``manage.py lint_blueprint PATH``: every broken rule of a Blueprint, before anybody publishes it."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketplace.services.blueprint_contract import ContractRefused, Finding
from marketplace.services.blueprint_lint import is_refused, lint_files, read_archive, read_tree
from marketplace.services.blueprint_lint.release import shelf_of_folder
from marketplace.services.blueprint_lint.tree import MAX_PACKED


class Command(BaseCommand):
    help = "Report every broken rule of a Blueprint folder or .tgz. Exit code 1: it would be refused."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument("--json", action="store_true", dest="as_json")
        parser.add_argument("--source", choices=("public", "sovereign", "org"), default="public")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["path"]
        if not path.exists():
            raise CommandError(f"{path} does not exist.")
        findings = _judge(path.resolve(), options["source"])
        refused = is_refused(findings)
        if options["as_json"]:
            answer = {"refused": refused, "findings": [asdict(each) for each in findings]}
            self.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2))
        else:
            self._write(findings)
        if refused:
            sys.exit(1)

    def _write(self, findings: tuple[Finding, ...]) -> None:
        for each in findings:
            self.stdout.write(each.as_line())
        warnings = sum(each.is_warning for each in findings)
        self.stdout.write(f"{len(findings) - warnings} refused, {warnings} warnings.")


def _judge(path: Path, source: str) -> tuple[Finding, ...]:
    try:
        if path.is_dir():
            return lint_files(read_tree(path), shelf=shelf_of_folder(path, source), folder=path.name)
        with path.open("rb") as packed:
            return lint_files(read_archive(packed.read(MAX_PACKED + 1)), shelf=shelf_of_folder(path, source))
    except ContractRefused as refusal:
        return refusal.findings
