"""A moment of a whole world, to come back to: every row, every sequence, the processor's memory, and the clock."""

import copy
import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import sql

from tests.clock import MovableClock
from tests.stripe_standin import StripeStandIn

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
_SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"


@dataclass(frozen=True)
class Snapshot:
    """``rows`` is Postgres' own text of each table that is not empty."""

    rows: dict[str, bytes]
    sequences: dict[str, int | None]
    objects: sqlite3.Connection
    calls: list[Any]
    faults: list[Any]
    offset: float
    ahead: timedelta


def take(owner: "psycopg.Connection[Any]", standin: StripeStandIn, clock: MovableClock) -> Snapshot:
    """Remember this moment; nothing may be going on."""
    objects = sqlite3.connect(":memory:", check_same_thread=False)
    standin.account.store._rows.backup(objects)
    tables = [str(name) for (name,) in owner.execute(_TABLES)]
    return Snapshot(
        rows={table: rows for table in tables if (rows := _read(owner, table))},
        sequences=dict(owner.execute(_SEQUENCES).fetchall()),
        objects=objects,
        calls=list(standin.calls._calls),
        faults=copy.deepcopy(standin._faults._plans),
        offset=standin.clock._offset,
        ahead=clock._ahead,
    )


def restore(then: Snapshot, owner: "psycopg.Connection[Any]", standin: StripeStandIn, clock: MovableClock) -> None:
    """Come back to a moment. The time that the machine itself took since stays passed."""
    with owner.transaction():
        # A replica fires no trigger: append-only tables and foreign keys do not object.
        owner.execute("SET LOCAL session_replication_role = replica")
        for (table,) in owner.execute(_TABLES).fetchall():
            _write(owner, str(table), then.rows.get(str(table), b""))
        for name, value in then.sequences.items():
            owner.execute("SELECT setval(%s::regclass, %s, %s)", [name, value or 1, value is not None])
    then.objects.backup(standin.account.store._rows)
    standin.calls._calls[:] = then.calls
    standin._faults._plans[:] = copy.deepcopy(then.faults)
    standin.clock._offset = then.offset
    clock._stop()
    clock._ahead = timedelta()
    clock.advance(then.ahead)


def _read(owner: "psycopg.Connection[Any]", table: str) -> bytes:
    with owner.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as out:
        return b"".join(bytes(part) for part in out)


def _write(owner: "psycopg.Connection[Any]", table: str, rows: bytes) -> None:
    if rows == _read(owner, table):
        return
    owner.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
    if rows:
        with owner.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as into:
            into.write(rows)
