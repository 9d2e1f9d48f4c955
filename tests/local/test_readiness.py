"""The health pages with real servers behind them, without the rest of Catalyst."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catalyst.local.embedded import EmbeddedServer
from catalyst.local.ports import free_port
from catalyst.local.postgres import start_postgres
from catalyst.local.valkey import start_valkey
from tests.local.programs import ROOT

ASK = """
import json, sys, django
from django.conf import settings
port, redis_url, beating, page = sys.argv[1:]
settings.configure(
    SECRET_KEY="for this test only",
    REDIS_URL=redis_url,
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": port,
                           "USER": "catalyst", "NAME": "catalyst"}},
)
django.setup()
from django.test import RequestFactory
from catalyst.core.http import health, heartbeat
for name in json.loads(beating):
    heartbeat.beat(name)
answer = getattr(health, page)(RequestFactory().get("/" + page))
print(json.dumps([answer.status_code, json.loads(answer.content)]))
"""


@contextmanager
def running(server: EmbeddedServer) -> Iterator[EmbeddedServer]:
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def postgres(home: Path) -> Iterator[EmbeddedServer]:
    with running(start_postgres(home / "postgres", log=home / "postgres.log", durable=False)) as server:
        yield server


@pytest.fixture
def valkey(home: Path) -> Iterator[EmbeddedServer]:
    with running(start_valkey(home / "valkey", log=home / "valkey.log")) as server:
        yield server


def ask(port: int, redis_url: str, beating: list[str], page: str = "readyz") -> tuple[int, dict[str, object]]:
    arguments = [str(port), redis_url, json.dumps(beating), page]
    done = subprocess.run(
        [sys.executable, "-c", ASK, *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    status, body = json.loads(done.stdout)
    return status, body


def test_is_ready_when_everything_works(postgres: EmbeddedServer, valkey: EmbeddedServer) -> None:
    assert ask(postgres.port, valkey.url, ["worker", "beat", "relay"]) == (200, {"status": "ready", "failing": []})


def test_names_the_processes_that_do_not_beat(postgres: EmbeddedServer, valkey: EmbeddedServer) -> None:
    assert ask(postgres.port, valkey.url, ["beat"]) == (
        503,
        {"status": "unavailable", "failing": ["worker", "relay"]},
    )


def test_names_the_database(valkey: EmbeddedServer) -> None:
    assert ask(free_port(), valkey.url, ["worker", "beat", "relay"]) == (
        503,
        {"status": "unavailable", "failing": ["database"]},
    )


def test_names_redis_and_a_beat_does_not_fail_without_it(postgres: EmbeddedServer) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}/0"

    assert ask(postgres.port, nowhere, ["worker"]) == (503, {"status": "unavailable", "failing": ["redis"]})


def test_is_alive_though_nothing_else_is() -> None:
    assert ask(free_port(), f"redis://127.0.0.1:{free_port()}/0", [], "healthz") == (200, {"status": "ok"})
