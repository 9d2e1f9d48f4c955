"""The runtime file: where the embedded servers of this machine listen now.

Settings read it, so this module imports nothing of Django. One process, the supervisor, writes it.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

#: Service of the runtime file → the variable that names its address.
_URL_VARIABLES = {"postgres": "DATABASE_URL", "valkey": "REDIS_URL"}


@dataclass(frozen=True)
class Service:
    """One running server. ``started`` tells it from a later process that got the same number."""

    port: int
    pid: int
    url: str
    user: str = ""
    started: str = ""

    def is_alive(self) -> bool:
        """Say whether the very process that was recorded still runs."""
        return is_process_alive(self.pid) and self.started == process_start(self.pid)


def runtime_file(home: Path) -> Path:
    return home / "run" / "services.json"


def read_services(home: Path) -> dict[str, Service]:
    """Return what the runtime file says, dead or alive; a missing or damaged file says nothing.

    Entries of stopped servers stay, so that the next start can take the same ports again.
    """
    try:
        entries = json.loads(runtime_file(home).read_text())
        return {name: Service(**entry) for name, entry in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def record_service(home: Path, name: str, *, port: int, pid: int, url: str, user: str = "") -> None:
    """Write down where a service listens, replacing what the file said about it."""
    service = Service(port=port, pid=pid, url=url, user=user, started=process_start(pid))
    _write(home, read_services(home) | {name: service})


def service_urls(home: Path) -> dict[str, str]:
    """Return ``DATABASE_URL`` and ``REDIS_URL`` of the embedded servers that are alive."""
    services = read_services(home)
    return {
        variable: services[name].url
        for name, variable in _URL_VARIABLES.items()
        if name in services and services[name].is_alive()
    }


def is_process_alive(pid: int) -> bool:
    """Say whether a process has this number; one that has ended and waits for its parent does not count."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it belongs to another user, so it exists
    state = _stat_fields(pid)
    return not state or state[0] != "Z"


def process_start(pid: int) -> str:
    """Return a mark of the moment the process began (boot and clock tick); empty where ``/proc`` does not exist."""
    fields = _stat_fields(pid)
    if not fields:
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{fields[19]}"


def _stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on (state); the second may hold spaces. Source: proc(5)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _write(home: Path, services: dict[str, Service]) -> None:
    path = runtime_file(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.write_text(json.dumps({name: asdict(service) for name, service in services.items()}, indent=2) + "\n")
    os.replace(draft, path)
