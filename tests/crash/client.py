"""The test's end of the crash server."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from django.conf import settings
from django.db import connection

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended: ``signal`` 0 means that it lived, and ``answer`` is what its caller saw."""

    signal: int
    answer: dict[str, Any] | None

    @property
    def is_killed(self) -> bool:
        return self.signal == signal.SIGKILL


class CrashServer:
    """A process with the project loaded, which forks a child per job."""

    def __init__(self) -> None:
        database = connection.settings_dict
        user, place = f"{database['USER']}:{database['PASSWORD']}", f"{database['HOST']}:{database['PORT']}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.server"],
            cwd=_ROOT,
            env={**os.environ, "DATABASE_URL": f"postgres://{user}@{place}/{database['NAME']}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == {"ready": True}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def post(self, path: str, body: Any, *, kill_at: str = "", nth: int = 1, way: str = "", **headers: str) -> Ending:
        """Send a POST that dies at the nth hit of ``kill_at``."""
        job = {"do": "post", "path": path, "body": json.dumps(body), "headers": headers, "way": way}
        return self._run(job, kill_at, nth)

    def post_raw(self, path: str, body: bytes, headers: dict[str, str], *, kill_at: str = "") -> Ending:
        """Send signed bytes as they are."""
        return self._run({"do": "post", "path": path, "body": body.decode(), "headers": headers}, kill_at, 1)

    def refund(self, invoice_id: int, amount_minor: int | None, key: str, *, kill_at: str = "") -> Ending:
        """Refund an invoice in a process that dies at the first hit of ``kill_at``."""
        return self._run({"do": "refund", "invoice": invoice_id, "amount": amount_minor, "key": key}, kill_at, 1)

    def sweep(self, *, kill_at: str = "") -> Ending:
        """Run the sweepers once; they die at the first hit of ``kill_at``."""
        return self._run({"do": "sweep"}, kill_at, 1)

    def _run(self, job: dict[str, Any], kill_at: str, nth: int) -> Ending:
        failpoint = f"{kill_at}=kill:{nth}" if kill_at else ""
        # The stand-in of the processor is the test's own, at an address of its own.
        changed = {"STRIPE_API_BASE": settings.STRIPE_API_BASE, "PUBLIC_URL": settings.PUBLIC_URL}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({**job, "failpoint": failpoint, "settings": changed}) + "\n")
        self._process.stdin.flush()
        said = self._read()
        if "error" in said:
            raise AssertionError(said["error"])
        return Ending(said["signal"], said["answer"])

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the crash server died"
        return json.loads(line)
