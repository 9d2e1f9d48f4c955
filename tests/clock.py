"""One clock for everything that tells time in a test: Postgres, Python and the card processor's stand-in move together.

Postgres: every ``now()`` of our connections, in statements, triggers and column defaults, is a function of the schema
``movable``, which the search path finds before the built-in one. Python: ``time_machine``. The stand-in counts in
Python's seconds, so it only has to be told to look again.
"""

from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import psycopg
import time_machine
from psycopg import sql

from tests.stripe_standin import StripeStandIn

SEARCH_PATH = "-c search_path=public,movable,pg_catalog"
_PYTHON_LEADS = timedelta(milliseconds=5)
_FUNCTIONS = ("now", "statement_timestamp", "transaction_timestamp", "clock_timestamp")


def install(owner: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Put the movable clock into a migrated database; ``owner`` owns its tables."""
    owner.execute("CREATE SCHEMA IF NOT EXISTS movable")
    owner.execute("CREATE TABLE IF NOT EXISTS movable.clock (ahead interval NOT NULL)")
    owner.execute("INSERT INTO movable.clock SELECT interval '0' WHERE NOT EXISTS (SELECT FROM movable.clock)")
    for name in _FUNCTIONS:
        owner.execute(
            sql.SQL(
                "CREATE OR REPLACE FUNCTION movable.{name}() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE"
                " AS 'SELECT pg_catalog.{name}() + (SELECT ahead FROM movable.clock)'"
            ).format(name=sql.Identifier(name))
        )
    owner.execute("GRANT USAGE ON SCHEMA movable TO PUBLIC")
    owner.execute("GRANT SELECT ON movable.clock TO PUBLIC")
    owner.execute("SET search_path = public, movable, pg_catalog")
    # A default was bound to the built-in function when its column was made; the same words bind to ours now.
    defaults = owner.execute(
        "SELECT adrelid::regclass::text, attname::text, pg_get_expr(adbin, adrelid) FROM pg_attrdef"
        " JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum"
        " WHERE attgenerated = '' AND pg_get_expr(adbin, adrelid) ~ '(now|_timestamp)\\(\\)'"
    ).fetchall()
    for table, column, expression in defaults:
        bare = str(expression).replace("pg_catalog.", "")
        owner.execute(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}").format(
                sql.Identifier(str(table)), sql.Identifier(str(column)), sql.SQL(bare)
            )
        )


class MovableClock:
    """Starts at the real time and only moves forward; leaving it puts everything back."""

    def __init__(self, owner: "psycopg.Connection[tuple[object, ...]]", standin: StripeStandIn | None = None) -> None:
        self._owner = owner
        self._standin = standin
        self._ahead = timedelta()
        self._travel: time_machine.travel | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()
        self._owner.execute("UPDATE movable.clock SET ahead = interval '0'")

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def advance(self, step: timedelta) -> datetime:
        """Move everything forward and return the new moment.

        :raises ValueError: backwards.
        """
        if step < timedelta():
            raise ValueError("The clock only moves forward.")
        self._ahead += step
        self._owner.execute("UPDATE movable.clock SET ahead = %s", [self._ahead])
        self._stop()
        # Counted from the real time at every move, so that the two hands do not drift apart. Python's is never behind:
        # what Postgres calls due must be due for the code that asks for it.
        self._travel = time_machine.travel(self.now + self._ahead + _PYTHON_LEADS, tick=True)
        self._travel.start()
        if self._standin is not None:
            self._standin.clock.advance(0)
        return self.now

    def advance_to(self, moment: datetime) -> datetime:
        """Move forward to a moment; one that is past already changes nothing."""
        return self.advance(max(moment - self.now, timedelta()))

    def _stop(self) -> None:
        if self._travel is not None:
            self._travel.stop()
            self._travel = None
