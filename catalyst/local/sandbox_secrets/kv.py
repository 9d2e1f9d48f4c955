"""What the sandbox remembers: every version of every entry, in one SQLite file.

Source: OpenBao API, "KV secrets engine - version 2 (API)".
"""

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any

_SCHEMA = """
create table if not exists version (
    path text not null, number integer not null, data text not null, created_at text not null,
    deleted_at text not null default '', primary key (path, number));
"""
Json = dict[str, Any]


class CheckFailed(Exception):
    """The version that the caller wanted to replace is not the newest one."""


class KeyValues:
    """The entries of one sandbox; in memory without a file. One request at a time."""

    def __init__(self, file: Path | None = None) -> None:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            # Before the first secret: the file is its owner's alone.
            file.touch(mode=0o600)
        self._lock = RLock()
        self._rows = sqlite3.connect(file or ":memory:", check_same_thread=False, isolation_level=None)
        self._rows.executescript(_SCHEMA)

    def read(self, path: str) -> Json | None:
        """Return the newest version with its metadata; ``data`` is null when it is deleted. None: there is none."""
        with self._lock:
            query = "select number, data, created_at, deleted_at from version where path = ? order by number desc"
            row = self._rows.execute(query, [path]).fetchone()
        if row is None:
            return None
        number, data, created_at, deleted_at = row
        return {"data": None if deleted_at else json.loads(data), "metadata": _metadata(number, created_at, deleted_at)}

    def write(self, path: str, data: Json, *, cas: int | None) -> Json:
        """Add a version and return its metadata.

        :raises CheckFailed: ``cas`` is given and is not the number of the newest version.
        """
        with self._lock:
            newest = self._newest(path)
            if cas is not None and cas != newest:
                raise CheckFailed
            now = _now()
            values = [path, newest + 1, json.dumps(data), now]
            self._rows.execute("insert into version (path, number, data, created_at) values (?, ?, ?, ?)", values)
            return _metadata(newest + 1, now, "")

    def delete(self, path: str) -> None:
        """Mark the newest version as deleted; its number still counts."""
        with self._lock:
            values = [_now(), path, self._newest(path)]
            self._rows.execute("update version set deleted_at = ? where path = ? and number = ?", values)

    def names(self, folder: str) -> list[str]:
        """Return what lies directly below a folder; what is a folder itself ends in a slash."""
        with self._lock:
            paths = [path for (path,) in self._rows.execute("select distinct path from version")]
        below = [path.removeprefix(folder) for path in paths if path.startswith(folder)]
        return sorted({f"{head}{slash}" for head, slash, _rest in (path.partition("/") for path in below)})

    def close(self) -> None:
        self._rows.close()

    def _newest(self, path: str) -> int:
        row = self._rows.execute("select max(number) from version where path = ?", [path]).fetchone()
        return int(row[0] or 0)


def _metadata(number: int, created_at: str, deleted_at: str) -> Json:
    return {
        "created_time": created_at,
        "custom_metadata": None,
        "deletion_time": deleted_at,
        "destroyed": False,
        "version": number,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
