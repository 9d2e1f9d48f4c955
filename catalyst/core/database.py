"""Transactions of use cases, and short access to SQL where a statement says it better than the ORM."""

import contextlib
import functools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import psycopg.errors
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseErrorWrapper

from catalyst.core.prepared import Session

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
    if prepared:
        session, errors = _session(sql)
        with errors:
            statement, result = session.run(sql, parameters)
            return statement.read_row(result)
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Send the prepared statements of the block without waiting for their answers, until one is fetched or it ends.

    Postgres runs them in their order and nothing after one that failed; its error is raised at that fetch or at the end
    of the block. ``execute`` cannot say inside how many rows it touched: what must know that asks for a row. No other
    statement may stand in the block.
    """
    session, errors = _session()
    with errors, session.together():
        yield


def fetch_together(*statements: tuple[str, dict[str, Any]]) -> list[tuple[Any, ...] | None]:
    """Send prepared statements without waiting in between and return the first row of each, as ``fetch_one`` would.

    Postgres still runs them one after the other, each on what is committed when its turn comes. Where one fails the
    rest is not run.
    """
    session, errors = _session(*(sql for sql, _parameters in statements))
    with errors, session.together():
        for sql, parameters in statements:
            session.send(sql, parameters)
        return [statement.read_row(result) for statement, result in session.collect()]


def fetch_all(sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
    """Run one statement and return all rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def execute(sql: str, parameters: Sequence[Any] | dict[str, Any] = (), *, prepared: bool = False) -> int:
    """Run one statement and return how many rows it touched; ``prepared`` as in ``fetch_one``."""
    if not prepared:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return int(cursor.rowcount)
    session, errors = _session(sql)
    with errors:
        if session.is_together:
            session.send(sql, parameters)
            return -1
        _statement, result = session.run(sql, parameters)
        return result.command_tuples or 0


#: By Django's own object, of which each thread has one for its whole life.
_sessions: WeakKeyDictionary[BaseDatabaseWrapper, Session] = WeakKeyDictionary()


def _session(*texts: str) -> tuple[Session, DatabaseErrorWrapper]:
    """Return the prepared statements of Django's connection, ready for these, and what makes Django's errors of
    psycopg's."""
    wrapper = connections[DEFAULT_DB_ALIAS]
    wrapper.ensure_connection()
    if wrapper.needs_rollback:
        wrapper.validate_no_broken_transaction()
    session = _sessions.get(wrapper)
    if session is None or session.connection is not wrapper.connection:
        session = _sessions[wrapper] = Session(wrapper.connection)
    if wrapper.queries_logged:
        wrapper.queries_log.extend({"sql": text, "time": "0"} for text in texts)
    return session, wrapper.wrap_database_errors


def violated_constraint(error: Exception) -> str:
    """Return the name of the constraint that refused a write, or an empty string."""
    cause = error.__cause__
    return (cause.diag.constraint_name or "") if isinstance(cause, psycopg.Error) else ""
