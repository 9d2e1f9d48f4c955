"""Run several processes as one: readable logs, one stop for all, and a clear word when one of them dies."""

import selectors
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TextIO

from catalyst.local.embedded import EmbeddedServer
from catalyst.local.errors import LocalStackError
from catalyst.local.logs import last_lines, read_since
from catalyst.local.processes import Process, ProcessSpec

_TICK_SECONDS = 0.2
#: Together with the embedded servers' own stop this stays below ten seconds.
_STOP_SECONDS = 6.0
_COLORS = (36, 33, 32, 35, 34, 96, 93, 92)


class Supervisor:
    """Owns the processes of one table and the embedded servers they need.

    It has one thread on purpose: children are tied to the thread that starts them, and forking stays safe.
    """

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        *,
        environment: Mapping[str, str],
        folder: Path,
        logs: Path,
        servers: Sequence[EmbeddedServer] = (),
        out: TextIO = sys.stdout,
    ) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._processes = [
            Process(spec, environment=environment, folder=folder, log=logs / f"{spec.name}.log") for spec in specs
        ]
        self._servers = servers
        self._out = out
        self._width = max((len(spec.name) for spec in specs), default=0)
        self._colors = {spec.name: _COLORS[index % len(_COLORS)] for index, spec in enumerate(specs)}
        self._selector = selectors.DefaultSelector()
        self._stop_count = 0

    @property
    def is_stopping(self) -> bool:
        return self._stop_count > 0

    def request_stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Stop at the next tick; asked a second time, stop without waiting. Serves as a signal handler."""
        self._stop_count += 1

    def start(self) -> None:
        """Start every process of the table. From here on a signal stops all of them in order."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.request_stop)
        for process in self._processes:
            self._launch(process)

    def run(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Hand on output and look after the processes until asked to stop, or until the condition holds.

        :raises LocalStackError: a process that everything needs has died, or one dies again and again.
        """
        while not self.is_stopping:
            self._pump(_TICK_SECONDS)
            self._look_after_servers()
            for process in self._processes:
                self._look_after(process)
            if until():
                return

    def stop(self) -> None:
        """Stop everything, politely first. Safe to repeat; nothing is left running afterwards."""
        for process in self._processes:
            process.ask_to_stop()
        deadline = time.monotonic() + _STOP_SECONDS
        while self._running() and time.monotonic() < deadline and self._stop_count < 2:
            self._pump(0.05)
        for process in self._running():
            self.say(f"{process.spec.name} did not stop in time and was killed.")
        for process in self._processes:
            process.kill_group()
            self._drain(process)
            process.close()
        self._selector.close()
        self._processes = []

    def say(self, text: str) -> None:
        """Print a line of our own."""
        self._print("catalyst", 1, text)

    def _running(self) -> list[Process]:
        return [process for process in self._processes if process.is_running()]

    def _launch(self, process: Process) -> None:
        try:
            process.start()
        except OSError as error:
            raise LocalStackError(f"{process.spec.name} could not be started: {error}.") from error
        self._selector.register(process.output, selectors.EVENT_READ, process)

    def _pump(self, seconds: float) -> None:
        """Print what the processes have written, waiting at most so long for the first of it."""
        if not self._selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._selector.select(seconds):
            process: Process = key.data
            self._print_lines(process)
            if process.output_ended:
                self._selector.unregister(key.fileobj)

    def _look_after(self, process: Process) -> None:
        if process.is_restart_due():
            self._launch(process)
        if process.is_running() or process.is_waiting_for_restart():
            return
        process.kill_group()  # what it has left behind would hold on to its output
        self._drain(process)
        words = "\n".join(process.last_lines) or "(it wrote nothing)"
        told = f"{process.spec.name} {process.exit_text}. Its last lines:\n{words}"
        if not process.may_restart():
            raise LocalStackError(f"{told}\nEverything is stopped, because the rest does not work without it.")
        self.say(f"{told}\nIt is started again.")
        process.schedule_restart()

    def _drain(self, process: Process) -> None:
        """Print the rest of a dead process's output and let go of it. Safe to repeat."""
        if not process.has_open_output():
            return
        if process.output.fileno() in self._selector.get_map():
            self._selector.unregister(process.output)
        while not process.output_ended and process.has_output():
            self._print_lines(process)
        process.output.close()

    def _print_lines(self, process: Process) -> None:
        for line in process.read_lines():
            self._print(process.spec.name, self._colors[process.spec.name], line)

    def _look_after_servers(self) -> None:
        for server in self._servers:
            if not server.is_running():
                words = last_lines(read_since(server.log, 0))
                raise LocalStackError(f"{server.name} has ended. Its log {server.log} ends with:\n{words}")

    def _print(self, name: str, color: int, text: str) -> None:
        label = f"{name:<{max(self._width, 8)}} |"
        if self._out.isatty():
            label = f"\x1b[{color}m{label}\x1b[0m"
        for line in text.splitlines() or [""]:
            print(label, line, file=self._out, flush=True)
