"""Take Blueprints from a registry into the catalogue: what a key signed that we trust for that place, nothing else.

A tag is read once. The bytes that came are hashed, that digest is verified, and those bytes are used; every other part
is fetched by the digest that the verified bytes name. So a tag that moves meanwhile changes nothing.

Source: blueprints.md §6 of the design.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError
from django.db.models import Max
from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from catalyst.core.names import BLUEPRINT, VERSION
from marketplace.models import Availability, Blueprint, BlueprintVersion, Category, Price, TrustedKey
from marketplace.selectors.version_ranges import parse_version
from marketplace.services.blueprint_contract import ContractRefused
from marketplace.services.blueprint_folder import BlueprintFolder
from marketplace.services.catalogue_seed import card_of_folder
from marketplace.services.oci.artifact import ArtifactRefused, Descriptor, read_manifest
from marketplace.services.oci.pack import unpack
from marketplace.services.oci.registry import Location, Registry
from marketplace.services.oci.trust import fetch_signatures, find_signer, keys_for
from marketplace.services.sync_ahead import work_ahead
from marketplace.services.sync_catalog import (
    SyncReport,
    first_prices,
    is_newest,
    settle_row,
    version_row,
    wait_for_others,
)
from marketplace.services.sync_shelf import RunShelf, in_pieces

logger = structlog.get_logger(__name__)

#: Signatures, bills and attestations lie under tags that name what they belong to.
_ATTACHMENT = re.compile(r"sha256-[0-9a-f]{64}(?:\.[a-z]{1,16})?")
#: So many versions of one Blueprint are registered in one transaction.
_PIECE = 20


@dataclass(frozen=True, slots=True)
class Refusal:
    """One artifact that was not taken, and why."""

    reference: str
    reason: str


@dataclass(slots=True)
class RegistryReport:
    """What one run did. ``known`` counts versions that were here before: they are for ever, so nobody asks again.

    ``unpriced`` is that of ``SyncReport``.
    """

    created: list[str] = field(default_factory=list)
    known: int = 0
    refused: list[Refusal] = field(default_factory=list)
    unpriced: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verified:
    """A Blueprint out of bytes that ``signer`` signed; nothing is linted yet. ``digest`` is the manifest's."""

    folder: BlueprintFolder
    digest: str
    signer: TrustedKey


def sync_registry(*, registry: Registry, location: Location, now: datetime) -> RegistryReport:
    """Take every version that lies in this folder of the registry and is not known yet.

    One that is refused does not keep the others out.

    :raises NobodyTrusted: no key is trusted for this place.
    :raises RegistryUnavailable: the registry does not even list what it has.
    """
    keys = keys_for(location, at=now)
    run = _Run(registry, location, keys, now)
    known = _known_versions(keys[0])
    waiting = []
    for name, tags in run.lists(sorted(registry.repositories(location.path))):
        run.report.known += sum(1 for tag in tags if (name, tag) in known)
        waiting += [(name, tag) for tag in tags if (name, tag) not in known]
    while waiting:  # what depends on a Blueprint that came later in the alphabet fits in the next round
        left = run.take(waiting)
        waiting = left if len(left) < len(waiting) else []
    run.report.refused = list(run.refused.values())
    return run.report


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


def register_version(*, verified: Verified, reference: str, now: datetime) -> SyncReport:
    """Put one verified version into the catalogue; see ``register_versions``."""
    return register_versions(verified=[verified], reference=reference, now=now)


@use_case
def register_versions(*, verified: Sequence[Verified], reference: str, now: datetime) -> SyncReport:
    """Put verified versions of one Blueprint into the catalogue, from old to new; the newest writes the card.

    :raises ArtifactRefused: a key was revoked meanwhile, a category does not exist, or the Blueprint comes from
        another place. Nothing is registered then.
    """
    report = SyncReport()
    wait_for_others()
    # Revoking locks these rows too.
    signers = TrustedKey.objects.select_for_update(of=("self",)).order_by("pk")
    if any(signers.filter(pk__in={each.signer.pk for each in verified}).values_list("revoked_at", flat=True)):
        raise ArtifactRefused(_("The key that signed it was revoked."))
    signer, name = verified[0].signer, verified[0].folder.contract.name
    rows = Blueprint.objects.select_related("category")
    present = rows.filter(source=signer.source, organization=signer.organization_id, name=name).first()
    versions = _versions_of(present, signer) if present else []
    fresh = [each for each in verified if each.folder.contract.version not in versions]
    writers = []
    for each in fresh:
        if is_newest(each.folder.contract.version, versions):
            writers.append(each)
        versions.append(each.folder.contract.version)
    if not fresh:
        return report
    blueprint: Any = _card(present, writers[-1], signer) if writers else present
    BlueprintVersion.objects.bulk_create(
        version_row(blueprint.pk, each.folder, digest=each.digest, signer_id=each.signer.pk, reference=reference)
        for each in fresh
    )
    contract = fresh[0].folder.contract
    if signer.source != TrustedKey.Source.ORG and contract.kind != Blueprint.Kind.SERVICE:
        first_prices([(Price.Kind.BLUEPRINT, name, contract.monthly_minor)], now=now, report=report)
    return report


