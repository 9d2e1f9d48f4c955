"""Unified diffs for pages: each line with what it is, so that a template can show it without deciding anything."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_KINDS = {"+": "plus", "-": "minus", "@": "place"}


@dataclass(frozen=True, slots=True)
class Line:
    """``kind`` is ``plus``, ``minus``, ``place`` or empty for what stays."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class File:
    """One path, what became of it (``added``, ``modified``, ``removed``), and how many lines are not shown."""

    path: str
    change: str
    lines: tuple[Line, ...]
    more_lines: int


def files_of(diff: Mapping[str, Any]) -> list[File]:
    """Return the files of a ``manifest_diff``, intents first: they are what people asked for."""
    files = [
        File(each["path"], each["change"], tuple(_lines(each["diff"])), each["more_lines"]) for each in diff["files"]
    ]
    return sorted(files, key=lambda file: (not file.path.endswith("/application.yaml"), file.path))


def _lines(diff: Iterable[str]) -> Iterable[Line]:
    return (Line(_KINDS.get(line[:1], ""), line) for line in diff)
