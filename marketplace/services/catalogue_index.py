"""Publish a catalogue index: judge what lies in a folder of a registry, and vouch for it with one signature.

What an earlier index by the same key and the same linter says was judged; only what came since is read and judged.

Source: docs/decisions/0011-signed-catalogue-index.md.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from django.utils.translation import gettext as _

from marketplace.models import TrustedKey
from marketplace.services.blueprint_folder import BlueprintFolder
from marketplace.services.blueprint_lint import Published
from marketplace.services.oci.artifact import ArtifactRefused, digest_of, read_manifest
from marketplace.services.oci.index import (
    INDEX,
    TAG,
    Artifact,
    Frame,
    Head,
    read_frames,
    write_frames,
    write_index,
    write_packs,
)
from marketplace.services.oci.keys import public_pem
from marketplace.services.oci.pack import unpack
from marketplace.services.oci.registry import Location, Registry
from marketplace.services.publish_blueprint import VersionTaken, push_signature
from marketplace.services.ruleset import ruleset
from marketplace.services.sync_catalog import SyncReport
from marketplace.services.sync_index import SignedIndex, read_packs, verify_index
from marketplace.services.sync_prove import unpack_version
from marketplace.services.sync_run import Refusal, Run, Verified, order_of


@dataclass(frozen=True, slots=True)
class PublishedIndex:
    """What stands in the registry now. ``refused`` is left out; ``is_new`` is False when nothing had changed."""

    reference: str
    digest: str
    head: Head
    refused: Sequence[Refusal]
    is_new: bool


def publish_catalogue_index(
    *,
    registry: Registry,
    location: Location,
    key: EllipticCurvePrivateKey,
    signers: Sequence[EllipticCurvePublicKey] = (),
    source: str = "public",
    now: datetime,
) -> PublishedIndex:
    """Judge every version that ``key`` or one of ``signers`` signed there, and publish an index of the sound ones.

    They are judged as for the shelf ``source``, among each other and what this installation's catalogue has. The tag
    is written last; to repeat it is harmless.

    :raises ArtifactRefused: there is nothing to put into an index, or more than one index holds.
    :raises VersionTaken: somebody published at the same time.
    :raises RegistryUnavailable: the registry refused or did not answer.
    """
    desk = _Desk(registry, location, _previous(registry, location, key))
    run = Run(
        registry, location, _believed(location, source, [key.public_key(), *signers]), desk.accept, now, own=desk.own
    )
    tags = dict(run.lists(sorted(registry.repositories(location.path))))
    desk.remember(run, tags)
    run.take_tags(
        [(name, tag) for name, each in tags.items() for tag in each if tag not in desk.accepted.get(name, {})]
    )
    refused = list(run.refused.values())
    before = desk.before
    if before is not None and desk.is_as_before():
        return PublishedIndex(f"{location}/{INDEX}:{TAG}", before.digest, before.head, refused, is_new=False)
    serial = max(before.head.serial + 1 if before else 1, int(now.timestamp()))
    head = Head(serial, ruleset(), sum(map(len, desk.accepted.values())))
    digest = push_index(registry, location, head, desk.frames(), key=key)
    return PublishedIndex(f"{location}/{INDEX}:{TAG}", digest, head, refused, is_new=True)


def push_index(
    registry: Registry, location: Location, head: Head, frames: Iterable[bytes], *, key: EllipticCurvePrivateKey
) -> str:
    """Sign an index of these frames and put it into the registry; return its digest.

    :raises ArtifactRefused: there are no frames, or more than one index holds.
    :raises VersionTaken: somebody published at the same time.
    """
    repository = location.repository(INDEX)
    packs = list(write_packs(frames))
    manifest, config = write_index(head, packs)
    digest = digest_of(manifest)
    for blob in (config, *packs):
        registry.push_blob(repository, blob)
    registry.push_manifest(repository, digest, manifest)
    push_signature(registry, repository, digest, key=key, reference=f"{location}/{INDEX}")
    registry.push_manifest(repository, TAG, manifest)
    if registry.manifest(repository, TAG) != manifest:
        raise VersionTaken(_("The registry gives other bytes than were pushed. Somebody published at the same time."))
    return digest


def _believed(location: Location, source: str, keys: Iterable[EllipticCurvePublicKey]) -> list[TrustedKey]:
    """Return keys as a Sovereign would have them; none is written down here."""
    return [TrustedKey(location=str(location), source=source, public_key=public_pem(key)) for key in keys]


def _previous(registry: Registry, location: Location, key: EllipticCurvePrivateKey) -> SignedIndex | None:
    """Return the index that lies there, if it is ours."""
    source = registry.manifest(location.repository(INDEX), TAG)
    if source is None:
        return None
    try:
        return verify_index(registry, location, source, _believed(location, "public", [key.public_key()]))
    except ArtifactRefused:
        return None


@dataclass
class _Desk:
    """What was judged sound, as version to digest by name, and where its bytes are."""

    registry: Registry
    location: Location
    before: SignedIndex | None
    accepted: dict[str, dict[str, str]] = field(default_factory=dict)

    def accept(self, *, verified: Sequence[Verified], reference: str, now: datetime) -> SyncReport:
        """Take in what a run judged sound."""
        for each in verified:
            self.accepted.setdefault(each.folder.contract.name, {})[each.folder.contract.version] = each.digest
        return SyncReport()

    def remember(self, run: Run, tags: Mapping[str, Sequence[str]]) -> None:
        """Take in what the earlier index says was judged by these rules, unless its tag is gone."""
        if self.before is None or self.before.head.rules != ruleset():
            return
        for frame in self._frames_before():
            for version, digest in frame.versions:
                if version in tags.get(frame.name, ()):
                    contract = unpack_version(frame, version, digest).contract
                    self.accepted.setdefault(frame.name, {})[version] = digest
                    run.shelf.add_known(frame.name, Published(version, digest, contract.document["spec"]))

    def is_as_before(self) -> bool:
        """Tell whether the earlier index says the same."""
        if self.before is None or self.before.head.rules != ruleset():
            return False
        versions = [(frame.name, *each) for frame in self._frames_before() for each in frame.versions]
        now = [(name, *each) for name, found in self.accepted.items() for each in found.items()]
        return sorted(versions) == sorted(now)

    def own(self, name: str) -> tuple[Published, ...]:
        """Return the sound versions of one Blueprint with their files."""
        found = []
        for version, digest in self.accepted.get(name, {}).items():
            folder = self._folder(name, version, digest)
            found.append(Published(version, digest, folder.contract.document["spec"], folder.files))
        return tuple(found)

    def frames(self) -> Iterator[bytes]:
        """Write all that is sound, name by name; what the earlier index has is not fetched again."""
        groups = groupby(self._frames_before(), key=lambda frame: frame.name)
        ahead = next(groups, None)
        for name in sorted(self.accepted):
            while ahead is not None and ahead[0] < name:
                ahead = next(groups, None)
            held: dict[str, bytes] = {}
            if ahead is not None and ahead[0] == name:
                for frame in ahead[1]:
                    held |= frame.blobs
            versions = sorted(self.accepted[name].items(), key=lambda each: order_of(each[0]))
            yield from write_frames(name, (self._artifact(name, *each, held) for each in versions))

    def _frames_before(self) -> Iterator[Frame]:
        if self.before is not None:
            for pack in read_packs(self.registry, self.location, self.before):
                yield from read_frames(pack, is_wanted=lambda _name, _version: True)

    def _artifact(self, name: str, version: str, digest: str, held: Mapping[str, bytes]) -> Artifact:
        repository = self.location.repository(name)
        source = held.get(digest) or self.registry.manifest(repository, digest)
        if source is None:
            raise ArtifactRefused(_("The registry lists it and does not have it."))
        layers = read_manifest(source).layers
        blobs = {
            each.digest: held.get(each.digest) or self.registry.blob(repository, each.digest, size=each.size)
            for each in layers
        }
        return Artifact(version, source, blobs)

    def _folder(self, name: str, version: str, digest: str) -> BlueprintFolder:
        artifact = self._artifact(name, version, digest, {})
        manifest = read_manifest(artifact.manifest)
        return unpack(manifest, name=name, version=version, fetch=lambda layer: artifact.blobs[layer.digest])
