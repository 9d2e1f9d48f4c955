"""A tree of texts as one ``tar+gzip`` blob and back. Nothing is ever written to disk, nothing is ever extracted.

Source: POSIX.1-1988 ustar; RFC 1951 and 1952; security.md S36 of the design.
"""

import io
import re
import struct
import tarfile
import zlib
from collections.abc import Mapping
from functools import lru_cache

from django.utils.translation import gettext as _

from marketplace.services.oci.artifact import ArtifactRefused
from marketplace.services.oci.ustar import read_canonical

MAX_FILES = 200
MAX_UNPACKED = 5 * 1024 * 1024
_BLOCK = 0xFFFF
_GZIP_HEADER = bytes.fromhex("1f8b08000000000000ff")
_PATH = re.compile(r"(?=.{1,100}\Z)(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")


def pack(files: Mapping[str, str]) -> bytes:
    """Write these files, by path, as one archive: the same files give the same bytes on every machine.

    The archive is stored, not squeezed. Two builds of zlib may squeeze the same bytes differently, and then the same
    Blueprint would have two digests. A Blueprint is some ten kilobytes; registries squeeze on their own.
    """
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(files):
            content = files[path].encode()
            # The rest of a header that the library fills in is zero: owner, group, time.
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return _store(plain.getvalue())


def unpack(blob: bytes) -> dict[str, str]:
    """Read an archive of regular text files.

    :raises ArtifactRefused: not exactly one gzip stream around one tar, too large, too many files, anything but
        regular files, a path that leaves the folder or stands twice (also in other letter case), or not UTF-8.
    """
    return dict(_unpacked(blob))


@lru_cache(maxsize=8)
def _unpacked(blob: bytes) -> Mapping[str, str]:
    """Read an archive; versions that follow each other often have the same one."""
    plain = _inflate(blob)
    files: dict[str, str] = {}
    taken: set[str] = set()
    ours = read_canonical(plain)
    if ours is not None:
        return _texts(ours)
    try:
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for member in archive:
                _check(member, taken)
                content = archive.extractfile(member)
                files[member.name] = content.read().decode() if content else ""
            end = archive.offset
    except (tarfile.TarError, ValueError, OverflowError, EOFError, OSError, RecursionError):
        raise ArtifactRefused(_("A layer is not a tar archive of UTF-8 texts.")) from None
    if plain[end:].strip(b"\0"):
        raise ArtifactRefused(_("A layer goes on after the end of its archive."))
    return files


def _texts(members: Mapping[str, bytes]) -> dict[str, str]:
    """Check the members of an archive that is written as ours are."""
    _check_paths(tuple(members))
    try:
        return {path: content.decode() for path, content in members.items()}
    except UnicodeDecodeError:
        raise ArtifactRefused(_("A layer is not a tar archive of UTF-8 texts.")) from None


@lru_cache(maxsize=64)
def _check_paths(paths: tuple[str, ...]) -> None:
    """Check the paths of regular files; what was found well is well the next time too."""
    taken: set[str] = set()
    for path in paths:
        _check(tarfile.TarInfo(path), taken)


def _store(plain: bytes) -> bytes:
    blocks = [plain[start : start + _BLOCK] for start in range(0, len(plain), _BLOCK)] or [b""]
    stored = b"".join(
        struct.pack("<BHH", number == len(blocks), len(block), len(block) ^ 0xFFFF) + block
        for number, block in enumerate(blocks, start=1)
    )
    return _GZIP_HEADER + stored + struct.pack("<II", zlib.crc32(plain), len(plain) & 0xFFFFFFFF)


def _inflate(blob: bytes) -> bytes:
    reader = zlib.decompressobj(wbits=31)
    try:
        plain = reader.decompress(blob, MAX_UNPACKED + 1)
    except zlib.error:
        raise ArtifactRefused(_("A layer is not compressed with gzip.")) from None
    if len(plain) > MAX_UNPACKED:
        raise ArtifactRefused(_("A layer unpacks to more than %(limit)d bytes.") % {"limit": MAX_UNPACKED})
    if not reader.eof or reader.unused_data:
        raise ArtifactRefused(_("A layer is cut short, or goes on after its end."))
    return plain


def _check(member: tarfile.TarInfo, taken: set[str]) -> None:
    words = {"path": member.name[:100]}
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
        raise ArtifactRefused(_("%(path)s is not a regular file: links, folders and devices are refused.") % words)
    if _PATH.fullmatch(member.name) is None:
        raise ArtifactRefused(_("%(path)s is not a path inside the Blueprint.") % words)
    folded = member.name.casefold()
    parents = {folded[:position] for position, letter in enumerate(folded) if letter == "/"}
    if f"={folded}" in taken or f"/{folded}" in taken or any(f"={parent}" in taken for parent in parents):
        raise ArtifactRefused(_("%(path)s stands twice in the archive.") % words)
    taken.add(f"={folded}")
    taken.update(f"/{parent}" for parent in parents)
    if sum(1 for each in taken if each[0] == "=") > MAX_FILES:
        raise ArtifactRefused(_("The archive holds more than %(limit)d files.") % {"limit": MAX_FILES})
