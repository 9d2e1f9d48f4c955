"""One supervised process: how it is started, watched, restarted, and stopped."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from catalyst.local.logs import open_log
from catalyst.local.tether import tie_to_parent

_RESTARTS = 3
_RESTART_WINDOW_SECONDS = 60.0
_RESTART_DELAY_SECONDS = 1.0
_REMEMBERED_LINES = 15


@dataclass(frozen=True)
class ProcessSpec:
    """A line of the process table.

    A ``restartable`` process may die now and then: its work is found again by a sweep, so a crash costs latency only.
    """

    name: str
    command: Sequence[str]
    restartable: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)


class Process:
    """A running ``ProcessSpec``. Its output, both streams, is handed on line by line and kept in a log file."""

    def __init__(self, spec: ProcessSpec, *, environment: Mapping[str, str], folder: Path, log: Path) -> None:
        self.spec = spec
        self.output_ended = False
        self.last_lines: deque[str] = deque(maxlen=_REMEMBERED_LINES)
        self._environment = {**environment, **spec.environment, "CATALYST_PROCESS": spec.name}
        self._folder = folder
        self._log = open_log(log)
        self._partial = b""
        self._starts: deque[float] = deque(maxlen=_RESTARTS + 1)
        self._child: subprocess.Popen[bytes] | None = None
        self._restart_at: float | None = None

    @property
    def output(self) -> IO[bytes]:
        """The reading end of the process's output."""
        assert self._child is not None
        assert self._child.stdout is not None
        return self._child.stdout

    @property
    def exit_text(self) -> str:
        """How the process ended, in words."""
        code = self._child.returncode if self._child else None
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def start(self) -> None:
        """Start the process in a session of its own. It is killed when we are, so that no orphan holds on."""
        self._starts.append(time.monotonic())
        self._restart_at = None
        self.output_ended = False
        self.last_lines.clear()
        self._child = subprocess.Popen(
            self.spec.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            cwd=self._folder,
            start_new_session=True,
            # Every effect is safe under a sudden death, so the surest signal is the right one here.
            preexec_fn=tie_to_parent(signal.SIGKILL),
        )

    def has_open_output(self) -> bool:
        """Say whether the process was ever started and its output is still held."""
        return self._child is not None and not self.output.closed

    def has_output(self) -> bool:
        """Say whether reading would bring something, be it the end."""
        return bool(select.select([self.output], [], [], 0)[0])

    def read_lines(self) -> list[str]:
        """Return the complete lines that have arrived; at the end of the output also an unfinished one."""
        data = os.read(self.output.fileno(), 65536)
        self._log.write(data)
        self._log.flush()
        *complete, self._partial = (self._partial + data).split(b"\n")
        if not data:
            self.output_ended = True
            if self._partial:
                complete, self._partial = [self._partial], b""
        lines = [line.decode(errors="replace").rstrip("\r") for line in complete]
        self.last_lines.extend(lines)
        return lines

    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def may_restart(self) -> bool:
        """Say whether it has not died too often lately."""
        recent = [moment for moment in self._starts if moment > time.monotonic() - _RESTART_WINDOW_SECONDS]
        return self.spec.restartable and len(recent) <= _RESTARTS

    def schedule_restart(self) -> None:
        self._restart_at = time.monotonic() + _RESTART_DELAY_SECONDS

    def is_restart_due(self) -> bool:
        return self._restart_at is not None and time.monotonic() >= self._restart_at

    def is_waiting_for_restart(self) -> bool:
        return self._restart_at is not None

    def ask_to_stop(self) -> None:
        if self._child is not None and self.is_running():
            self._child.send_signal(signal.SIGTERM)

    def kill_group(self) -> None:
        """Kill the process and whatever it has started and left behind."""
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left (macOS says the latter)
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def close(self) -> None:
        """Let go of the log file."""
        self._log.close()
