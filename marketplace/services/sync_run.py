"""One run over the Blueprints of a place: read and prove them, judge each, and hand on what is sound.

A tag is read once. The bytes that came are hashed, that digest is verified, and those bytes are used; every other part
is fetched by the digest that the verified bytes name. So a tag that moves meanwhile changes nothing.

Source: blueprints.md §6 of the design.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import structlog
from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.names import BLUEPRINT, VERSION
from marketplace.models import TrustedKey
from marketplace.selectors.version_ranges import parse_version
from marketplace.services.blueprint_contract import ContractRefused
from marketplace.services.blueprint_folder import BlueprintFolder
from marketplace.services.blueprint_lint import Published
from marketplace.services.blueprint_lint.memory import Memory
from marketplace.services.oci.artifact import ArtifactRefused, Descriptor, read_manifest
from marketplace.services.oci.index import INDEX, MAX_VERSIONS
from marketplace.services.oci.pack import unpack
from marketplace.services.oci.registry import Location, Registry
from marketplace.services.oci.trust import fetch_signatures, find_signer
from marketplace.services.sync_ahead import work_ahead
from marketplace.services.sync_catalog import SyncReport
from marketplace.services.sync_shelf import RunShelf, in_pieces

logger = structlog.get_logger(__name__)

#: Signatures, bills and attestations lie under tags that name what they belong to.
_ATTACHMENT = re.compile(r"sha256-[0-9a-f]{64}(?:\.[a-z]{1,16})?")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One artifact that was not taken, and why."""

    reference: str
    reason: str


@dataclass(slots=True)
class RegistryReport:
    """What one run did. ``known`` counts versions that were here before: they are for ever, so nobody asks again.

    ``unpriced`` is that of ``SyncReport``; ``notices`` say what else its reader should know.
    """

    created: list[str] = field(default_factory=list)
    known: int = 0
    refused: list[Refusal] = field(default_factory=list)
    unpriced: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verified:
    """A Blueprint out of bytes that ``signer`` signed; nothing is linted yet. ``digest`` is the manifest's.

    ``is_attested``: the signer answers for what only rendering can show. ``is_read``: what is written was judged here.
    """

    folder: BlueprintFolder
    digest: str
    signer: TrustedKey
    is_attested: bool = False
    is_read: bool = False


#: Versions of one Blueprint by (name, tag), and what was read and proven of each.
Piece = tuple[Sequence[tuple[str, str]], Sequence[Verified | Exception]]


class Register(Protocol):
    """Takes sound versions of one Blueprint, from old to new, or refuses all of them."""

    def __call__(self, *, verified: Sequence[Verified], reference: str, now: datetime) -> SyncReport: ...


def verify_artifact(
    registry: Registry,
    repository: str,
    *,
    name: str,
    tag: str,
    keys: Sequence[TrustedKey],
    blobs: dict[str, bytes] | None = None,
) -> Verified:
    """Read one tag, once, and prove what it names. ``blobs`` keeps proven parts for others of the same repository.

    :raises ArtifactRefused: it is not there, not signed by one of ``keys``, or not what a Blueprint looks like.
    :raises ContractRefused: the Blueprint breaks the contract.
    """
    source = registry.manifest(repository, tag)
    if source is None:
        raise ArtifactRefused(_("The registry lists it and does not have it."))
    manifest = read_manifest(source)
    signatures = fetch_signatures(registry, repository, manifest.digest)
    signer = find_signer(signatures, digest=manifest.digest, keys=keys)
    folder = unpack(
        manifest,
        name=name,
        version=tag,
        fetch=lambda layer: _fetch_blob(registry, repository, layer, blobs if blobs is not None else {}),
    )
    return Verified(folder, manifest.digest, signer)


def _fetch_blob(registry: Registry, repository: str, layer: Descriptor, blobs: dict[str, bytes]) -> bytes:
    known = blobs.get(layer.digest)
    if known is None or len(known) != layer.size:
        known = blobs[layer.digest] = registry.blob(repository, layer.digest, size=layer.size)
    return known


