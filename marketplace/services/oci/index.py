"""The form of a catalogue index: many verified artifacts in a few blobs, so that a Sovereign asks a handful of times.

One OCI image manifest. Its configuration says serial number, rules and how many versions; its layers are packs. A pack
is frames, each a gzip member of its own. A frame holds some versions of one Blueprint: a line of JSON that names the
versions, by the digest of their artifact, and the blobs that follow, each once; then these blobs, end to end. Among
them are the artifacts' own manifests, so every digest is proven from the bytes, and nothing in a frame is believed for
its name.

Source: docs/decisions/0011-signed-catalogue-index.md; RFC 1952 (gzip).
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from django.utils.translation import gettext as _

from marketplace.services.oci.artifact import (
    MAX_LAYERS,
    MAX_MANIFEST,
    ArtifactRefused,
    Manifest,
    build_manifest,
    canonical_json,
    digest_of,
    is_digest,
    read_json,
)

INDEX: Final = "catalogue-index"
TAG: Final = "latest"
CONFIG: Final = "application/vnd.catalyst.catalogue-index.config.v1+json"
PACK: Final = "application/vnd.catalyst.catalogue-index.pack.v1+gzip"

#: So many versions stand in one frame, and are registered in one transaction.
MAX_VERSIONS: Final = 20
#: Bytes of the blobs of one frame; one artifact always fits.
MAX_FRAME: Final = MAX_LAYERS + MAX_MANIFEST
MAX_CONFIG: Final = 4 * 1024
MAX_PACKS: Final = 32
_MAX_HEADER: Final = 64 * 1024
_MAX_UNPACKED: Final = 512 * 1024 * 1024
_MAX_SERIAL: Final = 2**53


@dataclass(frozen=True, slots=True)
class Head:
    """What an index says of itself. ``rules`` names the linter that judged its ``versions``, by digest."""

    serial: int
    rules: str
    versions: int


@dataclass(frozen=True, slots=True)
class Artifact:
    """One published version as the registry holds it: its manifest's bytes, and the blobs that it names, by digest."""

    version: str
    manifest: bytes
    blobs: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Frame:
    """Versions of one Blueprint as (version, digest), and blobs by the digest that they were said to have."""

    name: str
    versions: tuple[tuple[str, str], ...]
    blobs: Mapping[str, bytes]

    def blob(self, digest: str) -> bytes:
        """Return one blob, proven.

        :raises ArtifactRefused: the index lacks it, or it has another digest.
        """
        content = self.blobs.get(digest)
        if content is None:
            raise ArtifactRefused(_("The catalogue index lacks a part of the artifact."))
        if digest_of(content) != digest:
            raise ArtifactRefused(_("The catalogue index holds other bytes than their digest says."))
        return content


