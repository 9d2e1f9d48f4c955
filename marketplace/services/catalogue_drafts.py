"""The folders below ``blueprints/drafts/``: Blueprints of the platform itself that are not finished yet.

Upstream charts come as bytes that this release does not have. What only those bytes can show keeps such a Blueprint a
draft, and what every platform component does (hooks, definitions, privileges) is allowed to it; everything else is
judged as for every other Blueprint.

Source: blueprints.md §7 of the design; catalog.md §1 rule 4.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from catalyst.core.gitops.yaml import find_lines
from marketplace.models import Availability
from marketplace.services.blueprint_contract import ContractRefused, Finding, read_contract
from marketplace.services.blueprint_folder import BlueprintFolder, digest_of
from marketplace.services.blueprint_lint import Published, Shelf, is_refused, read_tree
from marketplace.services.blueprint_lint.chart import check_chart
from marketplace.services.blueprint_lint.judge import place_findings, read_findings
from marketplace.services.blueprint_lint.subject import read_subject
from marketplace.services.catalogue_seed import SeedRow, card_of_folder

#: What may stand open in a draft: bytes that are missing, and what the platform may do and nobody else.
OPEN_RULES: Final = frozenset({"BP-M02", "BP-M04", "BP-M06", "BP-X04", "BP-X05", "BP-N05"})


def read_drafts(blueprints_root: Path) -> list[BlueprintFolder]:
    """Read every folder of drafts.

    :raises ContractRefused: one of them breaks the contract.
    """
    return [_read(path.parent) for path in sorted((blueprints_root / "drafts").glob("*/blueprint.yaml"))]


def refuse_broken_drafts(
    drafts: Iterable[BlueprintFolder], beside: Iterable[BlueprintFolder], *, categories: Iterable[str]
) -> None:
    """Judge the drafts beside each other and the rest of the release.

    :raises ContractRefused: one of them breaks a rule that may not stand open.
    """
    together = list(drafts)
    published: dict[str, tuple[Published, ...]] = {}
    for folder in (*beside, *together):
        contract = folder.contract
        one = Published(contract.version, folder.digest, contract.document["spec"])
        published[contract.name] = (*published.get(contract.name, ()), one)
    shelf = Shelf(published=published, categories=frozenset(categories))
    shelf = replace(shelf, index=shelf.known())
    findings = [
        replace(each, file=f"{folder.contract.name}/{each.file}")
        for folder in together
        for each in lint_draft(folder, shelf)
        if each.rule not in OPEN_RULES and not each.is_warning
    ]
    if findings:
        raise ContractRefused(findings)


def lint_draft(folder: BlueprintFolder, shelf: Shelf) -> list[Finding]:
    """Return every finding that the texts of a draft show; nothing of it is rendered."""
    files = {path: text.encode() for path, text in folder.files.items()}
    subject = read_subject(folder.contract, files, shelf, find_lines(files["blueprint.yaml"])[0])
    name = folder.contract.name.removeprefix("bp-")
    findings = [*read_findings(subject), *place_findings(subject, name, is_sound=True)]
    if folder.contract.manifests and folder.contract.manifests.kind == "HelmChart":
        findings += check_chart(subject)
    return findings


def row_of_draft(folder: BlueprintFolder, position: int) -> SeedRow:
    """Return the row of a draft: announced and unlisted, without a price, so that nothing offers it."""
    slug = folder.contract.name.removeprefix("bp-")
    values = card_of_folder(folder) | {
        "name": folder.contract.name,
        "state": Availability.SOON,
        "position": position,
    }
    return SeedRow(slug, values, None, folder)


def _read(path: Path) -> BlueprintFolder:
    files = {name: content.decode(errors="replace") for name, content in read_tree(path).items()}
    contract, findings = read_contract(files.get("blueprint.yaml", "").encode())
    broken = [each for each in findings if each.rule not in OPEN_RULES]
    if contract is None or is_refused(broken):
        raise ContractRefused([replace(each, file=f"{path.name}/{each.file}") for each in findings])
    return BlueprintFolder(contract=contract, files=files, digest=digest_of(files))
