"""Check what must always hold, and say which rows break it."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from catalyst.core.invariants import check_invariants, registered


class Command(BaseCommand):
    help = "Run every registered invariant; exit with 1 when one is broken."

    def handle(self, *args: Any, **options: Any) -> None:
        violations = check_invariants()
        for violation in violations:
            self.stdout.write(str(violation))
        if violations:
            sys.exit(1)
        self.stdout.write(f"{len(registered())} invariants hold.")
