"""The files of a Blueprint as bytes, from a folder or an archive. Everything is bounded before it is read.

Only regular files, relative plain names, 200 files, 5 MiB unpacked, no two names that differ in case alone.

Source: blueprints.md §6 of the design.
"""

import gzip
import io
import os
import re
import stat
import tarfile
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from marketplace.services.blueprint_contract import ContractRefused
from marketplace.services.blueprint_lint.rules import broken

MAX_FILES: Final = 200
MAX_BYTES: Final = 5 * 1024 * 1024
MAX_PACKED: Final = 2 * 1024 * 1024
_MAX_ENTRIES: Final = 2 * MAX_FILES
_PATH = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}/){0,8}[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def read_tree(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder.

    :raises ContractRefused: a link, a device, an odd name, or too much of anything.
    """
    files = _Files()
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        state = path.lstat()
        if not stat.S_ISREG(state.st_mode):
            raise ContractRefused([broken("BP-M06", name)])
        files.announce(name, state.st_size)
        # A link or pipe that took its place meanwhile does not open.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as content:
            files.add(name, content.read(MAX_BYTES + 1))
    return files.contents


def read_archive(packed: bytes) -> dict[str, bytes]:
    """Read every file of a gzipped tar; nothing is ever written to a disk.

    :raises ContractRefused: not an archive, a link, a device, an odd or repeated name, or too much of anything.
    """
    if len(packed) > MAX_PACKED:
        raise ContractRefused([broken("BP-M06", "", detail=f"> {MAX_PACKED} B")])
    files = _Files()
    try:
        # Headers and padding have room too; a bomb ends here instead of in memory.
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            plain = stream.read(MAX_BYTES + _MAX_ENTRIES * 2048)
            if stream.read(1):
                raise ContractRefused([broken("BP-M06", "", detail=f"> {MAX_BYTES} B")])
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for member in archive:
                _take(archive, member, files)
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError) as error:
        raise ContractRefused([broken("BP-M06", "", detail=type(error).__name__)]) from None
    return files.contents


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, files: "_Files") -> None:
    if member.isdir():
        return files.announce_folder(member.name)
    content = archive.extractfile(member) if member.isreg() and not member.sparse else None
    if content is None:
        raise ContractRefused([broken("BP-M06", member.name[:200])])
    files.announce(member.name, member.size)
    return files.add(member.name, content.read(member.size))


def _walk(folder: Path) -> Iterator[Path]:
    count = 0
    waiting = [folder]
    while waiting:
        for path in sorted(islice(waiting.pop().iterdir(), _MAX_ENTRIES + 1)):
            count += 1
            if count > _MAX_ENTRIES:
                raise ContractRefused([broken("BP-M06", path.relative_to(folder).as_posix(), detail=f"> {MAX_FILES}")])
            if path.is_dir() and not path.is_symlink():
                waiting.append(path)
            else:
                yield path


class _Files:
    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self._folded: set[str] = set()
        self._size = 0
        self._folders = 0

    def announce_folder(self, name: str) -> None:
        self._folders += 1
        if self._folders > MAX_FILES or not _PATH.fullmatch(name.rstrip("/")):
            raise ContractRefused([broken("BP-M06", name[:200])])

    def announce(self, name: str, size: int) -> None:
        self._size += size
        is_odd = _PATH.fullmatch(name) is None or name.casefold() in self._folded
        if is_odd or size < 0 or self._size > MAX_BYTES or len(self.contents) >= MAX_FILES:
            raise ContractRefused([broken("BP-M06", name[:200])])
        self._folded.add(name.casefold())

    def add(self, name: str, content: bytes) -> None:
        if len(content) > MAX_BYTES:
            raise ContractRefused([broken("BP-M06", name)])
        self.contents[name] = content
