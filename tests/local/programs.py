"""Small programs that the tests of the local stack start, and looks at what became of them."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from catalyst.local.ports import free_port
from catalyst.local.runtime import is_process_alive

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def running(
    source: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run Python source as a program of its own, with the checkout importable; it does not outlive the block."""
    program = subprocess.Popen(
        [sys.executable, "-u", "-c", textwrap.dedent(source), *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield program
    finally:
        program.kill()
        program.communicate()


def read_line(program: subprocess.Popen[str], containing: str) -> str:
    """Read the program's output up to a line with this text and return that line."""
    assert program.stdout is not None
    seen = ""
    for line in program.stdout:
        seen += line
        if containing in line:
            return line.strip()
    raise AssertionError(f"The program ended without writing {containing!r}:\n{seen}")


def becomes_true(condition: Callable[[], bool], *, within: float = 10.0) -> bool:
    """Say whether the condition holds before the time is over."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def are_gone(pids: list[int]) -> bool:
    return not any(is_process_alive(pid) for pid in pids)


def kill_hard(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@contextmanager
def taken_port() -> Iterator[int]:
    """Lend a port on which somebody else already listens."""
    with socket.create_server(("127.0.0.1", free_port())) as server:
        yield int(server.getsockname()[1])
