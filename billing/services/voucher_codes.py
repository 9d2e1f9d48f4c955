"""Voucher codes as text: one normal form, generated codes, campaign codes.

The normal form is the only thing that is ever hashed and compared. Source: docs/vouchers.md.
"""

import re
import secrets
import unicodedata

from django.conf import settings

from catalyst.core.crypto import keyed_hash

#: Crockford's base 32: no I, L, O, U.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GENERATED = re.compile(r"[0-9A-HJKMNP-TV-Z]{17}")
CAMPAIGN = re.compile(r"(?=.{6,64}$)[A-Z0-9](?:-?[A-Z0-9])+")
_NORMAL = re.compile(r"[0-9A-Z]{6,64}")
_LOOK_ALIKES = str.maketrans("OIL", "011")
_LONGEST_INPUT = 200


def normalize_code(text: str) -> str | None:
    """Return the normal form, or None when the text cannot be a code."""
    if len(text) > _LONGEST_INPUT:
        return None
    folded = unicodedata.normalize("NFKC", text)
    kept = "".join(
        str(unicodedata.decimal(character)) if character.isdecimal() else character
        for character in folded
        if not (character.isspace() or unicodedata.category(character) in {"Pd", "Cf"})
    )
    normal = kept.upper().translate(_LOOK_ALIKES)
    return normal if _NORMAL.fullmatch(normal) else None


def generate_code() -> str:
    """Return a new code of 80 random bits and one check character, in normal form."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(16))
    return body + _check_character(body)


def has_wrong_check_character(normal: str) -> bool:
    """Whether the text has the shape of a generated code but was mistyped."""
    return bool(GENERATED.fullmatch(normal)) and _check_character(normal[:-1]) != normal[-1]


def display_code(normal: str) -> str:
    """Return a code as it is shown: generated ones in groups of four."""
    if not GENERATED.fullmatch(normal):
        return normal
    return "-".join(normal[start : start + 4] for start in range(0, 17, 4))


def code_key(normal: str) -> bytes:
    """Return the look-up key of a normal form (HMAC-SHA-256 under the Sovereign's pepper)."""
    return keyed_hash(settings.VOUCHER_PEPPER, normal)


def _check_character(body: str) -> str:
    """Luhn's algorithm modulo 32 over the alphabet, from the right, doubling every other character."""
    total = 0
    for position, character in enumerate(reversed(body)):
        value = ALPHABET.index(character) * (2 if position % 2 == 0 else 1)
        total += value // 32 + value % 32
    return ALPHABET[-total % 32]
