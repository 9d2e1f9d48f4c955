"""Signatures and keys are cosign's: checked against what cosign itself wrote, and against OpenSSL.

The recorded signatures were made by cosign for two public images on Docker Hub and are public there, under the tag
``sha256-<digest>.sig``; the second one also stands in the transparency log of sigstore, at index 947581057.
"""

import base64
import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)

from marketplace.services.oci.artifact import digest_of, read_manifest
from marketplace.services.oci.cosign import build_signatures, is_signed, payload_of, sign, signature_tag, signed_digest
from marketplace.services.oci.keys import KeyRefused, fingerprint, public_pem, read_private_key, read_public_key
from tests.marketplace.cosign_keys import sealed_pem
from tests.marketplace.oci_shelf import new_key, private_pem

#: ``cosign sign --key cosign.key`` with two annotations.
KEY = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1v7QqfpilW7M0hPKh9BrcwScONN1
9rmHh4yARUWkxWK4OsNgQGfQ+15Sbrk0tlsR4sg26gaLuHgP8KFsXBH7Dw==
-----END PUBLIC KEY-----
"""
KEY_FINGERPRINT = "sha256:2b20bfe7bb76a7405dfcc75193e7768c41c1fffa28aeabc15e7ad21b0fdc9a89"
DIGEST = "sha256:9ec06569f1c169d4c5b380c64b803d287468d95429dab4e4449842f93a252049"
SIGNATURE = "MEUCIAoXDplWGo0Tn2K1E/Ny2kiTHhdN1+i06d7Pu/FVN1EkAiEA2ggnIc7AVnPcmM5R/7w1hNshpOfpY0d7GJ3+bJJwcSA="

#: Signed with a short-lived key; here only the key of its certificate matters.
KEYLESS = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAER6duhRmzHBHgkD4PnxT9K6TRqA1m
kgz6Nc6DC93senmNsvGm4WkrD77Nl9J+2GyO+ywpKYFg7YZQCHOdActM1A==
-----END PUBLIC KEY-----
"""
KEYLESS_DIGEST = "sha256:bbfdc97be6fbabb8be57c346c47816c8a95904b14448270cd0585a822c33961a"
KEYLESS_REFERENCE = "index.docker.io/salrashid123/server_image"
KEYLESS_SIGNATURE = "MEUCIFy5OPhAZa2AGGtF9I+fUXP6vs5+DUWgnmLiyCiduxOgAiEAvoFkpgnn8kTVQHHDdko+fXDhe8q559g5rmgi6Y91y+c="
KEYLESS_PAYLOAD_DIGEST = "sha256:da86794cea5a72a0ca216ca9c7ad9b38b1c50e5604a71762bcac58bab059cbe8"
KEYLESS_CONFIG_DIGEST = "sha256:b8156ee8ea88b6b80041174a39c3ea45048598b4b7f5f15ee6e2d246671559bf"


def recorded_payload() -> bytes:
    """Return the text that cosign signed with a key and annotations, byte for byte."""
    annotations = {
        "dev.cosignproject.cosign/pub": base64.b64encode(KEY).decode().rstrip("="),
        "dev.cosignproject.cosign/sigalg": "ECDSA_P256_SHA256",
    }
    plain = json.loads(payload_of(DIGEST, reference="index.docker.io/salrashid123/myimage"))
    return json.dumps(plain | {"optional": annotations}, separators=(",", ":")).encode()


def test_accepts_what_cosign_signed_with_a_key() -> None:
    key = read_public_key(KEY)

    assert fingerprint(key) == KEY_FINGERPRINT
    assert is_signed(recorded_payload(), SIGNATURE, digest=DIGEST, key=key)


def test_accepts_what_cosign_signed_without_a_key_pair() -> None:
    payload = payload_of(KEYLESS_DIGEST, reference=KEYLESS_REFERENCE)

    assert is_signed(payload, KEYLESS_SIGNATURE, digest=KEYLESS_DIGEST, key=read_public_key(KEYLESS))


@pytest.mark.parametrize(
    ("payload", "signature", "digest", "key"),
    [
        (recorded_payload() + b" ", SIGNATURE, DIGEST, KEY),
        (recorded_payload(), KEYLESS_SIGNATURE, DIGEST, KEY),
        (recorded_payload(), SIGNATURE, KEYLESS_DIGEST, KEY),
        (recorded_payload(), SIGNATURE, DIGEST, KEYLESS),
        (recorded_payload(), f"{SIGNATURE}!", DIGEST, KEY),
        (recorded_payload(), "", DIGEST, KEY),
    ],
    ids=["payload", "signature", "digest", "key", "letters", "empty"],
)
def test_refuses_it_when_one_thing_is_another(payload: bytes, signature: str, digest: str, key: bytes) -> None:
    assert not is_signed(payload, signature, digest=digest, key=read_public_key(key))


