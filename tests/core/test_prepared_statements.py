"""Prepared statements behave as Django's own: types, errors, transactions, the log of queries, a lost connection."""

import signal
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DataError, IntegrityError, OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from catalyst.core.database import execute, fetch_one, fetch_together, together
from tests.conftest import owner_connection
from tests.crash.races import race

MOMENT = datetime(2026, 11, 24, 12, 30, 15, 120000, tzinfo=UTC)
ID = uuid.UUID("5d0e6f43-6f5b-4f0c-9a53-0c9b8d1d7a10")
_SCRATCH = "CREATE TEMP TABLE scratch (n bigint UNIQUE) ON COMMIT DROP"
_ADD = "INSERT INTO scratch VALUES (%(n)s)"


class InterruptedWaitError(Exception):
    """What a time limit of a worker raises, at any point."""


def ask(sql: str, parameters: Any = ()) -> Any:
    row = fetch_one(sql, parameters, prepared=True)
    return row[0] if row else None


def add_together(*numbers: int) -> None:
    with together():
        for number in numbers:
            execute(_ADD, {"n": number}, prepared=True)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("cast", "value"),
    [
        ("bigint", 7),
        ("bigint", 2**40),
        ("text", "ورقة 100%"),
        ("bytea", b"\x00\xff'"),
        ("boolean", False),
        ("uuid", ID),
        ("timestamptz", MOMENT),
        ("timestamptz", MOMENT.replace(microsecond=0)),
        ("text[]", ["a", "b,c"]),
        ("text", None),
    ],
)
def test_reads_back_what_was_sent(cast: str, value: Any) -> None:
    sql = f"SELECT %(value)s::{cast}"

    assert [ask(sql, {"value": value}), ask(sql, {"value": None}), ask(sql, {"value": value})] == [value, None, value]


@pytest.mark.django_db
def test_reads_moments_of_other_zones_and_beyond_the_calendar_as_django_does() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'Asia/Muscat'")
        cursor.execute("SELECT '2026-11-24 12:30+00'::timestamptz")
        expected = cursor.fetchone()[0]

    assert ask("SELECT '2026-11-24 12:30+00'::timestamptz") == expected
    with pytest.raises(DataError):
        ask("SELECT 'infinity'::timestamptz")


@pytest.mark.django_db
def test_takes_parameters_by_place_or_by_name_and_the_same_one_twice() -> None:
    assert fetch_one("SELECT %s::bigint, %s::text, '100%%'", [1, "x"], prepared=True) == (1, "x", "100%")
    assert fetch_one("SELECT %(a)s::bigint, %(b)s::text, %(a)s", {"b": "x", "a": 2}, prepared=True) == (2, "x", 2)


@pytest.mark.django_db
def test_says_how_many_rows_it_touched() -> None:
    execute(_SCRATCH)

    assert execute("INSERT INTO scratch SELECT generate_series(1, %s)", [3], prepared=True) == 3
    assert execute("UPDATE scratch SET n = n + 10 WHERE n > %s", [5], prepared=True) == 0


@pytest.mark.django_db
def test_an_error_is_djangos_and_breaks_the_transaction_as_there() -> None:
    execute(_SCRATCH)
    execute(_ADD, {"n": 1}, prepared=True)

    with pytest.raises(IntegrityError, match="scratch_n_key"), transaction.atomic(savepoint=True):
        execute(_ADD, {"n": 1}, prepared=True)
    assert ask("SELECT count(*) FROM scratch") == 1

    with transaction.atomic(savepoint=True):
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            ask("SELECT 1")


@pytest.mark.django_db
def test_together_runs_in_order_and_nothing_after_the_one_that_fails() -> None:
    execute(_SCRATCH)
    count = "SELECT count(*) FROM scratch"

    assert fetch_together((f"{_ADD} RETURNING n", {"n": 1}), (count, {})) == [(1,), (1,)]
    with pytest.raises(IntegrityError), transaction.atomic(savepoint=True):
        add_together(2, 1, 3)
    with together():
        execute(_ADD, {"n": 4}, prepared=True)
        assert ask(count) == 2

    assert [ask("SELECT array_agg(n ORDER BY n) FROM scratch"), ask("SELECT 1")] == [[1, 4], 1]


@pytest.mark.django_db
def test_sends_more_at_once_than_a_socket_takes() -> None:
    long = "x" * 6_000_000

    assert fetch_together(*[("SELECT %(long)s::text", {"long": long})] * 3) == [(long,)] * 3


@pytest.mark.django_db
def test_another_statement_among_those_sent_together_is_refused() -> None:
    with pytest.raises(OperationalError, match="pipeline"), transaction.atomic(savepoint=True), together():
        execute("SELECT 1")

    assert ask("SELECT 1") == 1


@pytest.mark.django_db
def test_stands_in_the_log_of_queries() -> None:
    with CaptureQueriesContext(connection) as captured:
        ask("SELECT 1")
        fetch_together(("SELECT 2", {}), ("SELECT 3", {}))

    assert [query["sql"] for query in captured] == ["SELECT 1", "SELECT 2", "SELECT 3"]


@pytest.mark.django_db(transaction=True)
def test_the_first_statement_of_a_transaction_begins_it() -> None:
    with transaction.atomic(durable=True):
        first = ask("SELECT pg_current_xact_id()::text")
        assert [ask("SELECT pg_current_xact_id()::text"), ask("SELECT now() < clock_timestamp()")] == [first, True]
        execute(_SCRATCH, prepared=True)
        transaction.set_rollback(True)

    assert ask("SELECT to_regclass('pg_temp.scratch')::text") is None
    assert ask("SELECT pg_current_xact_id()::text") != first


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statements", [["SELECT pg_backend_pid()"], ["SELECT 1", "SELECT pg_backend_pid()"]])
def test_a_lost_connection_is_an_operational_error_and_the_next_one_works(statements: list[str]) -> None:
    answers: list[Any] = []

    def lose() -> None:
        mine = ask("SELECT pg_backend_pid()")
        with owner_connection() as owner:
            owner.execute("SELECT pg_terminate_backend(%s, 5000)", [mine])
        with pytest.raises(OperationalError):
            ask(statements[0]) if len(statements) == 1 else fetch_together(*((text, {}) for text in statements))
        connection.close()
        answers.append(ask("SELECT pg_backend_pid()") != mine)

    race([lose])

    assert answers == [True]


@pytest.mark.django_db(transaction=True)
def test_an_interrupted_wait_closes_the_connection_instead_of_mixing_up_answers() -> None:
    def interrupt(*_: Any) -> None:
        raise InterruptedWaitError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(InterruptedWaitError):
            fetch_together(("SELECT 1", {}), ("SELECT pg_sleep(3)::text", {}))
    finally:
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(OperationalError):
        ask("SELECT 2")
    connection.close()

    assert ask("SELECT 3") == 3


@pytest.mark.django_db
def test_waiting_leaves_the_interpreter_to_other_threads() -> None:
    turns: list[float] = []
    over = threading.Event()

    def count() -> None:
        while not over.wait(0.01):
            turns.append(time.monotonic())

    other = threading.Thread(target=count)
    other.start()
    fetch_together(("SELECT 1", {}), ("SELECT pg_sleep(0.3)::text", {}))
    over.set()
    other.join()

    assert len(turns) > 5
