"""Commit messages and authors: one fixed first line, the person's reason quoted, trailers last and once each.

Whatever a person types, it can neither forge a trailer nor break out of its line.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: Every trailer there is, in the order in which they are written.
TRAILERS: Final = (
    "Catalyst-Change",
    "Catalyst-Seq",
    "Catalyst-Preview",
    "Catalyst-Order",
    "Catalyst-Approved-By",
    "Catalyst-Reverts",
    "Catalyst-Promoted-From",
)
MAX_SUBJECT: Final = 1_000
MAX_REASON: Final = 500
MAX_NAME: Final = 100

_TRAILER = re.compile(r"(Catalyst-[A-Za-z-]+): (\S(?:.*\S)?)")
_EMAIL_PART = re.compile(r"[^A-Za-z0-9._@-]")
# Overrides and isolates turn text around; marks and joiners (U+200C–U+200F) are part of honest Arabic.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
# git strips these from both ends of a name; we do it first, so that equal input gives equal bytes.
_NAME_CRUD = " .,:;<>\"\\'"


@dataclass(frozen=True, slots=True)
class Person:
    """Author or committer of a commit; build it with ``person`` so that it is clean."""

    name: str
    email: str


def person(name: str, *, user_id: str, sovereign_domain: str) -> Person:
    """Return a commit author whose address is never a private one: ``<user-id>@users.<sovereign-domain>``."""
    cleaned = _one_line(name).replace("<", "").replace(">", "")[:MAX_NAME].strip(_NAME_CRUD)
    return Person(name=cleaned or "Unknown", email=_EMAIL_PART.sub("", f"{user_id}@users.{sovereign_domain}"))


def build_message(subject: str, *, reason: str = "", trailers: Mapping[str, str] | None = None) -> str:
    """Return a whole commit message that ends in a newline.

    Trailers with an empty value are left out; the others keep the order of ``TRAILERS``.

    :raises ValueError: an unknown trailer, or a subject that is empty once cleaned.

    Source: gitops.md §4.
    """
    first_line = _one_line(subject)[:MAX_SUBJECT].rstrip()
    if not first_line:
        raise ValueError("A commit message needs a subject.")
    given = trailers or {}
    if unknown := set(given) - set(TRAILERS):
        raise ValueError(f"Unknown trailers: {', '.join(sorted(unknown))}.")
    quoted = "\n".join(f"> {line}".rstrip() for line in _clean_lines(reason[:MAX_REASON]))
    lines = [f"{key}: {value}" for key in TRAILERS if (value := _one_line(given.get(key, "")))]
    return "\n\n".join(part for part in (first_line, quoted, "\n".join(lines)) if part) + "\n"


def parse_trailers(message: str) -> dict[str, str]:
    """Return the trailers of a message that ``build_message`` wrote; anything else gives an empty mapping.

    Only the last paragraph counts, each of its lines must be a known trailer, and none may stand twice.
    """
    paragraphs = message.rstrip("\n").split("\n\n")
    matches = [_TRAILER.fullmatch(line) for line in paragraphs[-1].split("\n")]
    trailers = {match[1]: match[2] for match in matches if match}
    if len(paragraphs) < 2 or len(trailers) != len(matches) or not set(trailers) <= set(TRAILERS):
        return {}
    return trailers


def _clean_lines(text: str) -> list[str]:
    lines = (_clean(line).strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return "\n".join(lines).strip("\n").split("\n") if text.strip() else []


def _one_line(text: str) -> str:
    return " ".join(_clean("".join(" " if character.isspace() else character for character in text)).split())


def _clean(text: str) -> str:
    return "".join(character for character in text if not _is_refused(character))


def _is_refused(character: str) -> bool:
    return character in _BIDI_CONTROLS or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