def test_writes_the_bytes_that_cosign_wrote() -> None:
    payload = payload_of(KEYLESS_DIGEST, reference=KEYLESS_REFERENCE)

    manifest, config = build_signatures([(payload, KEYLESS_SIGNATURE)])

    read = read_manifest(manifest)
    assert (digest_of(payload), len(payload)) == (KEYLESS_PAYLOAD_DIGEST, 257)
    assert (digest_of(config), len(config)) == (KEYLESS_CONFIG_DIGEST, 233)
    assert read.config.digest == KEYLESS_CONFIG_DIGEST
    assert (read.config.media_type, read.layers[0].media_type) == (
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.dev.cosign.simplesigning.v1+json",
    )
    assert read.layers[0].digest == KEYLESS_PAYLOAD_DIGEST
    assert dict(read.layers[0].annotations) == {"dev.cosignproject.cosign/signature": KEYLESS_SIGNATURE}
    assert signature_tag(KEYLESS_DIGEST) == f"sha256-{KEYLESS_DIGEST[7:]}.sig"


def test_openssl_verifies_what_we_signed(tmp_path: Path) -> None:
    key = new_key()
    payload = payload_of(DIGEST, reference="registry.example.om/catalog/bp-notes")
    for name, content in {
        "cosign.pub": public_pem(key.public_key()).encode(),
        "payload": payload,
        "signature": base64.b64decode(sign(payload, key)),
    }.items():
        (tmp_path / name).write_bytes(content)

    verdict = subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", "cosign.pub", "-signature", "signature", "payload"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert verdict.stdout == "Verified OK\n"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'{"critical":null}',
        b'{"critical":{"image":{"docker-manifest-digest":"sha256:00"},"type":"cosign container image signature"}}',
        payload_of(DIGEST, reference="x").replace(b"cosign container image signature", b"atomic container signature"),
        payload_of(DIGEST, reference="x").replace(b'"critical"', b'"critical":null,"critical"', 1),
        payload_of(DIGEST, reference="x" * 16384),
    ],
    ids=["empty", "list", "null", "short-digest", "type", "twice", "long"],
)
def test_reads_no_digest_out_of_a_text_that_is_not_cosigns(payload: bytes) -> None:
    assert signed_digest(payload) is None


@pytest.mark.parametrize(("kind", "cost"), [("SIGSTORE", 65536), ("COSIGN", 32768)])
def test_opens_a_sealed_private_key(kind: str, cost: int) -> None:
    key = new_key()
    pem = sealed_pem(key, b"a password", kind=kind, cost=cost)

    assert fingerprint(read_private_key(pem, password=b"a password").public_key()) == fingerprint(key.public_key())
    with pytest.raises(KeyRefused, match="password"):
        read_private_key(pem, password=b"another password")


def test_opens_plain_and_encrypted_pkcs8() -> None:
    key = new_key()
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a password"))

    for pem, password in ((private_pem(key), b""), (sealed, b"a password")):
        assert fingerprint(read_private_key(pem, password=password).public_key()) == fingerprint(key.public_key())
    with pytest.raises(KeyRefused, match="password"):
        read_private_key(sealed, password=b"")


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nbm90IGEga2V5\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n",
        KEY,
        sealed_pem(new_key(), b"", cipher="rot13"),
        sealed_pem(new_key(), b"", cost=1024),
        private_pem(ec.generate_private_key(ec.SECP384R1())),
        private_pem(rsa.generate_private_key(65537, 2048)),
    ],
    ids=["empty", "sealed-nonsense", "nonsense", "public", "cipher", "cost", "P-384", "RSA"],
)
def test_refuses_what_is_no_private_key_of_ours(pem: bytes) -> None:
    with pytest.raises(KeyRefused):
        read_private_key(pem, password=b"")


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN PUBLIC KEY-----\nbm90IGEga2V5\n-----END PUBLIC KEY-----\n",
        private_pem(new_key()),
        rsa.generate_private_key(65537, 2048)
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["empty", "nonsense", "private", "RSA"],
)
def test_refuses_what_is_no_public_key_of_ours(pem: bytes) -> None:
    with pytest.raises(KeyRefused):
        read_public_key(pem)
