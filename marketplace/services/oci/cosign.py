"""Signatures in cosign's format: ECDSA P-256 over a "simple signing" text that names one digest.

A signature lies beside what it signs, under the tag ``sha256-<digest>.sig``: a manifest whose layers are the signed
texts, each with its signature as an annotation. The registries that we meet need not know referrers.

Source: cosign SIGNATURE_SPEC ("Storage", "Payload", "Signature"); containers/image "container-signature".
"""

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from marketplace.services.oci.artifact import (
    MANIFEST,
    ArtifactRefused,
    canonical_json,
    describe,
    digest_of,
    is_digest,
    read_json,
)

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
ANNOTATION = "dev.cosignproject.cosign/signature"
MAX_PAYLOAD = 16 * 1024
MAX_SIGNATURES = 16
_CONFIG = "application/vnd.oci.image.config.v1+json"
_NEVER = "0001-01-01T00:00:00Z"
_TYPE = "cosign container image signature"


def signature_tag(digest: str) -> str:
    """Return the tag under which the signatures of this digest lie."""
    return f"{digest.replace(':', '-')}.sig"


def payload_of(digest: str, *, reference: str) -> bytes:
    """Write the text to sign; ``reference`` is the repository without tag, which is information and proves nothing."""
    critical = {
        "identity": {"docker-reference": reference},
        "image": {"docker-manifest-digest": digest},
        "type": _TYPE,
    }
    return canonical_json({"critical": critical, "optional": None})


def sign(payload: bytes, key: EllipticCurvePrivateKey) -> str:
    """Return the signature of a payload as its annotation holds it."""
    return base64.b64encode(key.sign(payload, ECDSA(SHA256()))).decode()


def is_signed(payload: bytes, signature: str, *, digest: str, key: EllipticCurvePublicKey) -> bool:
    """Tell whether this key signed this payload, and the payload names exactly this digest.

    The order matters: not one field of the payload is read before the signature over its bytes is proven.
    """
    try:
        key.verify(base64.b64decode(signature, validate=True), payload, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return signed_digest(payload) == digest


def signed_digest(payload: bytes) -> str | None:
    """Return the digest that a payload names, None when it is not cosign's."""
    try:
        data = read_json(payload, limit=MAX_PAYLOAD)
        critical = data["critical"]
        digest = critical["image"]["docker-manifest-digest"]
        is_cosign = critical["type"] == _TYPE
    except (ArtifactRefused, KeyError, TypeError):
        return None
    return digest if is_cosign and is_digest(digest) else None


def build_signatures(signed: Iterable[tuple[bytes, str]]) -> tuple[bytes, bytes]:
    """Write the manifest of these (payload, signature) pairs, and its config, which registries ask for."""
    pairs = list(signed)
    ids = [digest_of(payload) for payload, _signature in pairs]
    # In cosign's own order, so that the bytes are the ones that cosign writes.
    config = json.dumps(
        {
            "architecture": "",
            "created": _NEVER,
            "history": [{"created": _NEVER} for _ in pairs],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": ids},
            "config": {},
        },
        separators=(",", ":"),
    ).encode()
    layers: list[dict[str, Any]] = [
        describe(PAYLOAD, payload) | {"annotations": {ANNOTATION: signature}} for payload, signature in pairs
    ]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": describe(_CONFIG, config), "layers": layers}
    return canonical_json(manifest), config
