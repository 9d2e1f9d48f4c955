"""The one form of a domain's name, and which names nobody can claim here.

Source: RFC 5890 to 5893 (IDNA 2008); RFC 6761, RFC 9476 (names that are not in the public DNS); docs/domains.md.
"""

import unicodedata
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import idna
from django.conf import settings
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from tenancy.selectors.sovereign import get_sovereign

#: 253 characters (RFC 1035 §2.3.4), less what the record of the proof puts before the name.
LONGEST_NAME: Final = 253 - len("_catalyst.")
#: Top-level names that no public DNS server answers for.
_NOT_PUBLIC: Final = frozenset({"alt", "arpa", "internal", "invalid", "lan", "local", "localhost", "onion"})
#: Where registries of the Gulf sell names one level deeper; the domain is what was bought below it. It saves a person a
#: wait in vain: what keeps such a name safe is that only its registry could ever put the proof there.
_SOLD_BELOW: Final = {
    "ae": "ac co gov mil net org sch",
    "bh": "com edu gov net org",
    "kw": "com edu emb gov ind net org",
    "om": "co com edu gov med museum net org pro",
    "qa": "com edu gov mil name net org sch",
    "sa": "com edu gov med net org pub sch",
}
#: Writing systems that one language mixes within a word.
_MIXED: Final = (frozenset({"CJK", "HIRAGANA", "KATAKANA"}), frozenset({"CJK", "HANGUL"}))


class DomainInvalid(DomainError):
    """This is no name that the public DNS could know."""

    code = "domain_invalid"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class DomainReserved(DomainError):
    """The name is the platform's own, or a registry's, so no customer can have it."""

    code = "domain_reserved"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


def normalize_domain(text: str) -> str:
    """Return a name as the DNS knows it: ASCII, lower case, without the last dot.

    :raises DomainInvalid: it is no domain. :raises DomainReserved: nobody can have it here.
    """
    name = _as_ascii(text.strip().removesuffix("."))
    labels = name.split(".")
    if len(labels) < 2 or labels[-1].isdigit() or labels[-1] in _NOT_PUBLIC:
        raise _invalid()
    if len(name) > LONGEST_NAME:
        text = _("This name is too long. Use at most %(number)s characters.")
        raise DomainInvalid(text % {"number": LONGEST_NAME}, pointer="/name")
    if any(map(_is_mixed, labels)):
        text = _("This name mixes letters of several writing systems, so it could be taken for another one.")
        raise DomainInvalid(text, pointer="/name")
    if labels[-2] in _SOLD_BELOW.get(labels[-1], "").split() and len(labels) == 2:
        text = _("%(name)s belongs to a registry. Enter the domain that you have below it, like shop.%(name)s.")
        raise DomainReserved(text % {"name": name}, pointer="/name")
    if any(_is_related(name, own) for own in _platform_names()):
        raise DomainReserved(_("This name belongs to the platform. Enter a domain of your own."), pointer="/name")
    return name


def _as_ascii(text: str) -> str:
    # The DNS knows wildcards and underscores; a host has neither.
    if not text or len(text) > LONGEST_NAME * 2 or any(each in text for each in "*_/:@ "):
        raise _invalid()
    try:
        return idna.encode(text, uts46=True, std3_rules=True).decode().lower()
    except idna.IDNAError:
        raise _invalid() from None


def _invalid() -> DomainInvalid:
    return DomainInvalid(
        _("Enter a domain like shop.example.com, without https:// and without a path."), pointer="/name"
    )


def _is_mixed(label: str) -> bool:
    shown = idna.decode(label) if label.startswith("xn--") else label
    # The first word of a letter's name is its writing system.
    found = {unicodedata.name(each, "?").split()[0] for each in shown if unicodedata.category(each)[0] == "L"}
    return len(found) > 1 and not any(found <= known for known in _MIXED)


def _platform_names() -> set[str]:
    public = urlsplit(settings.PUBLIC_URL).hostname or ""
    return {name.lower() for name in (get_sovereign().domain, public, *settings.POOL_DOMAINS) if "." in name}


def _is_related(name: str, own: str) -> bool:
    """Tell whether one of two names lies below the other: who held the upper one would hold the lower one too."""
    return f".{name}".endswith(f".{own}") or f".{own}".endswith(f".{name}")
