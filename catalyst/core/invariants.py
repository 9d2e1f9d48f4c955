"""What must always hold, as queries that return nothing. Apps register theirs; tests and operators run all of them."""

from dataclasses import dataclass
from typing import Any

from django.db import connection

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


register(
    "I38 published sequence without a gap",
    "SELECT count(sequence), max(sequence) FROM core_outbox HAVING count(sequence) <> coalesce(max(sequence), 0)",
)
register(
    "I40 attempts within the limit",
    "SELECT id, attempts FROM core_delivery WHERE attempts > 8 AND state <> 'done'",
)
