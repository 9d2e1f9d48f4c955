"""The servers of one run: a Postgres and a Valkey of their own, durable as in production, and the product over HTTP."""

import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from catalyst.local.embedded import EmbeddedServer
from catalyst.local.ports import free_port
from catalyst.local.postgres import start_postgres
from catalyst.local.postgres_place import server_files, server_user
from catalyst.local.tether import tie_to_parent
from catalyst.local.valkey import start_valkey

ROOT = Path(__file__).resolve().parent.parent
#: Data, logs and the peer's environment; everything but the peer's environment is made anew by each run.
HOME = ROOT / "var" / "bench"
WORKERS = 2
_READY_SECONDS = 60.0
#: Fixed and public: nothing of a benchmark is secret, and runs stay comparable.
_KEY = base64.b64encode(b"a benchmark has no secrets to keep"[:32]).decode()


@dataclass(frozen=True)
class Stack:
    """What the rows need to know of the running servers. ``facts`` is what the seed wrote down about its data."""

    postgres: EmbeddedServer
    environment: Mapping[str, str]
    pgbench: Path
    port: int
    facts: Mapping[str, Any]


@contextlib.contextmanager
def running_stack() -> Iterator[Stack]:
    """Start servers with fresh, migrated, seeded data; stop them at the end."""
    _remove_data(HOME / "postgres")
    (HOME / "logs").mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        postgres = start_postgres(HOME / "postgres", log=HOME / "logs" / "postgres.log", durable=True)
        stack.callback(_remove_data, HOME / "postgres")
        stack.callback(postgres.stop)
        valkey = start_valkey(HOME / "valkey", log=HOME / "logs" / "valkey.log")
        stack.callback(valkey.stop)
        environment = _environment(postgres.url, valkey.url)
        owner = {**environment, "CATALYST_DB_ROLE": ""}
        _prepare(environment, owner)
        facts = json.loads(run_inside("bench.seed", owner))
        port = free_port()
        web = serve(product_command(port), environment, port=port, ready_path="/healthz")
        stack.callback(web.terminate)
        yield Stack(postgres, environment, server_files(server_user()) / "bin" / "pgbench", port, facts)


def refresh_statistics(stack: Stack) -> None:
    """Do at once what autovacuum does within a minute, for both sides.

    The tables are empty at first, and a connection that lives on keeps the plans of that moment: sequential scans,
    which grow with every sale. ANALYZE gives Postgres the numbers and makes every connection plan again.
    """
    with psycopg.connect(stack.postgres.url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def run_inside(module: str, environment: Mapping[str, str], *arguments: str) -> str:
    """Run ``module.main(*arguments)`` inside the project's Django and return what it printed last.

    :raises subprocess.CalledProcessError: it failed; its errors are on the terminal.
    """
    command = [sys.executable, "-m", "bench.inside", module, *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def product_command(port: int) -> list[str]:
    """Pages and API as production serves them: WSGI workers, persistent connections, no access log."""
    return [sys.executable, "-m", "granian", *worker_options(port), "catalyst.wsgi:application"]


def worker_options(port: int) -> list[str]:
    """One thread for each worker: two workers keep two cores busy, and more threads only fight for the interpreter."""
    return [
        *("--interface", "wsgi", "--workers", str(WORKERS), "--blocking-threads", "1"),
        *("--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"),
    ]


def serve(
    command: Sequence[str], environment: Mapping[str, str], *, port: int, ready_path: str, cwd: Path = ROOT
) -> subprocess.Popen[bytes]:
    """Start an HTTP server and wait until it answers ``ready_path`` with 200.

    :raises RuntimeError: it does not answer; its log stands below ``var/bench/logs``.
    """
    log = HOME / "logs" / f"web-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=cwd,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=tie_to_parent(signal.SIGTERM),
        )
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", ready_path, headers={"X-Forwarded-Proto": "https"})
            if connection.getresponse().status == http.HTTPStatus.OK:
                return process
        time.sleep(0.1)
    process.terminate()
    raise RuntimeError(f"The server did not answer; see {log.relative_to(ROOT)}.")


def _environment(database_url: str, redis_url: str) -> dict[str, str]:
    """Production's own settings, with everything they demand."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "catalyst.settings.prod",
        "CATALYST_HOME": str(HOME),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ALLOWED_HOSTS": "127.0.0.1,bench.example",
        "SECRET_KEY": "bench-" + _KEY * 2,
        "CATALYST_MASTER_KEYS": _KEY,
        "VOUCHER_PEPPER": _KEY,
        "CATALYST_LOG_FORMAT": "json",
        # No line for each request on either side: the peer writes none.
        "CATALYST_LOG_LEVEL": "WARNING",
        "STRIPE_API_BASE": "",
    }


def _prepare(environment: Mapping[str, str], owner: Mapping[str, str]) -> None:
    """Migrate as the owner, then load the shipped catalogue with the application's rights."""
    manage = [sys.executable, str(ROOT / "manage.py")]
    sovereign = ["setup_sovereign", "--name", "Bench", "--domain", "bench.example"]
    for arguments, variables in (
        (["migrate", "--no-input", "--verbosity", "0"], owner),
        (sovereign, environment),
        (["sync_catalog"], environment),
    ):
        subprocess.run([*manage, *arguments], env=variables, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _remove_data(folder: Path) -> None:
    """Remove a server's data, also where it had to be placed elsewhere."""
    if folder.is_symlink():
        shutil.rmtree(folder.resolve().parent, ignore_errors=True)
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
