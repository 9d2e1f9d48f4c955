"""Log files of the local stack."""

from pathlib import Path
from typing import IO

_LIMIT_BYTES = 10 * 1024 * 1024


def open_log(path: Path) -> IO[bytes]:
    """Open a log for appending; one that has grown large is set aside, and the one set aside before is dropped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LIMIT_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab")


def log_size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def read_since(path: Path, offset: int) -> str:
    """Return what was written after ``offset``; all of it when the file has been set aside since."""
    if not path.exists():
        return ""
    with path.open("rb") as stream:
        stream.seek(offset if log_size(path) >= offset else 0)
        return stream.read().decode(errors="replace")


def last_lines(text: str, count: int = 15) -> str:
    return "\n".join(text.rstrip().splitlines()[-count:])
