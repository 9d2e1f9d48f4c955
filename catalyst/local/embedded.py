"""What the embedded servers have in common: one process in a session of its own, a log file, an orderly stop."""

import fcntl
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from catalyst.local.errors import LocalStackError
from catalyst.local.logs import open_log
from catalyst.local.tether import tie_to_parent


@dataclass
class EmbeddedServer:
    """A running server. ``stop_signals`` are tried in order, politest first, then SIGKILL."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    url: str
    data: Path
    log: Path
    stop_signals: Sequence[signal.Signals]
    lock: IO[str]

    def is_running(self) -> bool:
        return self.process.poll() is None

    def stop(self, *, within: float = 6.0) -> None:
        """End the server and wait for it, at most ``within`` seconds for each signal. Safe to repeat."""
        for stop_signal in (*self.stop_signals, signal.SIGKILL):
            if not self.is_running():
                break
            self.process.send_signal(stop_signal)
            try:
                self.process.wait(timeout=within)
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()
        self.lock.close()


@dataclass(frozen=True)
class RunAs:
    """The system user a server runs as, where that is not ourselves."""

    name: str
    uid: int
    gid: int


def hold_folder(folder: Path, what: str) -> IO[str]:
    """Return an open, locked file that keeps every other process from starting the same server in this folder.

    The lock ends with the process, however it ends.

    :raises LocalStackError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / ".lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise LocalStackError(f"Another process already runs {what} in {folder}. Stop it first.") from None
    return lock


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: dict[str, str],
    death_signal: signal.Signals,
    run_as: RunAs | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server that writes to ``log`` and ends with us. Call from the main thread."""
    with open_log(log) as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment,
            start_new_session=True,
            preexec_fn=tie_to_parent(death_signal),
            user=run_as.uid if run_as else None,
            group=run_as.gid if run_as else None,
            extra_groups=[] if run_as else None,
        )
