"""Prepared statements sent straight through libpq, for the statements of a hot path.

A cursor of Django around one of psycopg costs more for each statement than Postgres needs to answer most of them. What
they find out anew each time is found out once for each statement and connection here: its text, its name in Postgres,
how its parameters are written and its columns read. ``catalyst.core.database`` is the way in: it adds what Django does
around a statement.
"""

import re
import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, cast

import psycopg
from psycopg import adapt, errors, pq
from psycopg.abc import Transformer
from psycopg.adapt import PyFormat
from psycopg.types.numeric import Int8Dumper

Parameters = Sequence[Any] | Mapping[str, Any]
Row = tuple[Any, ...]

_PLACEHOLDER = re.compile(r"%(?:%|s|\((\w+)\)s)")
_MOMENT = psycopg.adapters.types["timestamptz"]
_LONGEST_MOMENT = len("2026-11-24 12:00:00.123456+00")
_OK = {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement as Postgres reads it. ``names`` are its parameters in their order, where they have names."""

    sql: bytes
    names: tuple[str, ...]
    formats: list[PyFormat]


@cache  # the texts are constants of the program
def _converted(sql: str) -> _Text:
    numbers: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        return f"${numbers.setdefault(match[1] or str(len(numbers)), len(numbers) + 1)}"

    text = _PLACEHOLDER.sub(number, sql)
    has_names = not all(name.isdecimal() for name in numbers)
    return _Text(text.encode(), tuple(numbers) if has_names else (), [PyFormat.AUTO] * len(numbers))


@dataclass(slots=True)
class Statement:
    """One statement on one connection. It has a name in Postgres for each combination of parameter types that came up:
    a parameter that is null has no type."""

    text: _Text
    adapter: Transformer
    names: dict[tuple[int, ...], bytes] = field(default_factory=dict)
    has_loaders: bool = False

    def write(self, parameters: Parameters) -> Sequence[Any]:
        if self.text.names:
            named = cast(Mapping[str, Any], parameters)
            return self.adapter.dump_sequence([named[name] for name in self.text.names], self.text.formats)
        return self.adapter.dump_sequence(cast(Sequence[Any], parameters), self.text.formats)

    def read_row(self, result: pq.abc.PGresult) -> Row | None:
        """Return the first row, or None."""
        if not result.ntuples:
            return None
        self.adapter.set_pgresult(result, set_loaders=not self.has_loaders)
        self.has_loaders = True
        row: Row = self.adapter.load_row(0, tuple)
        return row


@dataclass(frozen=True, slots=True)
class _Sent:
    """One thing that Postgres answers with one result: a transaction's begin, a statement's preparation, its run."""

    statement: Statement | None = None
    prepares: tuple[tuple[int, ...], bytes] | None = None


def _read_moments_quickly(context: psycopg.Cursor[Any]) -> None:
    """Let Python's own parser read a moment where it can: in UTC, as the application's connections say it."""
    thorough: Any = context.adapters.get_loader(_MOMENT.oid, pq.Format.TEXT)

    class QuickLoader(thorough):  # type: ignore[misc]  # the class that Django made
        def load(self, data: Any) -> Any:
            text = bytes(data)
            if len(text) > _LONGEST_MOMENT or not text.endswith(b"+00"):
                return super().load(data)
            return datetime.fromisoformat(text.decode())

    context.adapters.register_loader(_MOMENT.oid, QuickLoader)


class Session:
    """The prepared statements of one connection; like the connection, for one thread at a time."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection, self._pgconn = connection, connection.pgconn
        self._context = psycopg.Cursor(connection)
        # By default the type of a number depends on its size, and so would the prepared statement.
        self._context.adapters.register_dumper(int, Int8Dumper)
        _read_moments_quickly(self._context)
        self._statements: dict[str, Statement] = {}
        self._prepared = 0
        self._sent: list[_Sent] = []
        self._answers = select.poll()
        self._answers.register(self._pgconn.socket, select.POLLIN)
        self.is_together = False

    def run(self, sql: str, parameters: Parameters) -> tuple[Statement, pq.abc.PGresult]:
        """Run one statement and wait for its result.

        :raises psycopg.Error: of this statement, or of one that was sent before it and not waited for.
        """
        statement = self._statement(sql)
        values = statement.write(parameters)
        name = statement.names.get(statement.adapter.types or ())
        if name is not None and not self.is_together and not self._must_begin():
            result = self._pgconn.exec_prepared(name, values, statement.adapter.formats)
            self._check(result)
            return statement, result
        if self.is_together:
            self._send(statement, values)
            return self.collect()[-1]
        with self.together():
            self._send(statement, values)
            return self.collect()[-1]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let ``send`` not wait until the block ends, or ``collect`` or ``run`` wants a result."""
        if self.is_together:
            raise RuntimeError("Statements are being sent together already.")
        self._pgconn.enter_pipeline_mode()
        self.is_together = True
        try:
            yield
            self.collect()
        finally:
            self.is_together = False
            self._end_together()

    def _end_together(self) -> None:
        if self._pgconn.status != pq.ConnStatus.OK:
            return
        try:
            self._receive()
            self._pgconn.exit_pipeline_mode()
        except psycopg.Error:
            # Something interrupted the waiting, and answers are still to come that nobody could tell apart.
            self.connection.close()

    def send(self, sql: str, parameters: Parameters) -> None:
        """Send one statement of several; call inside ``together``."""
        statement = self._statement(sql)
        self._send(statement, statement.write(parameters))

    def collect(self) -> list[tuple[Statement, pq.abc.PGresult]]:
        """Wait for the results of what was sent, in its order.

        :raises psycopg.Error: of the first statement that failed; those after it were not run.
        """
        received = self._receive()
        for _sent, result in received:
            self._check(result)
        return [(sent.statement, result) for sent, result in received if sent.statement and not sent.prepares]

    def _statement(self, sql: str) -> Statement:
        statement = self._statements.get(sql)
        if statement is None:
            statement = self._statements[sql] = Statement(_converted(sql), adapt.Transformer(self._context))
        return statement

    def _must_begin(self) -> bool:
        """Outside autocommit, which Django ends where a transaction begins, the first statement brings the BEGIN."""
        return not self.connection.autocommit and self._pgconn.transaction_status == pq.TransactionStatus.IDLE

    def _send(self, statement: Statement, values: Sequence[Any]) -> None:
        types, formats = statement.adapter.types or (), statement.adapter.formats
        if not self._sent and self._must_begin():
            self._pgconn.send_query_params(b"BEGIN", None)
            self._sent.append(_Sent())
        name = statement.names.get(types)
        if name is None:
            self._prepared += 1
            name = b"catalyst_%d" % self._prepared
            self._pgconn.send_prepare(name, statement.text.sql, types)
            self._sent.append(_Sent(statement, (types, name)))
        self._pgconn.send_query_prepared(name, values, formats)
        self._sent.append(_Sent(statement))

    def _receive(self) -> list[tuple[_Sent, pq.abc.PGresult]]:
        """Return the result of everything that was sent; what stands after a failed statement is answered too."""
        if not self._sent:
            return []
        sent, self._sent = self._sent, []
        self._pgconn.pipeline_sync()
        self._flush()
        received = []
        for each in sent:
            result = self._next_result()
            self._next_result()
            if result is None:
                raise errors.OperationalError(self._pgconn.get_error_message())
            received.append((each, result))
            if each.statement and each.prepares and result.status in _OK:
                types, name = each.prepares
                each.statement.names[types] = name
        self._next_result()
        return received

    def _flush(self) -> None:
        while self._pgconn.flush():
            # More than the socket takes at once: Postgres may have to say something first.
            either = select.poll()
            either.register(self._pgconn.socket, select.POLLIN | select.POLLOUT)
            if any(event & select.POLLIN for _socket, event in either.poll()):
                self._pgconn.consume_input()

    def _next_result(self) -> pq.abc.PGresult | None:
        # libpq's own waiting would keep the interpreter from other threads.
        while self._pgconn.is_busy():
            self._answers.poll()
            self._pgconn.consume_input()
        return self._pgconn.get_result()

    def _check(self, result: pq.abc.PGresult) -> None:
        if result.status in _OK:
            return
        if self._pgconn.status != pq.ConnStatus.OK and not result.error_field(pq.DiagnosticField.SQLSTATE):
            raise errors.OperationalError(self._pgconn.get_error_message())
        raise errors.error_from_result(result)
