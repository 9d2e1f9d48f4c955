"""A second process that proves the packs of a catalogue index while the first one judges and registers.

It runs our own code, gets bytes whose digest was proven, and speaks to its parent only. Whatever goes wrong with it,
the parent does the work: nothing is refused on its word, so each refusal is made, and worded, in one place.

A message is its length in 8 bytes, big endian, and a pickle. To the child: ``(source, known, rules)`` once, then packs
as bytes. From it: ``(name, versions)`` for each frame with something wanted, then None at the end of a pack.
"""

import fcntl
import os
import pickle
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import IO, Any, Final

from django.conf import settings

from marketplace.services.oci.artifact import ArtifactRefused
from marketplace.services.oci.index import read_frames
from marketplace.services.ruleset import ruleset
from marketplace.services.sync_prove import Proven, prove_frame
from marketplace.services.sync_written import WrittenJudge

#: Seconds for one frame at most, and for the start; an honest one takes 0.1.
_DEADLINE: Final = 60.0
#: Bytes of one answer; what is larger the parent does.
_MAX_ANSWER: Final = 32 * 1024 * 1024
_LENGTH: Final = 8
_ROOT: Final = Path(__file__).resolve().parents[2]
#: As much as Linux lends: the child is a frame ahead then.
_PIPE: Final = 1024 * 1024
_SET_PIPE_SIZE: Final = 1031
_START: Final = (
    "import importlib, django; django.setup(); importlib.import_module('marketplace.services.sync_child').serve()"
)

Answer = tuple[str, list[Proven]]


class ChildFailed(Exception):
    """The child is gone, is late, or could not do it; whoever asked does the work."""


class Child:
    """The running child. It ends with its parent: its input ends then."""

    def __init__(self, source: str, known: frozenset[tuple[str, str]]) -> None:
        """Start it for versions that are not ``known`` and stand on the shelf ``source``.

        :raises ChildFailed: it does not start.
        """
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START],
                cwd=_ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
        except OSError as error:
            raise ChildFailed(str(error)) from error
        self._input, self._output = _end(self._process.stdin), _end(self._process.stdout)
        os.set_blocking(self._input, False)
        self._waiting = pickle.dumps((source, known, ruleset()))

    def prove(self, pack: bytes) -> Iterator[Answer]:
        """Yield what a pack holds, frame by frame.

        :raises ChildFailed: see there; what was yielded is done.
        """
        if self._waiting:
            self._send(self._waiting)
            self._waiting = b""
        self._send(pickle.dumps(pack))
        while (answer := pickle.loads(self._receive())) is not None:  # noqa: S301  # our own code wrote it
            if answer is False:
                raise ChildFailed
            yield answer

    def stop(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _send(self, message: bytes) -> None:
        deadline = monotonic() + _DEADLINE
        left = memoryview(len(message).to_bytes(_LENGTH, "big") + message)
        try:
            while left:
                _wait_for(self._input, select.POLLOUT, deadline)
                left = left[os.write(self._input, left) :]
        except OSError as error:
            raise ChildFailed(str(error)) from error

    def _receive(self) -> bytes:
        deadline = monotonic() + _DEADLINE
        size = int.from_bytes(self._read(_LENGTH, deadline), "big")
        if size > _MAX_ANSWER:
            raise ChildFailed
        return self._read(size, deadline)

    def _read(self, size: int, deadline: float) -> bytes:
        parts = []
        while size:
            _wait_for(self._output, select.POLLIN, deadline)
            part = os.read(self._output, size)
            if not part:
                raise ChildFailed
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def serve() -> None:
    """Be the child, until the input ends."""
    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what anybody prints is no answer
    shelf, known, rules = _next(source)
    if rules != ruleset():
        raise SystemExit("The code was replaced while the parent ran.")
    judge = WrittenJudge(shelf)
    while (pack := _next(source)) is not None:
        try:
            for frame in read_frames(pack, is_wanted=lambda *each: each not in known):
                found = prove_frame(frame, judge, lambda *each: each not in known)
                texts: dict[str, str] = {}
                _answer(answers, (frame.name, [_plain(each, texts) for each in found]))
        except ArtifactRefused:
            _answer(answers, False)
        else:
            _answer(answers, None)


def _end(stream: IO[bytes] | None) -> int:
    """Return the number of one end of a pipe, which holds as much as it may."""
    assert stream is not None
    with suppress(OSError):
        fcntl.fcntl(stream, _SET_PIPE_SIZE, _PIPE)
    return stream.fileno()


def _wait_for(number: int, event: int, deadline: float) -> None:
    waiting = select.poll()
    waiting.register(number, event)
    if not waiting.poll(max(deadline - monotonic(), 0) * 1000):
        raise ChildFailed


def _next(source: IO[bytes]) -> Any:
    """Read one message of the parent; None at the end."""
    size = int.from_bytes(source.read(_LENGTH), "big")
    return pickle.loads(source.read(size)) if size else None  # noqa: S301  # the parent is our own code


def _answer(answers: IO[bytes], message: Any) -> None:
    content = memoryview(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
    if len(content) > _MAX_ANSWER:
        content = memoryview(pickle.dumps(False))
    answers.write(len(content).to_bytes(_LENGTH, "big"))
    while content:
        content = content[answers.write(content) :]


def _plain(each: Proven, texts: dict[str, str]) -> Proven:
    """Return what may travel: a refusal is made by the parent. Each text of ``texts`` travels once."""
    if isinstance(each.found, Exception):
        return replace(each, found=ChildFailed())
    files = {path: texts.setdefault(text, text) for path, text in each.found.files.items()}
    return replace(each, found=replace(each.found, files=files))