def write_index(head: Head, packs: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the manifest of an index and its configuration.

    :raises ArtifactRefused: there are no packs, or more than a manifest may name.
    """
    if not 1 <= len(packs) <= MAX_PACKS:
        raise ArtifactRefused(_("A catalogue index has between 1 and %(limit)d packs.") % {"limit": MAX_PACKS})
    config = canonical_json({"serial": head.serial, "rules": head.rules, "versions": head.versions})
    return build_manifest(config, [(PACK, pack) for pack in packs], config_type=CONFIG), config


def check_index(manifest: Manifest) -> None:
    """Check that this manifest, read already, is one of an index.

    :raises ArtifactRefused: it has other parts.
    """
    kinds = {layer.media_type for layer in manifest.layers}
    if manifest.config.media_type != CONFIG or kinds != {PACK} or manifest.config.size > MAX_CONFIG:
        raise ArtifactRefused(_("The artifact has other parts than a catalogue index has."))


def read_head(config: bytes) -> Head:
    """Read the configuration of a verified index.

    :raises ArtifactRefused: it says something else than serial, rules and number of versions.
    """
    data = read_json(config, limit=MAX_CONFIG)
    if not isinstance(data, dict) or set(data) != {"serial", "rules", "versions"}:
        raise _malformed()
    numbers = [data["serial"], data["versions"]]
    if any(type(each) is not int or not 0 < each < _MAX_SERIAL for each in numbers) or not is_digest(data["rules"]):
        raise _malformed()
    return Head(data["serial"], data["rules"], data["versions"])


def write_frames(name: str, artifacts: Iterable[Artifact]) -> Iterator[bytes]:
    """Write the versions of one Blueprint, from old to new, as frames of at most ``MAX_VERSIONS``."""
    waiting: list[Artifact] = []
    size = 0
    for each in artifacts:
        own = len(each.manifest) + sum(map(len, each.blobs.values()))
        if waiting and (len(waiting) == MAX_VERSIONS or size + own > MAX_FRAME):
            yield _frame(name, waiting)
            waiting, size = [], 0
        waiting.append(each)
        size += own
    if waiting:
        yield _frame(name, waiting)


def write_packs(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Squeeze frames, each on its own, and put them together into packs, in their order.

    :raises ArtifactRefused: one frame alone is larger than a layer may be.
    """
    pack = b""
    for frame in frames:
        squeezed = gzip.compress(frame, 6, mtime=0)
        if len(squeezed) > MAX_LAYERS:
            raise ArtifactRefused(_("The catalogue index is larger than it may be."))
        if len(pack) + len(squeezed) > MAX_LAYERS:
            yield pack
            pack = b""
        pack += squeezed
    if pack:
        yield pack


def read_frames(pack: bytes, *, is_wanted: Callable[[str, str], bool]) -> Iterator[Frame]:
    """Read the frames of one pack, one at a time; those without a wanted (name, version) are passed over.

    :raises ArtifactRefused: not gzip, not frames, or larger than any honest pack.
    """
    left = _MAX_UNPACKED
    with gzip.GzipFile(fileobj=io.BytesIO(pack)) as stream:
        while header := _read(stream.readline, _MAX_HEADER + 1):
            name, versions, sizes = _header(header)
            total = sum(sizes.values())
            left -= len(header) + total
            if left < 0 or total > MAX_FRAME:
                raise ArtifactRefused(_("The catalogue index is larger than it may be."))
            body = _read(stream.read, total)
            if len(body) != total:
                raise _malformed()
            if any(is_wanted(name, version) for version, _digest in versions):
                yield Frame(name, versions, _cut(body, sizes))


def _frame(name: str, artifacts: Sequence[Artifact]) -> bytes:
    blobs: dict[str, bytes] = {}
    versions = []
    for each in artifacts:
        digest = digest_of(each.manifest)
        versions.append([each.version, digest])
        blobs |= {digest: each.manifest, **each.blobs}
    # Of one size stand beside each other, so that gzip sees what they share: its window is 32 KiB.
    ordered = sorted(blobs.items(), key=lambda each: len(each[1]))
    header = {
        "name": name,
        "versions": versions,
        "blobs": [[digest, len(content)] for digest, content in ordered],
    }
    return b"".join((canonical_json(header), b"\n", *(content for _digest, content in ordered)))


def _read(read: Any, size: int) -> bytes:
    try:
        return cast(bytes, read(size))
    except (OSError, EOFError, zlib.error):
        raise ArtifactRefused(_("A layer is not compressed with gzip.")) from None


def _header(line: bytes) -> tuple[str, tuple[tuple[str, str], ...], dict[str, int]]:
    data = read_json(line, limit=_MAX_HEADER)
    if not isinstance(data, dict) or set(data) != {"name", "versions", "blobs"} or not isinstance(data["name"], str):
        raise _malformed()
    versions, blobs = _pairs(data["versions"], str), _pairs(data["blobs"], int)
    if not 1 <= len(versions) <= MAX_VERSIONS or not all(is_digest(digest) for _version, digest in versions):
        raise _malformed()
    sizes: dict[str, int] = {digest: size for digest, size in blobs}
    is_sound = len(sizes) == len(blobs) and all(is_digest(each) for each in sizes)
    if not is_sound or any(not 0 <= size <= MAX_LAYERS for size in sizes.values()):
        raise _malformed()
    return data["name"], tuple((version, digest) for version, digest in versions), sizes


def _pairs(data: Any, second: type) -> list[Any]:
    """Return a list of [text, ``second``] as it is."""
    is_list = isinstance(data, list)
    if not is_list or any(
        not isinstance(each, list) or [type(part) for part in each] != [str, second] for each in data
    ):
        raise _malformed()
    return cast(list[Any], data)


def _cut(body: bytes, sizes: Mapping[str, int]) -> dict[str, bytes]:
    blobs, start = {}, 0
    for digest, size in sizes.items():
        blobs[digest] = body[start : start + size]
        start += size
    return blobs


def _malformed() -> ArtifactRefused:
    return ArtifactRefused(_("The catalogue index is malformed."))
