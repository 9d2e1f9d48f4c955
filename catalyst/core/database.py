"""Transactions of use cases, and short access to SQL where a statement says it better than the ORM."""

import functools
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import psycopg.errors
from django.db import OperationalError, connection, transaction

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


def fetch_one(sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> tuple[Any, ...] | None:
    """Run one statement and return its first row."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def fetch_all(sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
    """Run one statement and return all rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def execute(sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> int:
    """Run one statement and return how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)


def violated_constraint(error: Exception) -> str:
    """Return the name of the constraint that refused a write, or an empty string."""
    cause = error.__cause__
    return (cause.diag.constraint_name or "") if isinstance(cause, psycopg.Error) else ""
