"""What must be true of the machine before the stack starts; each refusal says what to do about it."""

import fcntl
import os
import shutil
import sys
from pathlib import Path
from typing import IO

from catalyst.local.errors import LocalStackError
from catalyst.local.ports import is_port_free

#: Postgres' own files, its first gigabyte of log, and room for repositories.
NEEDED_BYTES = 1024**3
_OLDEST_PYTHON = (3, 11)


def check_python() -> None:
    """:raises LocalStackError: Python is too old."""
    if sys.version_info < _OLDEST_PYTHON:
        has = ".".join(str(part) for part in sys.version_info[:3])
        raise LocalStackError(
            f"Catalyst needs Python 3.11 or newer; {sys.executable} is {has}. Install a newer one, remove .venv, "
            "and run: make run PYTHON=/path/to/python3"
        )


def check_home(home: Path) -> None:
    """Make the data folder.

    :raises LocalStackError: it cannot be made or written to.
    """
    try:
        for folder in (home / "run", home / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        if not os.access(home / "run", os.W_OK):
            raise PermissionError(13, "Permission denied", str(home / "run"))
    except OSError as error:
        raise LocalStackError(
            f"The data folder {home} cannot be used: {error.strerror}. Choose another one with CATALYST_HOME."
        ) from error


def check_disk(home: Path, *, needed: int = NEEDED_BYTES) -> None:
    """:raises LocalStackError: the disk that holds the data folder is nearly full."""
    free = shutil.disk_usage(home).free
    if free < needed:
        raise LocalStackError(
            f"The disk that holds {home} is full: {_megabytes(free)} MB are free, {_megabytes(needed)} MB are needed. "
            f"Free {_megabytes(needed - free)} MB, or choose a folder on another disk with CATALYST_HOME."
        )


def check_port(host: str, port: int) -> None:
    """:raises LocalStackError: another program listens on the port."""
    if not 1 <= port <= 65535:
        raise LocalStackError(f"CATALYST_PORT is {port}; a port is a number from 1 to 65535.")
    if not is_port_free(port, host):
        raise LocalStackError(
            f"Port {port} is taken by another program, or may not be used. Stop that program, or choose another port: "
            f"CATALYST_PORT={port + 1 if port < 65535 else 8000} make run"
        )


def claim_home(home: Path) -> IO[str]:
    """Return a locked file that marks this data folder as in use for as long as we live.

    :raises LocalStackError: a stack already runs on it.
    """
    claim = (home / "run" / "supervisor.lock").open("a+")
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        claim.seek(0)
        owner = claim.read().strip()
        claim.close()
        raise LocalStackError(
            f"Catalyst already runs on the data folder {home} (process {owner or 'unknown'}). Stop it first, or start "
            "a second one beside it with its own CATALYST_HOME and CATALYST_PORT."
        ) from None
    claim.truncate(0)
    claim.write(str(os.getpid()))
    claim.flush()
    return claim


def _megabytes(count: int) -> int:
    return -(-count // 1024**2)
