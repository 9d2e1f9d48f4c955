"""What Catalyst on one machine consists of: the preparing commands and the table of processes."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from catalyst.local.errors import LocalStackError
from catalyst.local.processes import ProcessSpec

ROOT = Path(__file__).resolve().parent.parent.parent

Preparations = Sequence[tuple[str, tuple[str, ...]]]

#: Commands that run to their end, in this order, before any process starts: what is done and how.
PREPARATIONS: Preparations = (("preparing database, catalogue and demo", ("prepare_local",)),)


@dataclass(frozen=True)
class Configuration:
    """What the person at the keyboard decides, by environment variables."""

    home: Path
    host: str
    port: int

    @property
    def address(self) -> str:
        shown = "localhost" if self.host in ("127.0.0.1", "0.0.0.0") else self.host
        return f"http://{shown}:{self.port}/"

    @property
    def local_address(self) -> str:
        """The web server as seen from this machine; always with the name that the settings allow."""
        return f"http://127.0.0.1:{self.port}"


#: Makes the table of processes; the second argument are the stand-ins for what others run, where there are any.
ProcessTable = Callable[[Configuration, Sequence[ProcessSpec]], Sequence[ProcessSpec]]


def read_configuration() -> Configuration:
    """:raises LocalStackError: a variable makes no sense."""
    port = os.environ.get("CATALYST_PORT") or "8000"
    if not port.isascii() or not port.isdecimal():
        raise LocalStackError(f"CATALYST_PORT is {port!r}; a port is a number from 1 to 65535.")
    return Configuration(
        home=Path(os.environ.get("CATALYST_HOME") or ROOT / "var").resolve(),
        host=os.environ.get("CATALYST_HOST") or "127.0.0.1",
        port=int(port),
    )


def manage(*arguments: str) -> list[str]:
    """Return the command line of a management command."""
    return [sys.executable, str(ROOT / "manage.py"), *arguments]


def process_table(configuration: Configuration, stand_ins: Sequence[ProcessSpec]) -> list[ProcessSpec]:
    """Return every process of the stack. Only the web server may not die: without it there is nothing to look at."""
    python, home = sys.executable, configuration.home
    web = [python, "-m", "uvicorn", "catalyst.asgi:application", "--host", configuration.host]
    web += ["--port", str(configuration.port), "--no-access-log", "--log-level", "warning"]
    # Open event streams would keep the server from stopping.
    web += ["--timeout-graceful-shutdown", "2"]
    # Threads: one process, so killing it leaves no pool children behind.
    # A fresh machine or container is root's; Celery would complain about that at length at every start.
    celery = [python, "-W", "ignore:You're running the worker", "-m", "celery", "--quiet", "-A", "catalyst"]
    worker = [*celery, "worker", "--pool", "threads", "--concurrency", "4"]
    worker += ["--loglevel", "INFO", "--without-gossip", "--without-mingle"]
    beat = [*celery, "beat", "--loglevel", "WARNING", "--pidfile", ""]
    beat += ["--schedule", str(home / "run" / "celerybeat-schedule")]
    return [
        ProcessSpec("web", web, restartable=False),
        ProcessSpec("worker", worker),
        ProcessSpec("beat", beat),
        ProcessSpec("relay", manage("relay")),
        ProcessSpec("reconciler", manage("sandbox_reconciler")),
        *stand_ins,
    ]


def card_page(configuration: Configuration, *, port: int, webhook_secret: str) -> ProcessSpec:
    """Return the stand-in for the card page. It signs its webhooks with the secret that the demo stores."""
    arguments = ["--port", str(port), "--webhook", f"{configuration.local_address}/webhooks/stripe/"]
    arguments += ["--webhook-secret", webhook_secret]
    arguments += ["--state", str(configuration.home / "sandbox-stripe" / "state.sqlite3")]
    return ProcessSpec("cards", [sys.executable, "-m", "catalyst.local.sandbox_stripe", *arguments])


def secret_store(configuration: Configuration, *, port: int) -> ProcessSpec:
    """Return the stand-in for the secret store. Its token comes by the environment, where no list of processes is."""
    arguments = ["--port", str(port), "--state", str(configuration.home / "sandbox-secrets" / "state.sqlite3")]
    return ProcessSpec("secrets", [sys.executable, "-m", "catalyst.local.sandbox_secrets", *arguments])
