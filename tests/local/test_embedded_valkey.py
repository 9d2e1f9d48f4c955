from pathlib import Path

import pytest
import redis

from catalyst.local.embedded import EmbeddedServer
from catalyst.local.errors import LocalStackError
from catalyst.local.valkey import start_valkey
from tests.local.programs import are_gone, becomes_true, kill_hard, read_line, running, taken_port

PARENT = """
    import sys, time
    from pathlib import Path
    from catalyst.local.valkey import start_valkey
    server = start_valkey(Path(sys.argv[1]) / "valkey", log=Path(sys.argv[1]) / "valkey.log")
    print("started", server.process.pid)
    time.sleep(120)
"""


def start(home: Path, *, port: int | None = None) -> EmbeddedServer:
    return start_valkey(home / "valkey", log=home / "valkey.log", port=port)


def is_answering(server: EmbeddedServer) -> bool:
    with redis.Redis.from_url(server.url) as client:
        return bool(client.ping())


def test_answers_and_stops(home: Path) -> None:
    server = start(home)

    assert is_answering(server)
    server.stop()
    assert not server.is_running()


def test_starts_again_on_its_port_after_it_was_killed(home: Path) -> None:
    first = start(home)
    kill_hard(first.process.pid)
    first.stop()

    second = start(home, port=first.port)
    try:
        assert second.port == first.port
        assert is_answering(second)
    finally:
        second.stop()


def test_keeps_nothing_on_disk(home: Path) -> None:
    server = start(home)
    with redis.Redis.from_url(server.url) as client:
        client.set("doorbell", "rung")
    server.stop()

    assert [entry.name for entry in (home / "valkey").iterdir()] == [".lock"]


def test_takes_another_port_when_the_wanted_one_is_taken(home: Path) -> None:
    with taken_port() as port:
        server = start(home, port=port)
        try:
            assert server.port != port
            assert is_answering(server)
        finally:
            server.stop()


def test_refuses_a_folder_that_another_process_uses(home: Path) -> None:
    server = start(home)
    try:
        with pytest.raises(LocalStackError, match="Another process already runs the embedded Valkey"):
            start(home)

        assert is_answering(server)
    finally:
        server.stop()


def test_ends_with_its_parent_however_that_ends(home: Path) -> None:
    with running(PARENT, str(home)) as parent:
        pid = int(read_line(parent, "started").split()[1])
        kill_hard(parent.pid)

        assert becomes_true(lambda: are_gone([pid]))
