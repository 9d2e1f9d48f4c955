"""Debian's ``docker-registry`` as a server of the test run, started when the first test asks for it."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from catalyst.local.embedded import spawn
from catalyst.local.logs import last_lines
from catalyst.local.ports import free_port
from marketplace.selectors import change_costs
from tests.marketplace.oci_shelf import Shelf
from tests.services import temporary_home

_CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}, maintenance: {{uploadpurging: {{enabled: false}}}}}}
http: {{addr: "127.0.0.1:{port}"}}
{more}
"""


@dataclass(frozen=True, slots=True)
class RegistryServer:
    """A running registry: its address, and the folder in which its blobs lie."""

    host: str
    data: Path

    def tamper(self, digest: str, content: bytes) -> None:
        """Put other bytes in the place of a blob, as somebody with the disk can."""
        _kind, _colon, name = digest.partition(":")
        (self.data / f"docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data").write_bytes(content)


@contextmanager
def run_registry(more: str = "", **files: str) -> Iterator[RegistryServer]:
    """Run a registry of its own; ``more`` are lines of its configuration, ``files`` lie beside it."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.fail("These tests need Debian's docker-registry: sh catalyst/local/install.sh registry")
    with temporary_home() as home:
        port = free_port()
        for name, text in files.items():
            (home / name).write_text(text)
        words = _CONFIG.format(root=home / "data", port=port, more=more.format(home=home))
        (home / "config.yml").write_text(words)
        process = spawn(
            [program, "serve", home / "config.yml"],
            log=home / "registry.log",
            environment={"PATH": os.defpath},
            death_signal=signal.SIGTERM,
        )
        try:
            _wait(process, port, home / "registry.log")
            yield RegistryServer(f"127.0.0.1:{port}", home / "data")
        finally:
            process.terminate()
            process.wait(timeout=10)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    pytest.fail(f"docker-registry did not start: {last_lines(log.read_text())}")


@pytest.fixture(scope="session")
def registry_server() -> Iterator[RegistryServer]:
    """Lend an empty registry; each test has a folder of its own in it."""
    with run_registry() as server:
        yield server


@pytest.fixture
def shelf(registry_server: RegistryServer, request: pytest.FixtureRequest) -> Shelf:
    """Lend a folder of the registry that is this test's own."""
    return Shelf.of_test(registry_server.host, request.node.nodeid)


@pytest.fixture
def nothing_is_sold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Changes bring what they like, as if no app above sold anything."""
    monkeypatch.setattr(change_costs, "_sources", [])
    monkeypatch.setattr(change_costs, "_purchases", [])
