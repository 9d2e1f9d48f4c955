"""Run the few outside programs there are: fixed arguments, our own environment, a deadline for the whole group."""

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

DEADLINE_SECONDS: Final = 30.0


class Program:
    """A running program in a process group of its own, killed as a whole when its time is over or nobody reads it."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        stdin: IO[bytes] | None = None,
        stderr: int = subprocess.DEVNULL,
        deadline: float = DEADLINE_SECONDS,
    ) -> None:
        self._lock = threading.Lock()
        self.is_late = False
        self._process = subprocess.Popen(
            list(arguments),
            cwd=folder,
            env=dict(environment),
            stdin=stdin if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
        self._timer = threading.Timer(deadline, self._expire)
        self._timer.daemon = True
        self._timer.start()

    @property
    def output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def finish(self) -> int:
        """Kill what still runs, reap it and return the exit code; calling it again changes nothing."""
        self._timer.cancel()
        self._kill()
        self.output.close()
        with self._lock:
            return self._process.wait()

    def wait(self) -> int:
        """Wait for the end and return the exit code; the deadline still holds."""
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        return self.finish()

    def _expire(self) -> None:
        self.is_late = True
        self._kill()

    def _kill(self) -> None:
        # The lock keeps the number ours: it cannot be reaped, and given to somebody else, between look and kill.
        with self._lock:
            if self._process.returncode is None:
                try:
                    os.killpg(self._process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    return
