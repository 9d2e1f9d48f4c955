"""Many pages stand open and nothing happens: they hold no database connection."""

import http.client
import time
from typing import Any

import psycopg
import pytest

from catalyst.core.http import heartbeat, stream_slots
from tests.conftest import owner_connection
from tests.core.test_live_stream import _bearer, _frame, _publish, port

__all__ = ["port"]

pytestmark = pytest.mark.django_db(transaction=True)

STREAMS = 200


def connections() -> int:
    """Count the sessions of this database, the counting one included."""
    with owner_connection() as owner:
        row = owner.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


def settled(most: int) -> int:
    """Wait until no more than so many sessions are left; return how many there are."""
    until = time.monotonic() + 10
    while (found := connections()) > most and time.monotonic() < until:
        time.sleep(0.1)
    return found


def test_idle_streams_hold_no_connection(
    port: Any, organization: Any, org_admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_slots, "LIMIT", STREAMS + 10)
    bearer, before = _bearer(org_admin), connections()
    opened = []
    try:
        for _ in range(STREAMS):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            opened.append(connection)
            connection.request("GET", "/events/organizations/acme/", headers={"Authorization": bearer})
        answers = [connection.getresponse() for connection in opened]
        assert [answer.status for answer in answers] == [200] * STREAMS
        assert all(_frame(answer)["retry"] == "2000" for answer in answers)

        assert settled(before) <= before

        _publish(organization, 1, status="ready")
        assert {_frame(answer)["id"] for answer in answers} == {"1"}
        assert settled(before) <= before
    finally:
        for connection in opened:
            connection.close()
        # The next test's person may have the same number, and the server notices late that all these are gone.
        heartbeat.client().delete(stream_slots._key(org_admin.pk))


def test_a_connection_that_is_held_is_counted() -> None:
    """The control: what would be held is seen."""
    before = connections()
    with owner_connection() as one, psycopg.connect(one.info.dsn, password=one.info.password):
        assert connections() >= before + 2
