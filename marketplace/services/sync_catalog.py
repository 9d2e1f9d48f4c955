"""Bring the catalogue that ships with this release into the database, at each start.

Creates what is missing and follows the release in rows that nobody touched. A row that a person edited or retired is
left alone, nothing is deleted, and the first price of a thing is written only while it has none.

Source: catalog.md §1 rule 6 of the design.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from marketplace.models import AddOn, Blueprint, BlueprintVersion, Bundle, Category, Industry, Plan, Price
from marketplace.models.catalogue import CatalogueRow
from marketplace.selectors.version_ranges import parse_version
from marketplace.services.blueprint_contract import ContractRefused, Finding
from marketplace.services.blueprint_folder import BlueprintFolder
from marketplace.services.blueprint_lint import is_refused
from marketplace.services.blueprint_lint.release import lint_release
from marketplace.services.catalogue_drafts import read_drafts, refuse_broken_drafts, row_of_draft
from marketplace.services.catalogue_seed import SeedRow, card_of_folder, read_blueprints, read_rows
from marketplace.services.changelog import changelog_of
from tenancy.models import Sovereign

#: In which all first prices are written down.
_CURRENCY = "OMR"
#: In place of the digest of a version from a registry: it covers the artifact, and says nothing about a folder.
_SIGNED = "signed"


@dataclass(slots=True)
class SyncReport:
    """What one run did. ``conflicts`` names published versions whose folder has other bytes now: they stay.

    ``unpriced`` names what has no price because the Sovereign sells in another currency than the first prices have.
    """

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    unpriced: list[str] = field(default_factory=list)


def sync_catalog(*, blueprints_root: Path, now: datetime) -> SyncReport:
    """Load the shipped catalogue; a second run changes nothing.

    :raises ContractRefused: a shipped folder breaks the Blueprint contract; nothing is written then.
    """
    shelves = {name: read_rows(name) for name in ("categories", "plans", "addons", "bundles", "industries")}
    blueprints, drafts = read_blueprints(blueprints_root), read_drafts(blueprints_root)
    _refuse_broken(blueprints, shelves["categories"])
    beside = [row.folder for row in blueprints if row.folder]
    refuse_broken_drafts(drafts, beside, categories=[row.slug for row in shelves["categories"]])
    return _record(shelves=shelves, blueprints=blueprints, drafts=drafts, now=now)


def _refuse_broken(blueprints: list[SeedRow], categories: list[SeedRow]) -> None:
    """Refuse the whole release when a version that would be new breaks a rule of publishing."""
    folders = [row.folder for row in blueprints if row.folder]
    findings = lint_release(folders, categories=[row.slug for row in categories])
    if is_refused(findings):
        raise ContractRefused([each for each in findings if not each.is_warning])


@transaction.atomic(durable=True)
def _record(
    *, shelves: dict[str, list[SeedRow]], blueprints: list[SeedRow], drafts: list[BlueprintFolder], now: datetime
) -> SyncReport:
    """Write in the order of dependence: categories, services, Blueprints, Plans, Add-ons, Bundles, business types."""
    wait_for_others()
    report = SyncReport()
    _settle(Category, shelves["categories"], report)
    _settle_blueprints(blueprints, report)
    _settle_drafts(drafts, len(blueprints), report)
    _settle(Plan, shelves["plans"], report)
    _settle(AddOn, shelves["addons"], report)
    _settle(Bundle, shelves["bundles"], report)
    _settle(Industry, shelves["industries"], report)
    priced: list[tuple[str, str, int | None]]
    priced = [(Price.Kind.PLAN, row.slug, row.price_minor) for row in shelves["plans"]]
    priced += [(Price.Kind.ADDON, row.slug, row.price_minor) for row in shelves["addons"]]
    priced += [(Price.Kind.BLUEPRINT, row.values["name"], row.price_minor) for row in blueprints]
    first_prices(priced, now=now, report=report)
    return report


def wait_for_others() -> None:
    """Let one process at a time write the catalogue; the second one waits and finds what the first one did."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('catalyst.sync_catalog'))")


def _settle(model: type[CatalogueRow], rows: list[SeedRow], report: SyncReport) -> None:
    present = {row.slug: row for row in model._default_manager.all()}
    for seed in rows:
        settle_row(model, present.get(seed.slug), seed.slug, seed.values, report)


def settle_row(
    model: type[CatalogueRow], row: CatalogueRow | None, slug: str, values: dict[str, Any], report: SyncReport
) -> CatalogueRow:
    """Create a row, or follow the release in one that nobody touched; call inside a transaction."""
    label = f"{model._meta.model_name} {slug}"
    if row is None:
        report.created.append(label)
        return model._default_manager.create(slug=slug, **values)
    if row.edited_at is None and row.retired_at is None:
        changed = {name: value for name, value in values.items() if getattr(row, name) != value}
        if changed:
            for name, value in changed.items():
                setattr(row, name, value)
            row.save(update_fields=sorted(changed))
            report.updated.append(label)
    return row


