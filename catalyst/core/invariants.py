"""What must always hold, as queries that return nothing. Apps register theirs; tests and operators run all of them."""

from dataclasses import dataclass
from typing import Any

import structlog
from django.db import connection

from catalyst.core.incidents import open_incident, resolve_gone

log = structlog.get_logger(__name__)

#: What an incident about a broken invariant is called.
INCIDENT = "invariant_broken"
_SHOWN_ROWS = 5


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken invariant with the first rows that break it."""

    id: str
    rows: tuple[tuple[Any, ...], ...]

    def __str__(self) -> str:
        return f"{self.id}: {', '.join(map(repr, self.rows))}"


_queries: dict[str, str] = {}


def register(invariant_id: str, sql: str) -> None:
    """Add one query; every row it returns is a violation."""
    if invariant_id in _queries:
        raise LookupError(f"{invariant_id} is registered twice.")
    _queries[invariant_id] = sql


def registered() -> tuple[str, ...]:
    return tuple(_queries)


def check_invariants() -> list[Violation]:
    """Run every registered query."""
    found = []
    for invariant_id, sql in _queries.items():
        with connection.cursor() as cursor:
            cursor.execute(sql)
            rows = cursor.fetchmany(_SHOWN_ROWS)
        if rows:
            found.append(Violation(invariant_id, tuple(tuple(row) for row in rows)))
    return found


def watch_invariants() -> list[Violation]:
    """Run every query; a broken one is an open incident until a later run finds it whole."""
    found = check_invariants()
    for violation in found:
        log.error("invariant_broken", invariant=violation.id, alarm=True)
        open_incident(kind=INCIDENT, subject=violation.id, detail=str(violation))
    resolve_gone(kind=INCIDENT, still=[violation.id for violation in found])
    return found


register(
    "I38 published sequence without a gap",
    "SELECT count(sequence), max(sequence) FROM core_outbox HAVING count(sequence) <> coalesce(max(sequence), 0)",
)
register(
    "I40 attempts within the limit",
    "SELECT id, attempts FROM core_delivery WHERE attempts > 8 AND state <> 'done'",
)
