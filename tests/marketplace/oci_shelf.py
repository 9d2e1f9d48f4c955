"""A folder of a real registry, with a publisher who signs, and an attacker who can write everything there."""

import hashlib
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from marketplace.models import Blueprint, BlueprintVersion, Category, TrustedKey
from marketplace.services.blueprint_folder import read_folder
from marketplace.services.oci.artifact import digest_of
from marketplace.services.oci.cosign import build_signatures, payload_of, sign, signature_tag
from marketplace.services.oci.keys import public_pem
from marketplace.services.oci.pack import Packed, pack
from marketplace.services.oci.registry import Location, Registry
from marketplace.services.publish_blueprint import Published, publish_blueprint
from marketplace.services.sync_registry import RegistryReport, sync_registry
from marketplace.services.trusted_keys import trust_key
from tests.marketplace.catalogue_rows import NOW, SHIPPED, START

NAME = "bp-notes"


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_folder(
    root: Path, *, version: str = "1.0.0", slug: str = "notes", shipped: str = "vaultwarden", **replaced: str
) -> Path:
    """Make a Blueprint of our own out of a shipped one; ``replaced`` are texts of blueprint.yaml."""
    folder = root / slug
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SHIPPED / "platform" / shipped, folder)
    contract = folder / "blueprint.yaml"
    document = read_folder(SHIPPED / "platform" / shipped).contract
    text = contract.read_text()
    for old, new in {
        f"name: {document.name}": f"name: bp-{slug}",
        f"version: {document.version}": f"version: {version}",
        **replaced,
    }.items():
        assert old in text
        text = text.replace(old, new, 1)
    contract.write_text(text)
    Category.objects.get_or_create(slug=document.card.category, defaults={"title_en": "Shelf"})
    return folder


@dataclass
class Shelf:
    """One location of a registry and the publisher who may sign there."""

    location: Location
    registry: Registry
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    @classmethod
    def of_test(cls, host: str, test: str) -> "Shelf":
        return cls(Location(host, f"t{hashlib.sha256(test.encode()).hexdigest()[:16]}"), Registry(host))

    @property
    def repository(self) -> str:
        return self.location.repository(NAME)

    def trust(
        self, key: ec.EllipticCurvePrivateKey | None = None, *, source: str = "public", may_attest: bool = False
    ) -> TrustedKey:
        return trust_key(
            publisher="Notes Inc.",
            location=str(self.location),
            pem=public_pem((key or self.key).public_key()).encode(),
            source=source,
            may_attest=may_attest,
            actor="test",
            now=START,
        )

    def publish(self, folder: Path, *, source: str = "public") -> Published:
        return publish_blueprint(
            folder=folder, registry=self.registry, location=self.location, key=self.key, source=source
        )

    def sync(self) -> RegistryReport:
        return sync_registry(registry=self.registry, location=self.location, now=NOW)

    def push(self, packed: Packed, *, tag: str = "1.0.0") -> str:
        """Put an artifact there as anybody with write access can: without a signature."""
        for blob in packed.blobs:
            self.registry.push_blob(self.repository, blob)
        self.registry.push_manifest(self.repository, tag, packed.manifest)
        return packed.digest

    def push_parts(self, manifest: bytes, *blobs: bytes, tag: str = "1.0.0") -> str:
        return self.push(Packed(manifest, digest_of(manifest), blobs), tag=tag)

    def sign(
        self,
        digest: str,
        *,
        beside: str | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
        text: bytes = b"",
    ) -> None:
        """Sign a digest, and put the signature beside it or beside another one."""
        payload = text or payload_of(digest, reference=f"{self.location}/{NAME}")
        manifest, config = build_signatures([(payload, sign(payload, key or self.key))])
        for blob in (payload, config):
            self.registry.push_blob(self.repository, blob)
        self.registry.push_manifest(self.repository, signature_tag(beside or digest), manifest)

    def reasons(self) -> list[str]:
        """Sync and return why things were refused; nothing may have been taken."""
        report = self.sync()
        assert report.created == []
        assert not BlueprintVersion.objects.exists()
        assert not Blueprint.objects.exists()
        return [refusal.reason for refusal in report.refused]


def packed(folder: Path) -> Packed:
    return pack(read_folder(folder))
