"""Keys in the forms that cosign keeps them in: a public key as PEM, a private one as PEM under a password.

Source: cosign "Key formats"; NaCl secretbox (XSalsa20 and Poly1305); RFC 7914 (scrypt); RFC 5958 (PKCS #8).
"""

import base64
import binascii
import hashlib
import json
import re
from http import HTTPStatus
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
    load_pem_public_key,
)
from django.utils.translation import gettext as _
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from catalyst.core.errors import DomainError

MAX_KEY = 16 * 1024
_SEALED = re.compile(
    rb"-----BEGIN ENCRYPTED (?P<kind>COSIGN|SIGSTORE) PRIVATE KEY-----\s+(?P<body>[A-Za-z0-9+/=\s]+?)\s*"
    rb"-----END ENCRYPTED (?P=kind) PRIVATE KEY-----\s*"
)
#: What cosign has written: 2^15 first, 2^16 later. More would let a file take our memory.
_COSTS = (2**15, 2**16, 2**17)


class KeyRefused(DomainError):
    """The file is not a key that signs or verifies Blueprints, or the password is another one."""

    code = "key_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


def read_public_key(pem: bytes) -> EllipticCurvePublicKey:
    """Read a public key as ``cosign.pub`` holds it.

    :raises KeyRefused: not PEM, or not an ECDSA key on P-256.
    """
    try:
        key = load_pem_public_key(pem[:MAX_KEY])
    except (ValueError, UnsupportedAlgorithm):
        raise KeyRefused(_("This is not a public key in PEM form, like cosign.pub.")) from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise KeyRefused(_("Only ECDSA keys on the curve P-256 are accepted."))
    return key


def read_private_key(pem: bytes, *, password: bytes) -> EllipticCurvePrivateKey:
    """Read a private key as ``cosign.key`` holds it, or as plain or encrypted PKCS #8.

    :raises KeyRefused: neither of them, another password, or not an ECDSA key on P-256.
    """
    sealed = _SEALED.fullmatch(pem.strip()[:MAX_KEY])
    try:
        if sealed:
            key = load_der_private_key(_open(sealed["body"], password), password=None)
        else:
            is_encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem
            key = load_pem_private_key(pem[:MAX_KEY], password=password if is_encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyRefused(_("This is not a private key in PEM form, or its password is another one.")) from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise KeyRefused(_("Only ECDSA keys on the curve P-256 are accepted."))
    return key


def public_pem(key: EllipticCurvePublicKey) -> str:
    """Write a public key as cosign does."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def fingerprint(key: EllipticCurvePublicKey) -> str:
    """Return the sha256 of the key itself, whatever the spelling of its PEM file."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def _open(body: bytes, password: bytes) -> bytes:
    """Decrypt the PKCS #8 bytes of a ``cosign.key``."""
    try:
        box = json.loads(base64.b64decode(b"".join(body.split()), validate=True))
        kdf, cipher = box["kdf"], box["cipher"]
        if (kdf["name"], cipher["name"]) != ("scrypt", "nacl/secretbox"):
            raise KeyRefused(_("The private key is encrypted in a way that cosign does not use."))
        secret = _stretch(password, kdf)
        return bytes(SecretBox(secret).decrypt(_base64(box["ciphertext"]), _base64(cipher["nonce"])))
    except CryptoError:
        raise KeyRefused(_("The password of the private key is another one.")) from None
    except (binascii.Error, KeyError, TypeError, RecursionError):
        raise ValueError("not a sealed key") from None


def _stretch(password: bytes, kdf: dict[str, Any]) -> bytes:
    params = kdf["params"]
    if params["N"] not in _COSTS or (params["r"], params["p"]) != (8, 1):
        raise KeyRefused(_("The private key is encrypted in a way that cosign does not use."))
    room = 128 * 8 * (params["N"] + 4) + (1 << 20)
    return hashlib.scrypt(password, salt=_base64(kdf["salt"]), n=params["N"], r=8, p=1, maxmem=room, dklen=32)


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
