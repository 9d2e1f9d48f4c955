import shutil
import signal
import sys
from pathlib import Path

import pytest

from catalyst.local.checks import check_disk, check_home, check_python
from catalyst.local.errors import LocalStackError
from catalyst.local.ports import free_port
from catalyst.local.runtime import read_services
from tests.local.programs import are_gone, becomes_true, kill_hard, read_line, running, taken_port

# The real servers and supervisor, with stand-ins for Catalyst's own processes.
STACK = """
    import sys
    from catalyst.local.__main__ import main
    from catalyst.local.processes import ProcessSpec
    WEB = '''
    import http.server, os
    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200); self.end_headers(); self.wfile.write(b'{"status": "ready", "failing": []}')
        def log_message(self, *_): pass
    print("web pid", os.getpid(), os.environ["DATABASE_URL"], os.environ["REDIS_URL"])
    http.server.HTTPServer(("127.0.0.1", int(os.environ["CATALYST_PORT"])), Ready).serve_forever()
    '''
    import textwrap
    def table(configuration, stand_ins):
        return [ProcessSpec("web", [sys.executable, "-u", "-c", textwrap.dedent(WEB)], restartable=False)]
    sys.exit(main(preparations=(), table=table))
"""


def environment(home: Path, port: int) -> dict[str, str]:
    return {
        "CATALYST_HOME": str(home),
        "CATALYST_PORT": str(port),
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "STRIPE_API_BASE": "",
        "SECRET_STORE": "",
    }


def server_pids(home: Path) -> list[int]:
    return [service.pid for service in read_services(home).values()]


def test_starts_says_where_everything_is_and_stops(home: Path) -> None:
    port = free_port()
    (home / "run").mkdir()
    (home / "run" / "welcome.txt").write_text("Sign in as demo@example.com\n")
    with running(STACK, environment=environment(home, port)) as stack:
        read_line(stack, f"http://localhost:{port}/")
        read_line(stack, "Sign in as demo@example.com")
        read_line(stack, f"Data: {home}")
        read_line(stack, f"Logs: {home / 'logs'}")
        pids = server_pids(home)
        assert len(pids) == 2
        stack.send_signal(signal.SIGINT)

        read_line(stack, "Catalyst has stopped")
        assert stack.wait(timeout=5) == 0
        assert are_gone(pids)


def test_leaves_nothing_running_when_it_is_killed_and_starts_again(home: Path) -> None:
    port = free_port()
    with running(STACK, environment=environment(home, port)) as stack:
        web = int(read_line(stack, "web pid").split("web pid")[1].split()[0])
        read_line(stack, "Ctrl-C")
        pids = [web, *server_pids(home)]
        kill_hard(stack.pid)

        assert becomes_true(lambda: are_gone(pids))

    with running(STACK, environment=environment(home, port)) as stack:
        read_line(stack, "Ctrl-C")


def test_uses_the_servers_that_the_environment_names_and_starts_none(home: Path) -> None:
    named = {"DATABASE_URL": "postgres://somebody@db.example/catalyst", "REDIS_URL": "redis://redis.example/0"}
    with running(STACK, environment=environment(home, free_port()) | named) as stack:
        line = read_line(stack, "web pid")

        assert line.endswith("postgres://somebody@db.example/catalyst redis://redis.example/0")
        assert server_pids(home) == []
        assert not (home / "postgres").exists()


def test_refuses_a_taken_port_by_its_number(home: Path) -> None:
    with taken_port() as port, running(STACK, environment=environment(home, port)) as stack:
        refusal = read_line(stack, "Catalyst cannot run")

        assert f"Port {port} is taken by another program" in refusal
        assert f"CATALYST_PORT={port + 1} make run" in refusal
        assert stack.wait(timeout=5) == 1
        assert not (home / "postgres").exists()


@pytest.mark.parametrize("port", ["eighty", "-1", "8000x", "٨٠"])
def test_refuses_a_port_that_is_no_number(home: Path, port: str) -> None:
    with running(STACK, environment=environment(home, 1) | {"CATALYST_PORT": port}) as stack:
        assert "a port is a number from 1 to 65535" in read_line(stack, "Catalyst cannot run")
        assert stack.wait(timeout=5) == 1


def test_refuses_a_second_stack_on_the_same_data(home: Path) -> None:
    with running(STACK, environment=environment(home, free_port())) as first:
        read_line(first, "Ctrl-C")
        with running(STACK, environment=environment(home, free_port())) as second:
            refusal = read_line(second, "Catalyst cannot run")

            assert f"Catalyst already runs on the data folder {home} (process {first.pid})" in refusal
            assert second.wait(timeout=5) == 1
        assert not are_gone(server_pids(home)[:1])


def test_says_how_much_room_is_missing(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    megabyte = 1024**2

    check_disk(tmp_path, needed=megabyte)
    with pytest.raises(LocalStackError, match=r"MB are needed. Free \d+ MB") as refusal:
        check_disk(tmp_path, needed=free + 500 * megabyte)
    assert str(tmp_path) in str(refusal.value)


def test_refuses_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(LocalStackError, match="Choose another one with CATALYST_HOME"):
        check_home(tmp_path / "file" / "home")


def test_refuses_an_old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))

    with pytest.raises(LocalStackError, match=r"needs Python 3.11 or newer; .* is 3.10.4"):
        check_python()
