"""What the sandbox remembers: objects, idempotent replies and webhook deliveries, in one SQLite file."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from catalyst.local.sandbox_stripe.wire import Json, Reply

_SCHEMA = """
create table if not exists object (
    position integer primary key autoincrement, kind text not null, id text not null, due_at integer,
    body text not null,
    unique (kind, id));
create index if not exists object_due on object (due_at) where due_at is not null;
create table if not exists idempotent_reply (
    key text primary key, fingerprint text not null, created_at integer not null, request_id text not null,
    status integer not null, body blob not null);
create table if not exists delivery (
    event_id text primary key, attempt_count integer not null default 0, next_attempt_at real not null);
"""


class Store:
    """The rows of one sandbox; in memory without a file. One writer at a time, so a request is atomic."""

    def __init__(self, file: Path | None = None) -> None:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = RLock()
        self._depth = 0
        self._rows = sqlite3.connect(file or ":memory:", check_same_thread=False, isolation_level=None)
        self._rows.execute("pragma journal_mode = wal")
        self._rows.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside happen as a whole or not at all; inner blocks join the outermost."""
        with self._lock:
            outermost = self._depth == 0
            if outermost:
                self._rows.execute("begin immediate")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if outermost:
                    self._rows.execute("rollback")
                raise
            self._depth -= 1
            if outermost:
                self._rows.execute("commit")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens inside when it raises, and keep the transaction around it going."""
        self._rows.execute("savepoint operation")
        try:
            yield
        except BaseException:
            self._rows.execute("rollback to operation")
            raise
        finally:
            self._rows.execute("release operation")

    def _all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._rows.execute(statement, values).fetchall()

    def put(self, thing: Json, due_at: int | None = None) -> None:
        """Insert or replace an object; ``due_at`` is the moment at which the sandbox must look at it again."""
        self._all(
            "insert into object (kind, id, due_at, body) values (?, ?, ?, ?)"
            " on conflict (kind, id) do update set due_at = excluded.due_at, body = excluded.body",
            thing["object"],
            thing["id"],
            due_at,
            json.dumps(thing),
        )

    def get(self, kind: str, id_: str) -> Json | None:
        """Return one object."""
        rows = self._all("select body from object where kind = ? and id = ?", kind, id_)
        return json.loads(rows[0][0]) if rows else None

    def newest_first(self, kind: str) -> list[Json]:
        """Return all objects of a kind, newest first."""
        rows = self._all("select body from object where kind = ? order by position desc", kind)
        return [json.loads(body) for (body,) in rows]

    def next_due(self, now: int) -> tuple[int, Json] | None:
        """Return the object whose moment came first, with that moment."""
        statement = "select due_at, body from object where due_at <= ? order by due_at, position limit 1"
        rows = self._all(statement, now)
        return (rows[0][0], json.loads(rows[0][1])) if rows else None

    def delete(self, kind: str, id_: str) -> None:
        """Forget one object."""
        self._all("delete from object where kind = ? and id = ?", kind, id_)

    def forget(self, kind: str, *, created_before: int) -> None:
        """Forget the objects of a kind that are older than a moment."""
        statement = "delete from object where kind = ? and json_extract(body, '$.created') < ?"
        self._all(statement, kind, created_before)

    def reply_of(self, key: str, since: int) -> tuple[str, str, Reply] | None:
        """Return fingerprint, request id and reply stored under an idempotency key that is younger than ``since``."""
        self._all("delete from idempotent_reply where created_at < ?", since)
        rows = self._all("select fingerprint, request_id, status, body from idempotent_reply where key = ?", key)
        if not rows:
            return None
        fingerprint, request_id, status, body = rows[0]
        return fingerprint, request_id, Reply(status, body, {"Content-Type": "application/json"})

    def keep_reply(self, key: str, fingerprint: str, now: int, request_id: str, reply: Reply) -> None:
        """Store the reply that every later use of this key gets."""
        self._all(
            "insert into idempotent_reply values (?, ?, ?, ?, ?, ?)",
            key,
            fingerprint,
            now,
            request_id,
            reply.status,
            reply.body,
        )

    def queue_delivery(self, event_id: str, at: float) -> None:
        """Remember that an event must reach the webhook."""
        self._all("insert into delivery (event_id, next_attempt_at) values (?, ?)", event_id, at)

    def next_delivery(self) -> tuple[str, int, float] | None:
        """Return event, attempts so far and moment of the delivery that is due first."""
        rows = self._all(
            "select event_id, attempt_count, next_attempt_at from delivery order by next_attempt_at, rowid limit 1"
        )
        return (rows[0][0], rows[0][1], rows[0][2]) if rows else None

    def postpone_delivery(self, event_id: str, at: float) -> None:
        """Count a failed attempt and name the next one."""
        statement = "update delivery set attempt_count = attempt_count + 1, next_attempt_at = ? where event_id = ?"
        self._all(statement, at, event_id)

    def finish_delivery(self, event_id: str) -> None:
        """Forget a delivery that arrived or was given up."""
        self._all("delete from delivery where event_id = ?", event_id)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._rows.close()
