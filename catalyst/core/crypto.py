"""Secrets at rest: AES-256-GCM bound to the place where the ciphertext stands.

A sealed value reads ``v1:<key id>:<nonce>:<ciphertext>``. Every scope (an Organization, or the Sovereign) has its own
key, derived from a master key that lives outside the database, so a ciphertext moved to another row or Organization
does not open.
Source: docs/operations.md, "Keys"; RFC 5869 for the derivation.
"""

import base64
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_NONCE_BYTES = 12


class SealBroken(Exception):
    """The value cannot be opened: wrong place, wrong key, or altered bytes. Never shown to people as it is."""


def seal(plaintext: str, *, place: str, scope: str = "sovereign") -> str:
    """Encrypt for one ``place`` (table, row, column) of one ``scope`` (``organization:<id>`` or ``sovereign``)."""
    master = settings.CATALYST_MASTER_KEYS[0]
    nonce = os.urandom(_NONCE_BYTES)
    ciphertext = AESGCM(_data_key(master, scope)).encrypt(nonce, plaintext.encode(), _associated(place, scope))
    return f"v1:{_key_id(master)}:{_encode(nonce)}:{_encode(ciphertext)}"


def unseal(sealed: str, *, place: str, scope: str = "sovereign") -> str:
    """Decrypt what ``seal`` made for the same place and scope.

    :raises SealBroken: the value is malformed, altered, from another place, or its master key is not configured.
    """
    try:
        version, key_id, nonce, ciphertext = sealed.split(":")
        master = next(key for key in settings.CATALYST_MASTER_KEYS if _key_id(key) == key_id)
        if version != "v1":
            raise SealBroken("unknown version")
        cipher = AESGCM(_data_key(master, scope))
        return cipher.decrypt(_decode(nonce), _decode(ciphertext), _associated(place, scope)).decode()
    except (ValueError, StopIteration, InvalidTag) as error:
        raise SealBroken(type(error).__name__) from None


def keyed_hash(pepper: str, text: str) -> bytes:
    """Return HMAC-SHA-256 of ``text`` under a base64 pepper: the only form in which secret codes are compared."""
    return hmac.digest(base64.b64decode(pepper), text.encode(), "sha256")


def _data_key(master: str, scope: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"catalyst data key {scope}".encode()).derive(
        base64.b64decode(master)
    )


def _key_id(master: str) -> str:
    return hashlib.sha256(base64.b64decode(master)).hexdigest()[:8]


def _associated(place: str, scope: str) -> bytes:
    return f"{scope}|{place}".encode()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text)
