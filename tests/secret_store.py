"""The sandbox secret store for tests: real HTTP, and faults by script."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from catalyst.core.secret_store import KeyValueStore, Login
from catalyst.local.sandbox_secrets.kv import KeyValues
from catalyst.local.sandbox_secrets.server import SecretsServer

TOKEN = "test-only-token"


class SandboxStore:
    """A running store: the server for its faults, and short ways to what stands in it."""

    def __init__(self, server: SecretsServer) -> None:
        self.server = server
        self.entries = server.entries

    def data(self, path: str) -> dict[str, Any]:
        found = self.entries.read(path)
        return dict(found["data"]) if found and found["data"] else {}

    def version(self, path: str) -> int:
        found = self.entries.read(path)
        return int(found["metadata"]["version"]) if found else 0

    def driver(self, **changes: Any) -> KeyValueStore:
        asked = {"mount": "secret", **changes}
        return KeyValueStore(asked.pop("url", self.server.url), asked.pop("login", Login(TOKEN)), **asked)

    def forget(self) -> None:
        """Begin anew for the next test."""
        self.server.entries.close()
        self.server.entries = self.entries = KeyValues()
        self.server.faults.clear()
        self.server.roles.clear()
        self.server.lent.clear()
        self.server.is_sealed = False
        self.server.before_write = lambda path: None


@contextmanager
def running_store() -> Iterator[SandboxStore]:
    """Run a sandbox on a free port."""
    server = SecretsServer(0, KeyValues(), token=TOKEN)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield SandboxStore(server)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
