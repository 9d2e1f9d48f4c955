"""The embedded PostgreSQL 18: a real server out of a wheel, driven by its own ``initdb`` and ``postgres``."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg
from psycopg import sql

from catalyst.local.embedded import EmbeddedServer, RunAs, hold_folder, spawn
from catalyst.local.errors import LocalStackError
from catalyst.local.logs import last_lines, log_size, read_since
from catalyst.local.ports import free_port
from catalyst.local.postgres_place import data_folder, server_files, server_user
from catalyst.local.runtime import is_process_alive

SUPERUSER = "catalyst"
DATABASE = "catalyst"

_READY_SECONDS = 60.0
#: After a kill the old server's children let go of its memory within moments; so often a start is tried again.
_ATTEMPTS = 20
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    # No socket file: its path has a limit of 107 bytes that a deep checkout exceeds.
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
}
#: For tests: a crash may lose everything, and commits do not wait for the disk.
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def start_postgres(folder: Path, *, log: Path, port: int | None = None, durable: bool = True) -> EmbeddedServer:
    """Start the server whose data is in ``folder``, making the data on first use, and wait until it answers.

    ``port`` is a wish. Call from the main thread: the server ends with the thread that started it.

    :raises LocalStackError: it cannot start; the message holds its last words.
    """
    user = server_user()
    files = server_files(user)
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = data_folder(folder, user)
    lock = hold_folder(place, "the embedded Postgres")
    try:
        data = place / "data"
        if not data.exists():
            _make_data(files, place, log=log, user=user)
        _check_version(files, data)
        _end_previous(data)
        process, port = _start(files, data, log=log, port=free_port(port), user=user, durable=durable)
    except BaseException:
        lock.close()
        raise
    url = f"postgres://{SUPERUSER}@127.0.0.1:{port}/{DATABASE}"
    # SIGINT is Postgres' fast shutdown, SIGQUIT its immediate one (recovery at the next start).
    stop_signals = (signal.SIGINT, signal.SIGQUIT)
    server = EmbeddedServer("postgres", process, port, url, data, log, stop_signals, lock)
    try:
        _ensure_database(port)
    except BaseException:
        server.stop()
        raise
    return server


def _make_data(files: Path, place: Path, *, log: Path, user: RunAs | None) -> None:
    """Run ``initdb`` in a draft folder, renamed at the end: an interrupted first start leaves no half-made data."""
    draft = place / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    options = ["-A", "trust", "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
    offset = log_size(log)
    process = spawn(
        [files / "bin" / "initdb", *options, "-D", draft],
        log=log,
        environment=_ENVIRONMENT,
        death_signal=signal.SIGKILL,
        run_as=user,
    )
    try:
        failed = process.wait(timeout=120) != 0
    except subprocess.TimeoutExpired:
        process.kill()
        failed = True
    if failed:
        raise LocalStackError(f"Postgres could not make its data in {place}:\n{last_lines(read_since(log, offset))}")
    draft.rename(place / "data")


def _check_version(files: Path, data: Path) -> None:
    made_by = (data / "PG_VERSION").read_text().strip()
    line = subprocess.run([files / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    runs = line.split()[2].partition(".")[0]
    if made_by != runs:
        raise LocalStackError(
            f"The data in {data} was made by PostgreSQL {made_by}, and this release runs {runs}. "
            "Dump it with the former release and load it with this one, or choose another folder with CATALYST_HOME."
        )


def _end_previous(data: Path) -> None:
    """End a server that an earlier run left in this folder, and remove a note about one that is gone.

    We hold the folder's lock, so nobody else wants that server any more.
    """
    note = data / "postmaster.pid"
    try:
        pid = int(note.read_text().splitlines()[0])
    except (FileNotFoundError, ValueError, IndexError):
        note.unlink(missing_ok=True)
        return
    for stop_signal in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        deadline = time.monotonic() + 5
        if _is_server(pid, data):
            os.kill(pid, stop_signal)
        while _is_server(pid, data) and time.monotonic() < deadline:
            time.sleep(0.05)
    # The number may belong to another program by now, and Postgres would take that for a running server.
    note.unlink(missing_ok=True)


def _is_server(pid: int, data: Path) -> bool:
    """Say whether this process is the Postgres of this data folder."""
    if not is_process_alive(pid):
        return False
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except FileNotFoundError:
        words = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True).stdout
    return f"-D {data}" in words


def _start(
    files: Path, data: Path, *, log: Path, port: int, user: RunAs | None, durable: bool
) -> tuple[subprocess.Popen[bytes], int]:
    options = _OPTIONS | ({} if durable else _NOT_DURABLE)
    for _ in range(_ATTEMPTS):
        offset = log_size(log)
        command: list[str | Path] = [files / "bin" / "postgres", "-D", data, "-p", str(port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        process = spawn(command, log=log, environment=_ENVIRONMENT, death_signal=signal.SIGINT, run_as=user)
        if _is_ready(process, data):
            return process, port
        words = read_since(log, offset)
        if "could not bind" in words:
            port = free_port()
        elif "shared memory block" in words:
            time.sleep(0.5)
        else:
            raise LocalStackError(f"Postgres did not start. Its log {log} ends with:\n{last_lines(words)}")
    raise LocalStackError(f"Postgres did not start after {_ATTEMPTS} attempts. See {log}.")


def _is_ready(process: subprocess.Popen[bytes], data: Path) -> bool:
    """Wait until the server says so (the eighth line of its note) or ends."""
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None:
        try:
            lines = (data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            lines = []
        if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].startswith("ready"):
            return True
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            return False
        time.sleep(0.02)
    return False


def _ensure_database(port: int) -> None:
    address = f"postgres://{SUPERUSER}@127.0.0.1:{port}/postgres"
    with psycopg.connect(address, autocommit=True, connect_timeout=10) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
