"""How large a pack is when it is unpacked, said before anything unpacks it: a small one can grow without end.

Source: git's documentation of the pack format.
"""

import zlib
from http import HTTPStatus
from typing import Final

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError

MAX_OBJECTS: Final = 10_000
MAX_OBJECT_BYTES: Final = 5 * 1024 * 1024
MAX_UNPACKED_BYTES: Final = 64 * 1024 * 1024

_HEADER: Final = 12
_CHECKSUM: Final = 20
_PLAIN: Final = frozenset({1, 2, 3, 4})
_BY_OFFSET, _BY_NAME = 6, 7
#: What is fed at once: the part that belongs to the next object is copied each time.
_PIECE: Final = 4096
#: A length of more bits than this is no length of ours.
_MOST_BITS: Final = 40


class PackRefused(DomainError):
    """A pack that is broken, or larger than a repository of Blueprints needs."""

    code = "pack_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


def check_pack(pack: bytes) -> int:
    """Return how many objects a pack has, when all of it stays within the limits.

    :raises PackRefused: it does not, or is no pack.
    """
    if len(pack) < _HEADER + _CHECKSUM or pack[:8] != b"PACK\x00\x00\x00\x02":
        raise _broken()
    count = int.from_bytes(pack[8:_HEADER])
    if count > MAX_OBJECTS:
        raise _too_large()
    place, total = _HEADER, 0
    for _number in range(count):
        place, size = _measure(pack, place)
        total += size
        if total > MAX_UNPACKED_BYTES:
            raise _too_large()
    return count


def _measure(pack: bytes, place: int) -> tuple[int, int]:
    """Return where the next object begins, and how large this one and what it becomes are together."""
    first = _byte(pack, place)
    kind, size, place = (first >> 4) & 7, first & 15, place + 1
    if first & 0x80:
        more, place = _number(pack, place)
        size |= more << 4
    if kind == _BY_OFFSET:
        _distance, place = _number(pack, place)
    elif kind == _BY_NAME:
        place += _CHECKSUM
    elif kind not in _PLAIN:
        raise _broken()
    if size > MAX_OBJECT_BYTES:
        raise _too_large()
    start, place = _inflate(pack, place, size)
    if kind in _PLAIN:
        return place, size
    _base, position = _number(start, 0)
    result, _position = _number(start, position)
    if result > MAX_OBJECT_BYTES:
        raise _too_large()
    return place, size + result


def _inflate(pack: bytes, place: int, size: int) -> tuple[bytes, int]:
    """Return the first bytes of an object and where it ends; never more of it is made than it says itself."""
    inflater = zlib.decompressobj()
    made, start = 0, b""
    try:
        while not inflater.eof:
            piece = inflater.unconsumed_tail or pack[place : place + _PIECE]
            if not piece:
                raise _broken()
            if not inflater.unconsumed_tail:
                place += len(piece)
            part = inflater.decompress(piece, size - made + 1)
            made += len(part)
            start = start or part[:32]
            if made > size:
                raise _broken()
    except zlib.error:
        raise _broken() from None
    if made != size:
        raise _broken()
    return start, place - len(inflater.unused_data)


def _number(content: bytes, place: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, the lowest first, and return it with the place behind it."""
    value = shift = 0
    while True:
        byte = _byte(content, place)
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return value, place
        if shift > _MOST_BITS:
            raise _broken()


def _byte(content: bytes, place: int) -> int:
    if place >= len(content):
        raise _broken()
    return content[place]


def _broken() -> PackRefused:
    return PackRefused(_("What was pushed is not a whole pack. Push again; if it stays so, run git fsck."))


def _too_large() -> PackRefused:
    return PackRefused(
        _("This push is too large: at most 5 MiB a file, 64 MiB unpacked and 10,000 objects. Push less at once.")
    )