@dataclass(slots=True)
class _Run:
    """One run: where from, what is believed, and what came of it so far."""

    registry: Registry
    location: Location
    keys: Sequence[TrustedKey]
    now: datetime
    report: RegistryReport = field(default_factory=RegistryReport)
    refused: dict[str, Refusal] = field(default_factory=dict)
    _shelf: RunShelf | None = None

    @property
    def shelf(self) -> RunShelf:
        if self._shelf is None:  # nothing new, nothing to judge it by
            self._shelf = RunShelf(self.keys[0])
        return self._shelf

    def lists(self, names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
        """Yield what each repository has, from old to new, unless it has no name or no list for us."""
        for name, tags in work_ahead(self._list, names):
            if isinstance(tags, DomainError):
                self._refuse(name, tags.message)
            else:
                yield name, [tag for tag in sorted(tags, key=_order) if not _ATTACHMENT.fullmatch(tag)]

    def take(self, versions: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Take these (name, tag) in order, and return those that may fit once others have come."""
        unfit: list[tuple[str, str]] = []
        shelf = self.shelf
        for piece, found in work_ahead(lambda piece: self._fetch(piece, shelf), in_pieces(versions, _PIECE)):
            sound = self._judge(piece, found, unfit)
            try:
                self._register(sound)
            except (OperationalError, InterfaceError):  # a database that is away says nothing about these bytes
                raise
            except Exception:  # which of them it was is only known one by one, and each later one met it
                shelf.forget(piece[0][0])
                unfit = [each for each in unfit if each not in piece]
                for one, each in zip(piece, found, strict=True):
                    self._take_alone(one, each, unfit)
        return unfit

    def _list(self, name: str) -> list[str] | DomainError:
        try:
            if re.fullmatch(BLUEPRINT, name) is None:
                raise ArtifactRefused(_("Its name is not that of a Blueprint, like bp-wiki."))
            return self.registry.tags(self.location.repository(name))
        except DomainError as error:
            return error

    def _fetch(self, piece: Sequence[tuple[str, str]], shelf: RunShelf) -> list[Verified | Exception]:
        """Read and prove each, ahead of its judgment; parts that several have are fetched once."""
        blobs: dict[str, bytes] = {}
        return [self._fetch_one(name, tag, shelf, blobs) for name, tag in piece]

    def _fetch_one(self, name: str, tag: str, shelf: RunShelf, blobs: dict[str, bytes]) -> Verified | Exception:
        try:
            if re.fullmatch(VERSION, tag) is None:
                raise ArtifactRefused(_("Its tag is not a version, like 1.2.3."))
            repository = self.location.repository(name)
            verified = verify_artifact(self.registry, repository, name=name, tag=tag, keys=self.keys, blobs=blobs)
            shelf.memory.prepare(verified.folder)
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
                self.shelf.lint(each.folder, each.digest)
                self.shelf.add(each.folder, each.digest)
                sound.append(each)
            except Exception as error:
                self._refuse(f"{name}:{tag}", error)
                if isinstance(error, ContractRefused) and any(each.rule[:4] == "BP-D" for each in error.findings):
                    unfit.append((name, tag))
        return sound

    def _register(self, sound: Sequence[Verified]) -> None:
        if not sound:
            return
        name = sound[0].folder.contract.name
        registered = register_versions(verified=sound, reference=f"{self.location}/{name}", now=self.now)
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
                self._refuse(":".join(one), error)
                self.shelf.forget(one[0])

    def _refuse(self, name: str, error: Exception | str) -> None:
        reference = f"{self.location}/{name}"
        if isinstance(error, Exception) and not isinstance(error, DomainError):
            logger.error("registry.artifact_unreadable", reference=reference, exc_info=error)
        words = error.message if isinstance(error, DomainError) else error
        reason = words if isinstance(words, str) else _("It could not be read.")
        self.refused.pop(reference, None)
        self.refused[reference] = Refusal(reference, reason)


def _known_versions(key: TrustedKey) -> set[tuple[str, str]]:
    """List what the shelf of this place has; all keys of one place have the same shelf."""
    versions = BlueprintVersion.objects.filter(
        blueprint__source=key.source, blueprint__organization=key.organization_id
    )
    return set(versions.values_list("blueprint__name", "version"))


def _order(tag: str) -> tuple[bool, Any, str]:
    """Sort versions from old to new, so that the newest writes the card; what is no version comes first."""
    return (True, parse_version(tag), tag) if re.fullmatch(VERSION, tag) else (False, parse_version("0.0.0"), tag)


def _versions_of(present: Blueprint, signer: TrustedKey) -> list[str]:
    """List the versions that a Blueprint has already.

    :raises ArtifactRefused: they were signed for another place: whoever may sign here does not take a name over.
    """
    rows = list(present.versions.values_list("version", "signer__location"))
    places = {location for _version, location in rows if location}
    if places - {signer.location}:
        raise ArtifactRefused(
            _("%(name)s comes from %(location)s, and from no other place. Publish it under another name.")
            % {"name": present.name, "location": min(places)}
        )
    return [version for version, _location in rows]


def _card(present: Blueprint | None, verified: Verified, signer: TrustedKey) -> Any:
    """Write the row of the Blueprint: what its folder says, unless a person edited it."""
    contract = verified.folder.contract
    category = Category.objects.filter(slug=contract.card.category, retired_at=None).first()
    if category is None:
        raise ArtifactRefused(_("Category %(slug)s does not exist.") % {"slug": contract.card.category})
    values = card_of_folder(verified.folder) | {"category": category, "state": Availability.NOW}
    if present is None:
        last = Blueprint.objects.aggregate(last=Max("position"))["last"] or 0
        owner = {"source": signer.source, "organization_id": signer.organization_id}
        values |= {"name": contract.name, "position": last + 1, **owner}
    slug = contract.name.removeprefix("bp-")
    return settle_row(Blueprint, present, slug, values, SyncReport())