@dataclass(slots=True)
class Run:
    """One run: where from, what is believed, where it goes, and what came of it so far."""

    registry: Registry
    location: Location
    keys: Sequence[TrustedKey]
    register: Register
    now: datetime
    report: RegistryReport = field(default_factory=RegistryReport)
    refused: dict[str, Refusal] = field(default_factory=dict)
    own: Callable[[str], tuple[Published, ...]] | None = None
    _memory: Memory = field(default_factory=Memory)
    _shelf: RunShelf | None = None

    @property
    def shelf(self) -> RunShelf:
        if self._shelf is None:  # nothing new, nothing to judge it by
            self._shelf = RunShelf(self.keys[0], self._memory, self.own)
        return self._shelf

    def lists(self, names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
        """Yield what each repository has, from old to new, unless it has no name or no list for us."""
        for name, tags in work_ahead(self._list, (name for name in names if name != INDEX)):
            if isinstance(tags, DomainError):
                self.refuse(name, tags.message)
            else:
                yield name, [tag for tag in sorted(tags, key=order_of) if not _ATTACHMENT.fullmatch(tag)]

    def take_tags(self, waiting: Sequence[tuple[str, str]]) -> None:
        """Take these (name, tag); what needs a Blueprint that came later is tried again."""
        while waiting:
            left = self.take(work_ahead(self._fetch, in_pieces(waiting, MAX_VERSIONS)))
            waiting = left if len(left) < len(waiting) else []

    def take(self, pieces: Iterable[Piece]) -> list[tuple[str, str]]:
        """Take what was proven, in order, and return those that may fit once others have come."""
        unfit: list[tuple[str, str]] = []
        for piece, found in pieces:
            sound = self._judge(piece, found, unfit)
            try:
                self._register(sound)
            except (OperationalError, InterfaceError):  # a database that is away says nothing about these bytes
                raise
            except Exception:  # which of them it was is only known one by one, and each later one met it
                self.shelf.forget(piece[0][0])
                unfit = [each for each in unfit if each not in piece]
                for one, each in zip(piece, found, strict=True):
                    self._take_alone(one, each, unfit)
        return unfit

    def refuse(self, name: str, error: Exception | str) -> None:
        """Write down why this one was not taken."""
        reference = f"{self.location}/{name}"
        if isinstance(error, Exception) and not isinstance(error, DomainError):
            logger.error("registry.artifact_unreadable", reference=reference, exc_info=error)
        words = error.message if isinstance(error, DomainError) else error
        reason = words if isinstance(words, str) else _("It could not be read.")
        self.refused.pop(reference, None)
        self.refused[reference] = Refusal(reference, reason)

    def _list(self, name: str) -> list[str] | DomainError:
        try:
            if re.fullmatch(BLUEPRINT, name) is None:
                raise ArtifactRefused(_("Its name is not that of a Blueprint, like bp-wiki."))
            return self.registry.tags(self.location.repository(name))
        except DomainError as error:
            return error

    def _fetch(self, piece: Sequence[tuple[str, str]]) -> list[Verified | Exception]:
        """Read and prove each, ahead of its judgment; parts that several have are fetched once."""
        blobs: dict[str, bytes] = {}
        return [self._fetch_one(name, tag, blobs) for name, tag in piece]

    def _fetch_one(self, name: str, tag: str, blobs: dict[str, bytes]) -> Verified | Exception:
        try:
            if re.fullmatch(VERSION, tag) is None:
                raise ArtifactRefused(_("Its tag is not a version, like 1.2.3."))
            repository = self.location.repository(name)
            verified = verify_artifact(self.registry, repository, name=name, tag=tag, keys=self.keys, blobs=blobs)
            self._memory.prepare(verified.folder)
            return verified
        except Exception as error:  # a fault of ours on hostile bytes refuses these bytes and no others
            return error

    def _judge(
        self, piece: Sequence[tuple[str, str]], found: Sequence[Verified | Exception], unfit: list[tuple[str, str]]
    ) -> list[Verified]:
        sound = []
        for (name, tag), each in zip(piece, found, strict=True):
            try:
                if isinstance(each, Exception):
                    raise each
                self.shelf.lint(each.folder, each.digest, is_attested=each.is_attested, is_read=each.is_read)
                self.shelf.add(each.folder, each.digest, is_attested=each.is_attested)
                sound.append(each)
            except Exception as error:
                self.refuse(f"{name}:{tag}", error)
                if isinstance(error, ContractRefused) and any(each.rule[:4] == "BP-D" for each in error.findings):
                    unfit.append((name, tag))
        return sound

    def _register(self, sound: Sequence[Verified]) -> None:
        if not sound:
            return
        name = sound[0].folder.contract.name
        registered = self.register(verified=sound, reference=f"{self.location}/{name}", now=self.now)
        self.report.unpriced += registered.unpriced
        taken = [f"{self.location}/{name}:{each.folder.contract.version}" for each in sound]
        for reference in taken:
            self.refused.pop(reference, None)
        self.report.created += taken

    def _take_alone(self, one: tuple[str, str], found: Verified | Exception, unfit: list[tuple[str, str]]) -> None:
        for each in self._judge([one], [found], unfit):
            try:
                self._register([each])
            except (OperationalError, InterfaceError):
                raise
            except Exception as error:
                self.refuse(":".join(one), error)
                self.shelf.forget(one[0])


def order_of(tag: str) -> tuple[bool, Any, str]:
    """Sort versions from old to new, so that the newest writes the card; what is no version comes first."""
    return (True, parse_version(tag), tag) if re.fullmatch(VERSION, tag) else (False, parse_version("0.0.0"), tag)
