"""The receiving end of ``git push`` over smart HTTP: what the program says, and what it is told.

Only bytes here: nothing in this module looks at a repository or moves a branch.

Source: git's documentation of the pack protocol and of smart HTTP.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError

MAIN_REFERENCE: Final = "refs/heads/main"
#: How git writes "there is no commit".
NOTHING: Final = "0" * 40
_CAPABILITIES: Final = "report-status side-band-64k push-options ofs-delta object-format=sha1 agent=catalyst"
_FLUSH: Final = b"0000"
_LENGTH: Final = 4
_LONGEST_LINE: Final = 65520
_LONGEST_BAND: Final = 65515
_MOST_LINES: Final = 50
_COMMAND = re.compile(r"([0-9a-f]{40}) ([0-9a-f]{40}) ([^\x00-\x20\x7f]{1,200})")
#: Where the history of the pusher's copy ends. Ours is whole, and git checks that nothing pushed lacks its parents.
_SHALLOW = re.compile(rb"shallow [0-9a-f]{40}\n?")
_REPORT, _TALK = 1, 2


class PushUnreadable(DomainError):
    """The request is not what the git program sends when it pushes."""

    code = "push_unreadable"
    status = HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True)
class Command:
    """One wish of a push: move ``reference`` from ``old`` to ``new``; ``NOTHING`` stands for no commit."""

    old: str
    new: str
    reference: str


@dataclass(frozen=True, slots=True)
class Push:
    """What a request asks for. ``options`` are those of ``git push -o``; without commands it only knocks."""

    commands: tuple[Command, ...]
    options: tuple[str, ...]
    has_bands: bool
    pack: bytes


def advertise(head: str | None) -> bytes:
    """Return the answer to the first question of ``git push``: where ``main`` is, and what we can do."""
    return _advertise({MAIN_REFERENCE: head} if head else {}, _CAPABILITIES)


def advertise_branches(references: Mapping[str, str]) -> bytes:
    """Return the same where more than ``main`` may move, and some of it be deleted; commits by whole reference."""
    return _advertise(references, f"{_CAPABILITIES} delete-refs")


def _advertise(references: Mapping[str, str], capabilities: str) -> bytes:
    lines = [f"{commit} {name}" for name, commit in references.items()] or [f"{NOTHING} capabilities^{{}}"]
    first, *others = lines
    told = _line(f"{first}\0{capabilities}\n".encode()) + b"".join(_line(f"{each}\n".encode()) for each in others)
    return _line(b"# service=git-receive-pack\n") + _FLUSH + told + _FLUSH


def read_push(body: bytes) -> Push:
    """Read the request of a push.

    :raises PushUnreadable: it is not one.
    """
    reader = _Reader(body)
    lines = [line for line in reader.section() if not _SHALLOW.fullmatch(line)]
    if not lines:
        return Push((), (), has_bands=True, pack=b"")
    first, _zero, said = lines[0].partition(b"\0")
    capabilities = set(said.decode("utf-8", "replace").split())
    commands = tuple(_command(line) for line in (first, *lines[1:]))
    options: tuple[str, ...] = ()
    if "push-options" in capabilities:
        options = tuple(line.decode("utf-8", "replace").rstrip("\n") for line in reader.section())
    return Push(commands, options, has_bands="side-band-64k" in capabilities, pack=reader.rest())


def answer(push: Push, *, said: str = "", refusals: Mapping[str, str]) -> bytes:
    """Return the answer to a push: ``said`` for the person, and for each reference why not, or that it moved.

    ``refusals`` maps references to one short reason; a reference that is not in it has moved.
    """
    status = _line(b"unpack ok\n")
    for each in push.commands:
        reason = " ".join(refusals.get(each.reference, "").split())[:200]
        verdict = f"ng {each.reference} {reason}\n" if each.reference in refusals else f"ok {each.reference}\n"
        status += _line(verdict.encode())
    status += _FLUSH
    if not push.has_bands:
        return status
    return _band(_TALK, said.encode()) + _band(_REPORT, status) + _FLUSH


class _Reader:
    """Reads lines that begin with their own length, as four hexadecimal digits."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._place = 0

    def section(self) -> Iterator[bytes]:
        """Yield the lines up to the mark that ends them."""
        for _number in range(_MOST_LINES + 1):
            line = self._next()
            if line is None:
                return
            yield line
        raise _unreadable()

    def rest(self) -> bytes:
        return self._body[self._place :]

    def _next(self) -> bytes | None:
        head = self._body[self._place : self._place + _LENGTH]
        if not re.fullmatch(rb"[0-9a-fA-F]{4}", head):
            raise _unreadable()
        length = int(head, 16)
        end = self._place + max(length, _LENGTH)
        if length in range(1, _LENGTH + 1) or length > _LONGEST_LINE or end > len(self._body):
            raise _unreadable()
        line = self._body[self._place + _LENGTH : end]
        self._place = end
        return line if length else None


def _command(line: bytes) -> Command:
    found = _COMMAND.fullmatch(line.decode("utf-8", "replace").rstrip("\n"))
    if found is None:
        raise _unreadable()
    return Command(*found.groups())


def _unreadable() -> PushUnreadable:
    return PushUnreadable(_("This is not a push of the git program. Push with git 2.0 or newer."))


def _line(content: bytes) -> bytes:
    return f"{len(content) + _LENGTH:04x}".encode() + content


def _band(number: int, content: bytes) -> bytes:
    pieces = [content[start : start + _LONGEST_BAND] for start in range(0, len(content), _LONGEST_BAND)]
    return b"".join(_line(bytes([number]) + piece) for piece in pieces)
