"""What people see: names that cannot be mistaken, texts, icon, screenshots, license.

Source: blueprints.md §7 of the design, rules N and C.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from markdown_it import MarkdownIt

from marketplace.services.blueprint_contract import Finding
from marketplace.services.blueprint_folder import MAX_ICON_BYTES, is_safe_icon
from marketplace.services.blueprint_lint.looks import skeleton
from marketplace.services.blueprint_lint.rules import broken
from marketplace.services.blueprint_lint.subject import Subject

_DESCRIPTIONS: Final = ("card/description.md", "card/description.ar.md")
_MAX_SCREENSHOT: Final = 200 * 1024
_MAX_DESCRIPTION: Final = 32 * 1024
_SCREENSHOTS: Final = (".webp", ".png", ".jpg", ".jpeg")
_TEXTS: Final = (".md", ".yaml", ".yml", ".txt", ".svg", ".sh", ".sql", ".conf", ".json", ".tpl")
_LICENSE_LINE = re.compile(r"SPDX-License-Identifier:\s*([A-Za-z0-9.+-]+)")
#: Characters that turn the direction of a line around, hide in it, or end it.
_DECEIVING = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\u2060\ufeff\u00ad\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_markdown = MarkdownIt("commonmark")


def check_card(subject: Subject) -> Iterator[Finding]:
    """Yield what is wrong with the card, whatever stands beside it."""
    yield from check_characters(subject)
    yield from _check_icon(subject)
    for path in _DESCRIPTIONS:
        yield from _check_description(subject, path)
    for index, path in enumerate(subject.contract.card.screenshots):
        yield from _check_screenshot(subject, index, path)
    yield from check_license(subject)


def check_place(subject: Subject) -> Iterator[Finding]:
    """Yield what is wrong with the card beside the others: a name or title like another one, an unknown category."""
    yield from _check_names(subject)
    yield from _check_category(subject)


def _check_names(subject: Subject) -> Iterator[Finding]:
    name, title = subject.contract.name, subject.contract.card.title
    if unicodedata.normalize("NFKC", title) != title:
        yield subject.finding("BP-N06", "spec.card.title")
    index = subject.shelf.known()
    named = index.named.get(skeleton(name), set()) - {name}
    for other in named:
        yield subject.finding("BP-N06", "metadata.name", detail=other)
    for other in index.titled.get(skeleton(title), set()) - named - {name}:
        yield subject.finding("BP-N06", "spec.card.title", detail=other)


def check_characters(subject: Subject) -> Iterator[Finding]:
    for path in subject.files:
        match = _DECEIVING.search(subject.text(path)) if path.endswith(_TEXTS) else None
        if match:
            line = subject.text(path).count("\n", 0, match.start()) + 1
            yield broken("BP-N06", path, line=line, detail=f"U+{ord(match[0]):04X}")


def _check_category(subject: Subject) -> Iterator[Finding]:
    category, known = subject.contract.card.category, subject.shelf.categories
    if category and known and category not in known:
        yield subject.finding("BP-C02", "spec.card.category", detail=category)


def _check_icon(subject: Subject) -> Iterator[Finding]:
    path = subject.contract.card.icon
    icon = subject.files.get(path, b"")
    if path and (len(icon) > MAX_ICON_BYTES or not is_safe_icon(subject.text(path))):
        yield broken("BP-C03", path)


def _check_description(subject: Subject, path: str) -> Iterator[Finding]:
    text = subject.text(path)
    if not text.strip():
        yield broken("BP-C01", path)
        return
    if len(text) > _MAX_DESCRIPTION:
        yield broken("BP-C06", path)
        return
    for line, reference in _harm_in(text):
        yield broken("BP-C06", path, line=line, detail=reference)


@lru_cache(maxsize=64)
def _harm_in(text: str) -> tuple[tuple[int, str], ...]:
    """Return line and reference of each HTML, remote image and unsafe link; the line is 0 where it is not known."""
    found = []
    for token in _markdown.parse(text):
        for part in (token, *(token.children or ())):
            reference = str(part.attrGet("href") or part.attrGet("src") or "")
            is_html = part.type in {"html_block", "html_inline"}
            if is_html or not _is_harmless(reference, is_image=part.type == "image"):
                found.append((token.map[0] + 1 if token.map else 0, reference[:120]))
    return tuple(found)


def _is_harmless(reference: str, *, is_image: bool) -> bool:
    try:
        parts = urlsplit(reference)
    except ValueError:
        return False
    if is_image:
        return not parts.scheme and not parts.netloc and ".." not in parts.path.split("/")
    return parts.scheme in {"https", "mailto"} or not (parts.scheme or parts.netloc)


def _check_screenshot(subject: Subject, index: int, path: str) -> Iterator[Finding]:
    field = f"spec.card.screenshots.{index}"
    size = len(subject.files.get(path, b""))
    if not path.endswith(_SCREENSHOTS) or not 0 < size <= _MAX_SCREENSHOT:
        yield subject.finding("BP-C04", field, detail=path)
        return
    local = re.escape(path.removeprefix("card/"))
    for description in _DESCRIPTIONS:
        if not re.search(rf"!\[[^\]\s][^\]]*\]\({local}\)", subject.text(description)):
            yield subject.finding("BP-C04", field, detail=f"{path}, {description}")


def check_license(subject: Subject) -> Iterator[Finding]:
    for path in sorted(subject.files):
        name = path.rpartition("/")[2]
        stated = _LICENSE_LINE.search(subject.text(path)) if name in {"LICENSE", "NOTICE", "README.md"} else None
        if stated and stated[1] != subject.contract.card.license:
            yield subject.finding("BP-C05", "spec.card.license", detail=f"{path}: {stated[1]}")
