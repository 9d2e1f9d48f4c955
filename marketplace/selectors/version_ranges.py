"""Versions and npm-style ranges: the one place that knows their grammar.

Source: blueprints.md §4 of the design.
"""

import re
from functools import lru_cache
from http import HTTPStatus

from semantic_version import NpmSpec, Version

from catalyst.core.errors import DomainError
from catalyst.core.names import VERSION

_MAX_LENGTH = 120
_MAX_ALTERNATIVES = 8
_PARTIAL = r"(?:[0-9]+|[xX*])(?:\.(?:[0-9]+|[xX*])){0,2}(?:-[0-9A-Za-z.-]+)?"
_COMPARATOR = re.compile(rf"(?P<op><=|>=|<|>|=|~|\^)?(?P<version>{_PARTIAL})")
_FULL = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?")


class RangeRefused(DomainError):
    code = "range_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@lru_cache(maxsize=65536)
def parse_version(text: str) -> Version:
    """Read one exact version.

    :raises RangeRefused: a leading ``v``, build metadata, or not semantic versioning at all.
    """
    if re.fullmatch(VERSION, text) is None:
        raise RangeRefused(f"{text!r} is not a version like 1.2.3.")
    return Version(text)


@lru_cache(maxsize=1024)
def parse_range(text: str, *, bounded: bool = False) -> NpmSpec:
    """Read a range; with ``bounded`` (in ``depends``) each alternative must have an upper end.

    :raises RangeRefused: blank, too long, a tag, a ``v``, build metadata, ``!=``, comma lists, ``~>``, or unbounded.
    """
    if not text.strip() or len(text) > _MAX_LENGTH:
        raise RangeRefused(f"A range has 1 to {_MAX_LENGTH} characters, like ^1.2.")
    alternatives = [part.strip() for part in text.split("||")]
    if len(alternatives) > _MAX_ALTERNATIVES:
        raise RangeRefused(f"A range has at most {_MAX_ALTERNATIVES} alternatives.")
    for alternative in alternatives:
        has_end = _read_alternative(alternative, whole=text)
        if bounded and not has_end:
            raise RangeRefused(f"{text!r} has no upper end; write ^1.2 or >=1.2 <2.")
    try:
        return NpmSpec(text)
    except ValueError:
        raise RangeRefused(f"{text!r} is not a version range.") from None


@lru_cache(maxsize=65536)
def is_allowed(version: str, range_text: str) -> bool:
    """Tell whether the range holds this version."""
    return bool(parse_range(range_text).match(parse_version(version)))


def _read_alternative(text: str, *, whole: str) -> bool:
    """Check one alternative and tell whether it has an upper end."""
    hyphen = text.split(" - ")
    if len(hyphen) == 2:
        if not all(_FULL.fullmatch(end.strip()) for end in hyphen):
            raise RangeRefused(f"{whole!r}: both ends of a hyphen range are full versions.")
        return True
    words = text.split()
    if not words:
        raise RangeRefused(f"{whole!r} has an empty alternative, which would mean any version.")
    ends = []
    for word in words:
        match = _COMPARATOR.fullmatch(word)
        if match is None:
            raise RangeRefused(f"{whole!r}: {word!r} is not a comparator like ^1.2, ~1.4, 1.x or <2.")
        version = match["version"]
        if "-" in version and _FULL.fullmatch(version) is None:
            raise RangeRefused(f"{whole!r}: a pre-release stands on a full x.y.z only.")
        ends.append(match["op"] not in {">", ">="} and version[0] not in "xX*")
    return any(ends)
