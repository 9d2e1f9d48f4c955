"""Take Blueprints from a registry into the catalogue: what a key signed that we trust for that place, nothing else.

Where the place has a catalogue index by a key that may attest, that is read instead of thousands of artifacts.

Source: blueprints.md §6 of the design; docs/decisions/0011-signed-catalogue-index.md.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Max
from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from marketplace.models import Availability, Blueprint, BlueprintVersion, Category, Price, TrustedKey
from marketplace.services.catalogue_seed import card_of_folder
from marketplace.services.oci.artifact import ArtifactRefused
from marketplace.services.oci.registry import Location, Registry
from marketplace.services.oci.trust import keys_for
from marketplace.services.sync_catalog import (
    SyncReport,
    first_prices,
    is_newest,
    settle_row,
    version_row,
    wait_for_others,
)
from marketplace.services.sync_index import Known, take_index
from marketplace.services.sync_run import Refusal, RegistryReport, Run, Verified, verify_artifact

__all__ = [
    "Refusal",
    "RegistryReport",
    "Verified",
    "register_version",
    "register_versions",
    "sync_registry",
    "verify_artifact",
]


def sync_registry(*, registry: Registry, location: Location, now: datetime) -> RegistryReport:
    """Take every version that lies in this folder of the registry and is not known yet.

    One that is refused does not keep the others out.

    :raises NobodyTrusted: no key is trusted for this place.
    :raises RegistryUnavailable: the registry does not even list what it has.
    """
    keys = keys_for(location, at=now)
    run = Run(registry, location, keys, register_versions, now)
    if not take_index(run, lambda: _known_versions(keys[0])):
        _take_tags(run, _known_versions(keys[0]))
    run.report.refused = list(run.refused.values())
    return run.report


def _take_tags(run: Run, known: Known) -> None:
    waiting = []
    for name, tags in run.lists(sorted(run.registry.repositories(run.location.path))):
        run.report.known += sum(1 for tag in tags if (name, tag) in known)
        waiting += [(name, tag) for tag in tags if (name, tag) not in known]
    run.take_tags(waiting)


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
    if all(each.is_attested for each in verified):
        # Nobody waits for the disk: what a power cut takes is not in ``is_complete`` yet, and the next run takes it.
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
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


def _known_versions(key: TrustedKey) -> Known:
    """List what the shelf of this place has; all keys of one place have the same shelf."""
    versions = BlueprintVersion.objects.filter(
        blueprint__source=key.source, blueprint__organization=key.organization_id
    )
    return frozenset(versions.values_list("blueprint__name", "version"))


def _versions_of(present: Blueprint, signer: TrustedKey) -> list[str]:
    """List the versions that a Blueprint has already.

    :raises ArtifactRefused: they were signed for another place, or pushed with git: whoever may sign here does not
        take a name over.
    """
    rows = list(present.versions.values_list("version", "signer__location", "commit"))
    if any(commit for _version, _location, commit in rows):
        raise ArtifactRefused(
            _("%(name)s is pushed here with git, and comes from no other place. Publish it under another name.")
            % {"name": present.name}
        )
    places = {location for _version, location, _commit in rows if location}
    if places - {signer.location}:
        raise ArtifactRefused(
            _("%(name)s comes from %(location)s, and from no other place. Publish it under another name.")
            % {"name": present.name, "location": min(places)}
        )
    return [version for version, _location, _commit in rows]


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
