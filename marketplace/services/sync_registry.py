"""Take Blueprints from a registry into the catalogue: what a key signed that we trust for that place, nothing else.

A tag is read once. The bytes that came are hashed, that digest is verified, and those bytes are used; every other part
is fetched by the digest that the verified bytes name. So a tag that moves meanwhile changes nothing.

Source: blueprints.md §6 of the design.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from django.db.models import Max, Q
from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from catalyst.core.names import BLUEPRINT, VERSION
from marketplace.models import Availability, Blueprint, BlueprintVersion, Category, Price, TrustedKey
from marketplace.selectors.version_ranges import parse_version
from marketplace.services.blueprint_contract import ContractRefused
from marketplace.services.blueprint_folder import BlueprintFolder
from marketplace.services.blueprint_lint import Artifact, Shelf, is_refused, lint_files, published_versions
from marketplace.services.catalogue_seed import card_of_folder
from marketplace.services.oci.artifact import ArtifactRefused, read_manifest
from marketplace.services.oci.pack import unpack
from marketplace.services.oci.registry import Location, Registry
from marketplace.services.oci.trust import fetch_signatures, find_signer, keys_for
from marketplace.services.sync_catalog import SyncReport, first_prices, record_version, settle_row, wait_for_others

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
    """What one run did. ``known`` counts versions that were here before: they are for ever, so nobody asks again."""

    created: list[str] = field(default_factory=list)
    known: int = 0
    refused: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verified:
    """A linted Blueprint out of bytes that ``signer`` signed. ``digest`` is the manifest's."""

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
    known = _known_versions(keys[0])
    report = RegistryReport()
    waiting = []
    for name in sorted(registry.repositories(location.path)):
        versions = _list_versions(registry, location, name, report)
        report.known += sum(1 for each in versions if each in known)
        waiting += _take_each(registry, location, [each for each in versions if each not in known], keys, report, now)
    while waiting:  # what depends on a Blueprint that came later in the alphabet fits now
        left = _take_each(registry, location, waiting, keys, report, now)
        waiting = left if len(left) < len(waiting) else []
    return report


def verify_artifact(
    registry: Registry, repository: str, *, name: str, tag: str, keys: Sequence[TrustedKey]
) -> Verified:
    """Read one tag, once, and prove and lint what it names.

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
        fetch=lambda layer: registry.blob(repository, layer.digest, size=layer.size),
    )
    _lint(folder, signer)
    return Verified(folder, manifest.digest, signer)


@use_case
def register_version(*, verified: Verified, reference: str, now: datetime) -> None:
    """Put one verified version into the catalogue, with its card when it is the newest.

    :raises ArtifactRefused: its key was revoked meanwhile, or its category does not exist.
    """
    wait_for_others()
    # Revoking locks this row too.
    signer = TrustedKey.objects.select_for_update(of=("self",)).get(pk=verified.signer.pk)
    if signer.revoked_at is not None:
        raise ArtifactRefused(_("The key that signed it was revoked."))
    contract = verified.folder.contract
    rows = Blueprint.objects.select_related("category")
    present = rows.filter(source=signer.source, organization=signer.organization_id, name=contract.name).first()
    if present and present.versions.filter(version=contract.version).exists():
        return
    blueprint = present if present and not _is_newest(present, contract.version) else _card(present, verified, signer)
    record_version(blueprint.pk, verified.folder, digest=verified.digest, signer_id=signer.pk, reference=reference)
    if signer.source != TrustedKey.Source.ORG and contract.kind != Blueprint.Kind.SERVICE:
        first_prices([(Price.Kind.BLUEPRINT, contract.name, contract.monthly_minor)], now=now, report=SyncReport())


def _list_versions(registry: Registry, location: Location, name: str, report: RegistryReport) -> list[tuple[str, str]]:
    """List what a repository has as (name, tag), from old to new; nothing when it has no name or no list for us."""
    try:
        if re.fullmatch(BLUEPRINT, name) is None:
            raise ArtifactRefused(_("Its name is not that of a Blueprint, like bp-wiki."))
        tags = registry.tags(location.repository(name))
    except DomainError as error:
        report.refused.append(Refusal(f"{location}/{name}", error.message))
        return []
    return [(name, tag) for tag in sorted(tags, key=_order) if not _ATTACHMENT.fullmatch(tag)]


def _take_each(
    registry: Registry,
    location: Location,
    versions: Sequence[tuple[str, str]],
    keys: Sequence[TrustedKey],
    report: RegistryReport,
    now: datetime,
) -> list[tuple[str, str]]:
    """Take these (name, tag) one by one, and return those that only the linter refused."""
    unfit = []
    for name, tag in versions:
        reference = f"{location}/{name}:{tag}"
        report.refused = [each for each in report.refused if each.reference != reference]
        try:
            if re.fullmatch(VERSION, tag) is None:
                raise ArtifactRefused(_("Its tag is not a version, like 1.2.3."))
            verified = verify_artifact(registry, location.repository(name), name=name, tag=tag, keys=keys)
            register_version(verified=verified, reference=f"{location}/{name}", now=now)
            report.created.append(reference)
        except DomainError as error:
            report.refused.append(Refusal(reference, error.message))
            if isinstance(error, ContractRefused):
                unfit.append((name, tag))
        except Exception:  # a fault of ours on hostile bytes refuses these bytes and no others
            logger.exception("registry.artifact_unreadable", reference=reference)
            report.refused.append(Refusal(reference, _("It could not be read.")))
    return unfit


def _lint(folder: BlueprintFolder, signer: TrustedKey) -> None:
    """Judge the Blueprint among those that its readers may use: nothing is believed for being signed.

    :raises ContractRefused: with every finding that is more than a warning.
    """
    contract = folder.contract
    needed = {edge.blueprint for edge in contract.depends} - {contract.name}
    visible = Q(blueprint__organization=None) | Q(blueprint__organization=signer.organization_id)
    rows = BlueprintVersion.objects.filter(visible, yanked_at=None).select_related("blueprint")
    earlier = rows.filter(blueprint__name=contract.name, blueprint__source=signer.source)
    shelf = Shelf(
        published={
            **published_versions(rows.filter(blueprint__name__in=needed).defer("files"), with_files=False),
            **published_versions(earlier, with_files=True),
        },
        categories=frozenset(Category.objects.filter(retired_at=None).values_list("slug", flat=True)),
        source=signer.source,
        artifact=Artifact(has_materials=True),
    )
    findings = lint_files({path: text.encode() for path, text in folder.files.items()}, shelf=shelf)
    if is_refused(findings):
        raise ContractRefused([each for each in findings if not each.is_warning])


def _known_versions(key: TrustedKey) -> set[tuple[str, str]]:
    """List what the shelf of this place has; all keys of one place have the same shelf."""
    versions = BlueprintVersion.objects.filter(
        blueprint__source=key.source, blueprint__organization=key.organization_id
    )
    return set(versions.values_list("blueprint__name", "version"))


def _order(tag: str) -> tuple[bool, Any, str]:
    """Sort versions from old to new, so that the newest writes the card; what is no version comes first."""
    return (True, parse_version(tag), tag) if re.fullmatch(VERSION, tag) else (False, parse_version("0.0.0"), tag)


def _is_newest(blueprint: Blueprint, version: str) -> bool:
    """Tell whether a version is a release newer than all releases; of pre-releases only the first writes the card."""
    present = [parse_version(each) for each in blueprint.versions.values_list("version", flat=True)]
    mine = parse_version(version)
    return not present or (not mine.prerelease and all(each < mine for each in present if not each.prerelease))


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
