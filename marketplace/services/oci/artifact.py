"""The form of a published Blueprint: one OCI manifest, and the limits that every reader of one keeps.

Layers, each at most once, in this order: ``blueprint.yaml`` as it is, the manifests or the chart, the other files
(card, texts, tests), the SBOM. One signature over the manifest's digest covers all of them, because the manifest names
each by its digest.

Source: OCI image specification 1.0, "Image Manifest"; blueprints.md §6 of the design.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.catalyst.blueprint.config.v1+json"
CONTRACT = "application/vnd.catalyst.blueprint.v1+yaml"
CONTENT = "application/vnd.cncf.flux.content.v1.tar+gzip"
CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
FOLDER = "application/vnd.catalyst.blueprint.folder.v1.tar+gzip"
SBOM = "application/vnd.cyclonedx+json"
LAYERS = (CONTRACT, CONTENT, CHART, FOLDER, SBOM)

MAX_MANIFEST = 64 * 1024
#: Bytes of all layers together, as they travel.
MAX_LAYERS = 6 * 1024 * 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MANIFEST_FIELDS = frozenset({"schemaVersion", "mediaType", "artifactType", "config", "layers", "annotations"})
_DESCRIPTOR_FIELDS = frozenset({"mediaType", "digest", "size", "annotations"})


class ArtifactRefused(DomainError):
    """What the registry holds is not what a publisher signed, or not a Blueprint; the message says why."""

    code = "artifact_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of one blob. ``size`` is in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A checked manifest: its own bytes, their digest, and what it names."""

    source: bytes
    digest: str
    config: Descriptor
    layers: tuple[Descriptor, ...]


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_digest(text: Any) -> bool:
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def canonical_json(data: Any) -> bytes:
    """Write JSON so that equal data is equal bytes."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def build_manifest(config: bytes, layers: Sequence[tuple[str, bytes]], *, config_type: str = CONFIG) -> bytes:
    """Write the manifest of these blobs; equal blobs give equal bytes."""
    described = [describe(media_type, content) for media_type, content in layers]
    return canonical_json(
        {"schemaVersion": 2, "mediaType": MANIFEST, "config": describe(config_type, config), "layers": described}
    )


def describe(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def read_manifest(source: bytes) -> Manifest:
    """Read the bytes of a manifest strictly: a field that we do not know could mean something to another reader.

    :raises ArtifactRefused: too large, not JSON, an index of several manifests, unknown fields, or bad descriptors.
    """
    data = read_json(source, limit=MAX_MANIFEST)
    if not isinstance(data, dict) or not set(data) <= _MANIFEST_FIELDS or data.get("schemaVersion") != 2:
        raise ArtifactRefused(_("The manifest is not one OCI image manifest with config and layers, and nothing else."))
    layers = data.get("layers")
    if data.get("mediaType", MANIFEST) != MANIFEST or not isinstance(layers, list) or not 1 <= len(layers) <= 32:
        raise ArtifactRefused(_("The manifest is not one OCI image manifest with config and layers, and nothing else."))
    return Manifest(
        source=source,
        digest=digest_of(source),
        config=_descriptor(data.get("config")),
        layers=tuple(_descriptor(layer) for layer in layers),
    )


def read_json(source: bytes, *, limit: int) -> Any:
    """Read untrusted JSON of at most ``limit`` bytes.

    :raises ArtifactRefused: too long, not UTF-8, not JSON, too deep for its reader, or a key that stands twice.
    """
    if len(source) > limit:
        raise ArtifactRefused(_("The document has more than %(limit)d bytes.") % {"limit": limit})
    try:
        return json.loads(source.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise ArtifactRefused(_("The document is not JSON.")) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key stands twice")
    return data


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a number")


def _descriptor(data: Any) -> Descriptor:
    if not isinstance(data, dict) or not set(data) <= _DESCRIPTOR_FIELDS:
        raise ArtifactRefused(_("A part of the manifest has fields that no Blueprint needs, such as urls."))
    size, annotations = data.get("size"), data.get("annotations", {})
    is_size = isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= MAX_LAYERS
    is_text = isinstance(annotations, dict) and all(isinstance(value, str) for value in annotations.values())
    if not is_digest(data.get("digest")) or not isinstance(data.get("mediaType"), str) or not is_text:
        raise ArtifactRefused(_("A part of the manifest lacks its kind or its sha256 digest."))
    if not is_size:
        raise ArtifactRefused(_("A part of the artifact is larger than %(limit)d bytes.") % {"limit": MAX_LAYERS})
    return Descriptor(data["mediaType"], data["digest"], data["size"], annotations)
