"""Transactions of use cases, and short access to SQL where a statement says it better than the ORM."""

import contextlib
import functools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

import psycopg.errors
from django.db import OperationalError, connection, transaction
from psycopg.types.numeric import Int8

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_ATTEMPTS = 5
_PAUSE_SECONDS = 0.02
#: Refusals of Postgres that say "the same again may succeed": deadlock, serialization, lock timeout.
_TRANSIENT = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.LockNotAvailable,
)


def use_case(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Run the function in one outermost transaction, and again when Postgres says that it only lost a race for a lock.

    A use case is called once by an edge, never by another use case: inside a transaction it raises.
    """

    @functools.wraps(function)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with transaction.atomic(durable=True):
                    return function(*args, **kwargs)
            except OperationalError as error:
                if attempt == _ATTEMPTS or not isinstance(error.__cause__, _TRANSIENT):
                    raise
                time.sleep(_PAUSE_SECONDS * 2**attempt * random.random())  # noqa: S311  (jitter, no secret)
        raise AssertionError("unreachable")

    return run


def fetch_one(
    sql: str, parameters: Sequence[Any] | dict[str, Any] = (), *, prepared: bool = False
) -> tuple[Any, ...] | None:
    """Run one statement and return its first row.

    ``prepared``: Postgres plans the statement once for each connection. Worth it on a hot path, where planning took a
    third of the database's time; the statement's text must be constant, and a parameter has one type in all its places.
    """
    with _cursor(prepared) as cursor:
        cursor.execute(sql, _typed(parameters) if prepared else parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Send the statements of the block without waiting for their answers, until one is fetched or the block ends.

    Postgres runs them in their order and nothing after one that failed; its error is raised at that fetch or at the end
    of the block. ``execute`` cannot say inside how many rows it touched: what must know that asks for a row.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def fetch_together(*statements: tuple[str, dict[str, Any]]) -> list[tuple[Any, ...] | None]:
    """Send prepared statements without waiting in between and return the first row of each, as ``fetch_one`` would.

    Postgres still runs them one after the other, each on what is committed when its turn comes. Where one fails the
    rest is not run.
    """
    with together():
        cursors = [_cursor(prepared=True) for _ in statements]
        for cursor, (sql, parameters) in zip(cursors, statements, strict=True):
            cursor.execute(sql, _typed(parameters))
        return [cursor.fetchone() for cursor in cursors]


def fetch_all(sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
    """Run one statement and return all rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def execute(sql: str, parameters: Sequence[Any] | dict[str, Any] = (), *, prepared: bool = False) -> int:
    """Run one statement and return how many rows it touched; ``prepared`` as in ``fetch_one``."""
    with _cursor(prepared) as cursor:
        cursor.execute(sql, _typed(parameters) if prepared else parameters)
        return int(cursor.rowcount)


class _PreparedCursor(psycopg.Cursor[Any]):
    """Prepares every statement at its first use; the connection remembers which ones it has."""

    def execute(self, query: Any, params: Any = None, **_options: Any) -> Any:
        # Django turns preparing off on its connections; it is on for this statement only.
        self.connection.prepare_threshold = 0
        try:
            return super().execute(query, params, prepare=True)
        finally:
            self.connection.prepare_threshold = None


def _cursor(prepared: bool) -> Any:
    if not prepared:
        return connection.cursor()
    connection.ensure_connection()
    cursor: Any = _PreparedCursor(connection.connection)
    return connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)


def _typed(parameters: Sequence[Any] | dict[str, Any]) -> Sequence[Any] | dict[str, Any]:
    """Give every integer one type: by default it would depend on its size, and so would the prepared statement."""
    if isinstance(parameters, dict):
        return {name: Int8(value) if type(value) is int else value for name, value in parameters.items()}
    return [Int8(value) if type(value) is int else value for value in parameters]


def violated_constraint(error: Exception) -> str:
    """Return the name of the constraint that refused a write, or an empty string."""
    cause = error.__cause__
    return (cause.diag.constraint_name or "") if isinstance(cause, psycopg.Error) else ""
