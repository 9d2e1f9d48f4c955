"""A pytest plugin: one embedded Postgres and one Valkey for the whole run (`-p tests.services`).

It is a plugin and not a conftest, because pytest-django reads the settings before any conftest is loaded. The servers
belong to the first pytest process; xdist's workers find their addresses in the environment they inherit. A variable
that is already set names a server of yours, which is then used.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catalyst.local.embedded import EmbeddedServer
from catalyst.local.postgres import start_postgres
from catalyst.local.valkey import start_valkey

_NO_SERVERS_FOR = {"--help", "-h", "--version", "-V", "--collect-only", "--co", "--fixtures", "--markers"}


class _Services:
    """The servers this process started, and the folder they live in."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.servers: list[EmbeddedServer] = []

    def start(self) -> None:
        if os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"):
            return
        self.folder = reachable_folder("catalyst-test-")
        if not os.environ.get("DATABASE_URL"):
            log = self.folder / "postgres.log"
            self.servers.append(start_postgres(self.folder / "postgres", log=log, durable=False))
            os.environ["DATABASE_URL"] = self.servers[-1].url
        if not os.environ.get("REDIS_URL"):
            self.servers.append(start_valkey(self.folder / "valkey", log=self.folder / "valkey.log"))
            os.environ["REDIS_URL"] = self.servers[-1].url

    def stop(self) -> None:
        for server in reversed(self.servers):
            server.stop()
        self.servers = []
        if self.folder is not None:
            remove_folder(self.folder)
            self.folder = None


_services = _Services()


def reachable_folder(prefix: str) -> Path:
    """Make a temporary folder that every user can pass through, as the server's unprivileged user must."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o711)
    return folder


def remove_folder(folder: Path) -> None:
    """Remove a folder of embedded servers, with the data that had to be placed elsewhere."""
    if (folder / "postgres").is_symlink():
        shutil.rmtree((folder / "postgres").resolve().parent, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Lend a data folder in which a test may start servers of its own."""
    home = reachable_folder("catalyst-home-")
    try:
        yield home
    finally:
        remove_folder(home)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(args: list[str]) -> Iterator[None]:
    """Start the servers before anybody reads the settings: a wrapper runs ahead of every plain hook."""
    try:
        if not _NO_SERVERS_FOR.intersection(args):
            _services.start()
        return (yield)
    except BaseException:  # pytest ends here and calls no other hook
        _services.stop()
        raise


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Stop what this process started."""
    _services.stop()
