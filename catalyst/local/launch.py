"""The way from nothing to a running stack: checks, servers, preparing commands, processes, welcome."""

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from catalyst.local.embedded import EmbeddedServer
from catalyst.local.errors import LocalStackError
from catalyst.local.logs import last_lines
from catalyst.local.ports import free_port
from catalyst.local.postgres import start_postgres
from catalyst.local.processes import ProcessSpec
from catalyst.local.runtime import read_services, record_service
from catalyst.local.secrets import local_secret
from catalyst.local.stack import ROOT, Configuration, card_page, manage, secret_store
from catalyst.local.supervisor import Supervisor
from catalyst.local.tether import tie_to_parent
from catalyst.local.valkey import start_valkey

_READY_SECONDS = 180.0
_REMINDER_SECONDS = 30.0
_ASK_SECONDS = 0.5


def start_servers(home: Path) -> list[EmbeddedServer]:
    """Start the embedded servers that the environment does not name, and write down where they listen."""
    known = read_services(home)
    servers: list[EmbeddedServer] = []
    try:
        for variable, name, start in (
            ("DATABASE_URL", "postgres", start_postgres),
            ("REDIS_URL", "valkey", start_valkey),
        ):
            if not os.environ.get(variable):
                port = known[name].port if name in known else None
                servers.append(start(home / name, log=home / "logs" / f"{name}.log", port=port))
    except BaseException:
        stop_servers(servers)
        raise
    for server in servers:
        record_service(home, server.name, port=server.port, pid=server.process.pid, url=server.url)
    return servers


def stop_servers(servers: list[EmbeddedServer]) -> None:
    """Stop the servers, the last one first."""
    for server in reversed(servers):
        server.stop(within=1.5)


def child_environment(configuration: Configuration, servers: list[EmbeddedServer]) -> dict[str, str]:
    """Return what every process of the stack finds in its environment."""
    environment = dict(os.environ)
    environment.setdefault("DJANGO_SETTINGS_MODULE", "catalyst.settings.dev")
    environment |= {
        "CATALYST_HOME": str(configuration.home),
        "CATALYST_PORT": str(configuration.port),
        "PYTHONUNBUFFERED": "1",
    }
    variables = {"postgres": "DATABASE_URL", "valkey": "REDIS_URL"}
    return environment | {variables[server.name]: server.url for server in servers}


def plan_card_page(configuration: Configuration, environment: dict[str, str]) -> ProcessSpec | None:
    """Return the stand-in for the card page and point the environment at it.

    ``None`` when ``STRIPE_API_BASE`` is given; given and empty it means Stripe itself.
    """
    if "STRIPE_API_BASE" in os.environ:
        return None
    known = read_services(configuration.home).get("cards")
    port = free_port(known.port if known else None)
    secret = f"whsec_{local_secret(configuration.home, 'sandbox-webhook')}"
    address = f"http://127.0.0.1:{port}"
    environment |= {"STRIPE_API_BASE": address, "CATALYST_SANDBOX_WEBHOOK_SECRET": secret}
    record_service(configuration.home, "cards", port=port, pid=os.getpid(), url=address)
    return card_page(configuration, port=port, webhook_secret=secret)


def plan_secret_store(configuration: Configuration, environment: dict[str, str]) -> ProcessSpec | None:
    """Return the stand-in for the secret store and point the environment at it.

    ``None`` when ``SECRET_STORE`` is given; given and empty it means that there is none.
    """
    if "SECRET_STORE" in os.environ:
        return None
    known = read_services(configuration.home).get("secrets")
    port = free_port(known.port if known else None)
    address = f"http://127.0.0.1:{port}"
    environment |= {
        "SECRET_STORE": "openbao",
        "SECRET_STORE_URL": address,
        "SECRET_STORE_TOKEN": local_secret(configuration.home, "sandbox-secret-store"),
    }
    record_service(configuration.home, "secrets", port=port, pid=os.getpid(), url=address)
    return secret_store(configuration, port=port)


def prepare(name: str, arguments: tuple[str, ...], environment: Mapping[str, str]) -> None:
    """Run one management command to its end.

    :raises LocalStackError: it failed; the message holds its last lines.
    """
    done = subprocess.run(
        manage(*arguments),
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        preexec_fn=tie_to_parent(signal.SIGKILL),
    )
    if done.returncode != 0:
        raise LocalStackError(f"Failed: {name} (manage.py {arguments[0]}):\n{last_lines(done.stdout, 30)}")


def wait_until_ready(supervisor: Supervisor, configuration: Configuration) -> bool:
    """Look after the processes until ``/readyz`` answers 200; say ``False`` when asked to stop before.

    :raises LocalStackError: a process died for good, or readiness never came.
    """
    began = time.monotonic()
    asked, reminded = 0.0, began

    def is_ready() -> bool:
        nonlocal asked, reminded
        now = time.monotonic()
        # Each question makes the web server log, and each logged line brings us back here at once.
        if now - asked < _ASK_SECONDS:
            return False
        asked = now
        status, state = ask_readiness(configuration)
        if status != http.HTTPStatus.OK and now - began > _READY_SECONDS:
            raise LocalStackError(f"Catalyst is not ready after {_READY_SECONDS:.0f} s: {state}.")
        if status != http.HTTPStatus.OK and now - reminded > _REMINDER_SECONDS:
            reminded = now
            supervisor.say(f"Not ready after {now - began:.0f} s, still waiting: {state}.")
        return status == http.HTTPStatus.OK

    supervisor.run(until=is_ready)
    return not supervisor.is_stopping


def ask_readiness(configuration: Configuration) -> tuple[int, str]:
    """Return the status of ``/readyz`` (0 without an answer) and what it names as failing."""
    connection = http.client.HTTPConnection("127.0.0.1", configuration.port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, f"the web server does not answer ({error})"
    finally:
        connection.close()
    try:
        failing = ", ".join(json.loads(body)["failing"])
    except (ValueError, KeyError, TypeError):
        failing = f"/readyz answered {response.status}"
    return response.status, f"failing: {failing}"


def welcome_text(configuration: Configuration, *, seconds: float) -> str:
    """Return what a person needs to know once everything works."""
    home = configuration.home
    try:
        how_to_sign_in = (home / "run" / "welcome.txt").read_text().rstrip()
    except OSError:
        how_to_sign_in = ""
    database = home / "postgres"
    at = f" (the database: {database.resolve()})" if database.is_symlink() else ""
    parts = [f"Catalyst is ready after {seconds:.1f} s: {configuration.address}"]
    parts += [how_to_sign_in] if how_to_sign_in else []
    parts += [f"Data: {home}{at}\nLogs: {home / 'logs'}\nCtrl-C stops everything."]
    return "\n" + "\n\n".join(parts) + "\n"
