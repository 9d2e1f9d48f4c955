"""Publish one Blueprint folder to a registry: lint, pack, sign, push, and read it back as a stranger would."""

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from marketplace.services.blueprint_contract import ContractRefused
from marketplace.services.blueprint_folder import read_folder
from marketplace.services.blueprint_lint import is_refused, lint_files, read_tree
from marketplace.services.blueprint_lint.release import shelf_of_folder
from marketplace.services.oci.artifact import digest_of, read_manifest
from marketplace.services.oci.cosign import build_signatures, is_signed, payload_of, sign, signature_tag
from marketplace.services.oci.pack import Packed, check_packable, pack, unpack
from marketplace.services.oci.registry import Location, Registry
from marketplace.services.oci.trust import Signed, fetch_signatures


class VersionTaken(DomainError):
    """The tag names other bytes already. A published version never changes."""

    code = "version_taken"
    status = HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Published:
    """Where it is now. ``reference`` names the tag, ``digest`` the bytes for ever."""

    reference: str
    digest: str


def publish_blueprint(
    *, folder: Path, registry: Registry, location: Location, key: EllipticCurvePrivateKey, source: str = "public"
) -> Published:
    """Publish the version that the folder says; harmless to repeat, and to break off anywhere.

    ``source`` is the shelf that it is meant for. The tag is written last: whoever finds the version by its tag finds
    the signature too.

    :raises ContractRefused: the Blueprint breaks the contract.
    :raises VersionTaken: this version was published with other bytes.
    :raises RegistryUnavailable: the registry refused or did not answer; what it holds by then has no tag.
    """
    _lint(folder, source)
    checked = read_folder(folder, source=source)
    check_packable(folder, checked)
    packed = pack(checked)
    name, version = checked.contract.name, checked.contract.version
    repository = location.repository(name)
    reference = f"{location}/{name}:{version}"
    present = registry.manifest(repository, version)
    if present is not None and digest_of(present) != packed.digest:
        raise VersionTaken(
            _("%(reference)s is published with other bytes. Raise its version.") % {"reference": reference}
        )
    for blob in packed.blobs:
        registry.push_blob(repository, blob)
    registry.push_manifest(repository, packed.digest, packed.manifest)
    push_signature(registry, repository, packed.digest, key=key, reference=f"{location}/{name}")
    registry.push_manifest(repository, version, packed.manifest)
    _read_back(registry, repository, version, packed=packed, key=key, name=name)
    return Published(reference, packed.digest)


def _lint(folder: Path, source: str) -> None:
    findings = lint_files(read_tree(folder), shelf=shelf_of_folder(folder, source), folder=folder.name)
    if is_refused(findings):
        raise ContractRefused([each for each in findings if not each.is_warning])


def push_signature(
    registry: Registry, repository: str, digest: str, *, key: EllipticCurvePrivateKey, reference: str
) -> None:
    """Add our signature of a digest to those that lie there; a second one by the same key is not added."""
    tag = signature_tag(digest)
    present: list[Signed] = []
    if registry.manifest(repository, tag) is not None:
        present = fetch_signatures(registry, repository, digest)
    if any(is_signed(payload, each, digest=digest, key=key.public_key()) for payload, each in present):
        return
    payload = payload_of(digest, reference=reference)
    signed = [*present, (payload, sign(payload, key))]
    manifest, config = build_signatures(signed)
    registry.push_blob(repository, config)
    for text in dict.fromkeys(text for text, _signature in signed):
        registry.push_blob(repository, text)
    registry.push_manifest(repository, tag, manifest)


def _read_back(
    registry: Registry, repository: str, version: str, *, packed: Packed, key: EllipticCurvePrivateKey, name: str
) -> None:
    """Prove that what the registry gives is what was pushed, is signed, and passes the linter."""
    source = registry.manifest(repository, version)
    signatures = fetch_signatures(registry, repository, packed.digest)
    is_ours = any(is_signed(text, each, digest=packed.digest, key=key.public_key()) for text, each in signatures)
    if source != packed.manifest or not is_ours:
        raise VersionTaken(_("The registry gives other bytes than were pushed. Somebody published at the same time."))
    unpack(
        read_manifest(source),
        name=name,
        version=version,
        fetch=lambda layer: registry.blob(repository, layer.digest, size=layer.size),
    )
