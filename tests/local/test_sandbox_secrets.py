"""The secret store of one machine: it starts as a process, keeps what it has, and production does not have it."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalyst.core.secret_store import Entry, KeyValueStore, Login
from catalyst.local.launch import plan_secret_store
from catalyst.local.runtime import read_services
from catalyst.local.stack import Configuration

ROOT = Path(__file__).resolve().parents[2]
PATH = "org/acme/env/prod/wiki"
TOKEN = "a-token-of-this-test"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "catalyst.local.sandbox_secrets", *arguments]


@contextmanager
def running(state: Path) -> Iterator[KeyValueStore]:
    process = subprocess.Popen(
        command("--port", "0", "--state", str(state)),
        cwd=ROOT,
        env={**os.environ, "SECRET_STORE_TOKEN": TOKEN, "DJANGO_SETTINGS_MODULE": "catalyst.settings.dev"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address is not None
        yield KeyValueStore(address[0], Login(TOKEN), mount="secret")
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_it_keeps_what_it_has_for_its_owner_alone(tmp_path: Path) -> None:
    state = tmp_path / "secrets" / "state.sqlite3"
    with running(state) as store:
        assert store.write(PATH, {"a": "1"}, expected=0) == 1

    with running(state) as store:
        assert store.read(PATH) == Entry({"a": "1"}, 1)
    assert stat.S_IMODE(state.stat().st_mode) == 0o600


def test_production_does_not_have_it() -> None:
    environment = {**os.environ, "SECRET_STORE_TOKEN": TOKEN, "DJANGO_SETTINGS_MODULE": "catalyst.settings.prod"}

    done = subprocess.run(
        command("--port", "0"), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert (done.returncode, "refused" in done.stderr) == (2, True)


def test_production_sends_no_secret_in_plain() -> None:
    known = dict.fromkeys(("ALLOWED_HOSTS", "SECRET_KEY", "CATALYST_MASTER_KEYS", "VOUCHER_PEPPER"), "x")
    environment = {**os.environ, **known, "SECRET_STORE": "openbao", "SECRET_STORE_URL": "http://127.0.0.1:8200"}
    start = [sys.executable, "-c", "import catalyst.settings.prod"]

    done = subprocess.run(start, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert "SECRET_STORE_URL must begin with https://" in done.stderr


def test_make_run_has_one_and_says_where(tmp_path: Path) -> None:
    environment: dict[str, str] = {}

    planned = plan_secret_store(Configuration(tmp_path, "127.0.0.1", 8000), environment)

    assert planned is not None
    assert environment["SECRET_STORE"] == "openbao"
    assert environment["SECRET_STORE_URL"] == read_services(tmp_path)["secrets"].url
    assert environment["SECRET_STORE_TOKEN"] not in " ".join(planned.command)
