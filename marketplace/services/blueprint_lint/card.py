"""What people see: names that cannot be mistaken, texts, icon, screenshots, license.

Source: blueprints.md §7 of the design, rules N and C; Unicode TR39 for look-alikes.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from markdown_it import MarkdownIt

from marketplace.services.blueprint_contract import Finding
from marketplace.services.blueprint_folder import MAX_ICON_BYTES, is_safe_icon
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
#: Cyrillic, Greek and digits that look like Latin letters.
_LOOK_ALIKES = str.maketrans(
    {
        **dict(zip("аеорсухіјѕԁӏкѵ", "aeopcyxijsdlkv", strict=True)),
        **dict(zip("αοικντρυχ", "aoikvtpux", strict=True)),
        **dict(zip("01358", "olesb", strict=True)),
    }
)
_markdown = MarkdownIt("commonmark")


def check_card(subject: Subject) -> Iterator[Finding]:
    """Yield what is wrong with the name and the card."""
    yield from _check_names(subject)
    yield from _check_characters(subject)
    yield from _check_category(subject)
    yield from _check_icon(subject)
    for path in _DESCRIPTIONS:
        yield from _check_description(subject, path)
    for index, path in enumerate(subject.contract.card.screenshots):
        yield from _check_screenshot(subject, index, path)
    yield from _check_license(subject)


def skeleton(text: str) -> str:
    """Return what a text looks like: equal for two texts that a person may take for one another."""
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_LOOK_ALIKES)
    plain = re.sub(r"[\s_.-]+", "", plain)
    return plain.replace("rn", "m").replace("vv", "w").replace("i", "l")


def _check_names(subject: Subject) -> Iterator[Finding]:
    name, title = subject.contract.name, subject.contract.card.title
    if unicodedata.normalize("NFKC", title) != title:
        yield subject.finding("BP-N06", "spec.card.title")
    for other, versions in subject.shelf.published.items():
        if other == name:
            continue
        titles = {str((each.spec.get("card") or {}).get("title", "")) for each in versions}
        if skeleton(other) == skeleton(name):
            yield subject.finding("BP-N06", "metadata.name", detail=other)
        elif skeleton(title) in {skeleton(each) for each in titles if each}:
            yield subject.finding("BP-N06", "spec.card.title", detail=other)


def _check_characters(subject: Subject) -> Iterator[Finding]:
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
    for token in _markdown.parse(text):
        for part in (token, *(token.children or ())):
            reference = str(part.attrGet("href") or part.attrGet("src") or "")
            is_html = part.type in {"html_block", "html_inline"}
            if is_html or not _is_harmless(reference, is_image=part.type == "image"):
                line = token.map[0] + 1 if token.map else 0
                yield broken("BP-C06", path, line=line, detail=reference[:120])


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


def _check_license(subject: Subject) -> Iterator[Finding]:
    for path in sorted(subject.files):
        name = path.rpartition("/")[2]
        stated = _LICENSE_LINE.search(subject.text(path)) if name in {"LICENSE", "NOTICE", "README.md"} else None
        if stated and stated[1] != subject.contract.card.license:
            yield subject.finding("BP-C05", "spec.card.license", detail=f"{path}: {stated[1]}")
