"""Private keys as ``cosign generate-key-pair`` writes them."""

import base64
import hashlib
import json
import os

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from nacl.secret import SecretBox


def sealed_pem(
    key: EllipticCurvePrivateKey,
    password: bytes,
    *,
    cost: int = 65536,
    kind: str = "SIGSTORE",
    cipher: str = "nacl/secretbox",
) -> bytes:
    """Seal a key under a password: scrypt stretches it, secretbox encrypts the PKCS #8 bytes."""
    salt, nonce = os.urandom(32), os.urandom(24)
    secret = hashlib.scrypt(password, salt=salt, n=cost, r=8, p=1, maxmem=256 << 20, dklen=32)
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    box = {
        "kdf": {"name": "scrypt", "params": {"N": cost, "r": 8, "p": 1}, "salt": _text(salt)},
        "cipher": {"name": cipher, "nonce": _text(nonce)},
        "ciphertext": _text(SecretBox(secret).encrypt(plain, nonce).ciphertext),
    }
    body = base64.encodebytes(json.dumps(box).encode()).decode()
    return f"-----BEGIN ENCRYPTED {kind} PRIVATE KEY-----\n{body}-----END ENCRYPTED {kind} PRIVATE KEY-----\n".encode()


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
