"""Many at once: threads with their own connections, and the database without one of its guards."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.test import TransactionTestCase

from catalyst.core.errors import DomainError
from tests.conftest import owner_connection

_PATIENCE = 30


def race(works: list[Callable[[], Any]]) -> Counter[str]:
    """Start all at one barrier and count their outcomes: what each returned as text, or the code of its refusal."""
    barrier, outcomes, guard = threading.Barrier(len(works)), list[str](), threading.Lock()

    def run(work: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(_PATIENCE)
            outcome = str(work())
        except DomainError as refusal:
            outcome = refusal.code
        except Exception as error:
            outcome = repr(error)
        finally:
            connection.close()
        with guard:
            outcomes.append(outcome)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(outcomes)


@contextmanager
def without_constraint(table: str, name: str) -> Iterator[None]:
    """Take a constraint away for a control; afterwards the tables are emptied and it stands again."""
    with owner_connection() as owner:
        row = owner.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [name]).fetchone()
        assert row is not None
        owner.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        try:
            yield
        finally:
            TransactionTestCase()._fixture_teardown()  # type: ignore[attr-defined]
            owner.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {row[0]}")


@contextmanager
def scratch_table(definition: str, *rows: str) -> Iterator[str]:
    """Lend a table called ``scratch`` for an algorithm that the real tables would refuse."""
    with owner_connection() as owner:
        owner.execute(f"CREATE TABLE scratch ({definition})")
        owner.execute("GRANT ALL ON scratch TO catalyst_app")
        try:
            for row in rows:
                owner.execute(f"INSERT INTO scratch VALUES ({row})")
            yield "scratch"
        finally:
            owner.execute("DROP TABLE scratch")