def _settle_blueprints(rows: list[SeedRow], report: SyncReport) -> None:
    categories = {category.slug: category for category in Category.objects.all()}
    public = Blueprint.objects.filter(source=Blueprint.Source.PUBLIC).select_related("category")
    present = {row.slug: row for row in public}
    published = {
        (version.blueprint_id, version.version): version.digest if version.signer_id is None else _SIGNED
        for version in BlueprintVersion.objects.filter(blueprint__source=Blueprint.Source.PUBLIC).only(
            "blueprint_id", "version", "digest", "signer_id"
        )
    }
    for seed in rows:
        category = categories.get(seed.values["category"])
        if category is None:
            problem = _("Category %(slug)s does not exist.") % {"slug": seed.values["category"]}
            fix = _("Choose one of the catalogue.")
            raise ContractRefused([Finding("BP-C02", f"{seed.slug}: card.category", problem, fix)])
        values = seed.values | {"category": category}
        own = present.get(seed.slug)
        others = [version for blueprint_id, version in published if own and blueprint_id == own.pk]
        if seed.folder and not is_newest(seed.folder.contract.version, others):
            # A registry has brought a newer version, and that one wrote the card.
            values = {name: value for name, value in values.items() if name not in card_of_folder(seed.folder)}
        blueprint = settle_row(Blueprint, own, seed.slug, values, report)
        if seed.folder is not None:
            _publish(blueprint, seed.folder, published, report)


def _publish(
    blueprint: CatalogueRow, folder: BlueprintFolder, published: dict[tuple[int, str], str], report: SyncReport
) -> None:
    """Register the folder's version once; the same version with other bytes is a mistake, not an update."""
    version = parse_version(folder.contract.version)
    label = f"{folder.contract.name} {version}"
    digest = published.get((blueprint.pk, str(version)))
    if digest is not None:
        if digest not in (folder.digest, _SIGNED):
            report.conflicts.append(label)
        return
    record_version(blueprint.pk, folder, digest=folder.digest)
    report.created.append(label)


def _settle_drafts(folders: list[BlueprintFolder], after: int, report: SyncReport) -> None:
    """Keep one draft of each unfinished Blueprint; where a version is out already, the draft has nothing to say."""
    categories = {category.slug: category for category in Category.objects.all()}
    names = [folder.contract.name for folder in folders]
    rows = Blueprint.objects.filter(source=Blueprint.Source.PUBLIC, name__in=names).select_related("category")
    present = {row.name: row for row in rows}
    versions = BlueprintVersion.objects.filter(blueprint__in=rows)
    out = set(versions.exclude(state=BlueprintVersion.State.DRAFT).values_list("blueprint__name", flat=True))
    drafts = {row.blueprint_id: row for row in versions.filter(state=BlueprintVersion.State.DRAFT).defer("files")}
    for position, folder in enumerate(folders, start=after + 1):
        if folder.contract.name in out:
            continue
        seed = row_of_draft(folder, position)
        values = seed.values | {"category": categories[seed.values["category"]]}
        blueprint = settle_row(Blueprint, present.get(folder.contract.name), seed.slug, values, report)
        known = drafts.get(blueprint.pk)
        if known is None or known.digest != folder.digest:
            if known is not None:
                known.delete()
            record_version(blueprint.pk, folder, digest=folder.digest, state=BlueprintVersion.State.DRAFT)
            report.created.append(f"draft {folder.contract.name} {folder.contract.version}")


def is_newest(version: str, registered: Iterable[str]) -> bool:
    """Tell whether this version writes the card: a release that none is newer than, or the first pre-release."""
    mine = parse_version(version)
    others = [each for each in map(parse_version, registered) if each != mine]
    return not others or (not mine.prerelease and all(each < mine for each in others if not each.prerelease))


def record_version(
    blueprint_id: int,
    folder: BlueprintFolder,
    *,
    digest: str,
    signer_id: int | None = None,
    reference: str = "",
    commit: str = "",
    state: str = BlueprintVersion.State.PUBLISHED,
) -> BlueprintVersion:
    """Register one version for ever; call inside a transaction."""
    row = version_row(
        blueprint_id, folder, digest=digest, signer_id=signer_id, reference=reference, commit=commit, state=state
    )
    row.save(force_insert=True)
    return row


def version_row(
    blueprint_id: int,
    folder: BlueprintFolder,
    *,
    digest: str,
    signer_id: int | None = None,
    reference: str = "",
    commit: str = "",
    state: str = BlueprintVersion.State.PUBLISHED,
) -> BlueprintVersion:
    """Return the row of one version, not yet written."""
    version = parse_version(folder.contract.version)
    changelog, is_security = changelog_of(folder.files, str(version))
    return BlueprintVersion(
        blueprint_id=blueprint_id,
        version=str(version),
        major=version.major,
        minor=version.minor,
        patch=version.patch,
        prerelease=".".join(version.prerelease),
        digest=digest,
        contract=folder.contract.document,
        files=folder.files,
        signer_id=signer_id,
        reference=reference,
        commit=commit,
        state=state,
        changelog=changelog,
        is_security=is_security,
    )


def first_prices(priced: list[tuple[str, str, int | None]], *, now: datetime, report: SyncReport) -> None:
    """Write the price of what has none yet; call inside a transaction.

    In another currency nobody can guess it: staff set the price of what the report names.
    """
    # Nothing is known of the currency before the Sovereign is set up.
    currency = Sovereign.objects.values_list("currency", flat=True).first() or _CURRENCY
    prices = Price.objects.filter(currency=currency, reference__in={reference for _kind, reference, _amount in priced})
    known = set(prices.values_list("kind", "reference"))
    missing = [each for each in priced if each[2] is not None and each[:2] not in known]
    if currency != _CURRENCY:
        report.unpriced.extend(f"{kind} {reference}" for kind, reference, _amount in missing)
        return
    Price.objects.bulk_create(
        Price(kind=kind, reference=reference, currency_id=_CURRENCY, amount_minor=amount or 0, valid_from=now)
        for kind, reference, amount in missing
    )
    report.created.extend(f"price {kind} {reference}" for kind, reference, _amount in missing)
