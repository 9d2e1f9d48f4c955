import os
import time
from pathlib import Path

import psycopg
import pytest

from catalyst.local.embedded import EmbeddedServer
from catalyst.local.errors import LocalStackError
from catalyst.local.postgres import start_postgres
from tests.local.programs import are_gone, becomes_true, kill_hard, read_line, running, taken_port

PARENT = """
    import sys, time
    from pathlib import Path
    from catalyst.local.postgres import start_postgres
    server = start_postgres(Path(sys.argv[1]) / "postgres", log=Path(sys.argv[1]) / "postgres.log", durable=False)
    print("started", server.process.pid)
    time.sleep(120)
"""


def start(home: Path, *, port: int | None = None) -> EmbeddedServer:
    return start_postgres(home / "postgres", log=home / "postgres.log", port=port, durable=False)


def ask(server: EmbeddedServer, statement: str) -> object:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def test_answers_as_utf8_server_in_utc_with_room_for_many_connections(home: Path) -> None:
    server = start(home)
    try:
        assert str(ask(server, "SHOW server_version")).startswith("18.")
        assert ask(server, "SHOW server_encoding") == "UTF8"
        assert ask(server, "SELECT datcollate FROM pg_database WHERE datname = 'catalyst'") == "C.UTF-8"
        assert ask(server, "SHOW timezone") == "UTC"
        assert ask(server, "SHOW max_connections") == "200"
        assert ask(server, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is True
        assert server.port < 32768
    finally:
        server.stop()


def test_has_the_extensions_that_constraints_and_search_need(home: Path) -> None:
    server = start(home)
    try:
        ask(server, "CREATE EXTENSION btree_gist")
        ask(server, "CREATE EXTENSION pg_trgm")

        assert ask(server, "SELECT count(*) FROM pg_extension WHERE extname IN ('btree_gist', 'pg_trgm')") == 2
    finally:
        server.stop()


def test_goes_on_with_its_data_on_its_port_at_the_second_start(home: Path) -> None:
    first = start(home)
    ask(first, "CREATE TABLE kept AS SELECT 42 AS answer")
    first.stop()

    second = start(home, port=first.port)
    try:
        assert ask(second, "SELECT answer FROM kept") == 42
        assert second.port == first.port
    finally:
        second.stop()


def test_recovers_after_it_was_killed(home: Path) -> None:
    first = start(home)
    ask(first, "CREATE TABLE kept AS SELECT 42 AS answer")
    ask(first, "CHECKPOINT")
    kill_hard(first.process.pid)
    first.stop()
    assert (first.data / "postmaster.pid").exists()

    second = start(home)
    try:
        assert ask(second, "SELECT answer FROM kept") == 42
    finally:
        second.stop()


def test_is_not_stopped_by_a_note_whose_number_belongs_to_another_program(home: Path) -> None:
    first = start(home)
    kill_hard(first.process.pid)
    first.stop()
    note = first.data / "postmaster.pid"
    _, *rest = note.read_text().splitlines()
    note.write_text("\n".join([str(os.getppid()), *rest]) + "\n")

    second = start(home)
    try:
        assert ask(second, "SELECT 1") == 1
    finally:
        second.stop()


def test_refuses_data_that_another_process_uses_and_leaves_its_server_alone(home: Path) -> None:
    server = start(home)
    try:
        with pytest.raises(LocalStackError, match="Another process already runs the embedded Postgres"):
            start(home)

        assert ask(server, "SELECT 1") == 1
    finally:
        server.stop()


def test_refuses_data_of_another_major_version(home: Path) -> None:
    server = start(home)
    server.stop()
    (server.data / "PG_VERSION").write_text("17\n")

    with pytest.raises(LocalStackError, match="made by PostgreSQL 17, and this release runs 18"):
        start(home)


def test_takes_another_port_when_the_wanted_one_is_taken(home: Path) -> None:
    with taken_port() as port:
        server = start(home, port=port)
        try:
            assert server.port != port
            assert ask(server, "SELECT 1") == 1
        finally:
            server.stop()


def test_an_interrupted_first_start_leaves_nothing_that_hinders_the_next(home: Path) -> None:
    start(home).stop()
    data = home / "postgres" / "data"
    data.rename(data.with_name("data.new"))
    (data.with_name("data.new") / "PG_VERSION").unlink()

    server = start(home)
    try:
        assert ask(server, "SELECT 1") == 1
        assert not (home / "postgres" / "data.new").exists()
    finally:
        server.stop()


def test_stops_quickly_though_a_connection_is_open(home: Path) -> None:
    server = start(home)
    connection = psycopg.connect(server.url)
    connection.execute("SELECT 1")

    began = time.monotonic()
    server.stop()

    assert time.monotonic() - began < 5
    assert not server.is_running()
    connection.close()


def test_ends_with_its_parent_however_that_ends(home: Path) -> None:
    with running(PARENT, str(home)) as parent:
        pid = int(read_line(parent, "started").split()[1])
        kill_hard(parent.pid)

        assert becomes_true(lambda: are_gone([pid]))
