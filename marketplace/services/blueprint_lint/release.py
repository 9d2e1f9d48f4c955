"""Judging folders that lie together: each meets the others as if they were published."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from marketplace.models import Blueprint, BlueprintVersion
from marketplace.services.blueprint_contract import Finding, read_contract
from marketplace.services.blueprint_folder import BlueprintFolder
from marketplace.services.blueprint_lint.judge import lint_files
from marketplace.services.blueprint_lint.shelf import Published, Shelf, published_versions
from marketplace.services.catalogue_seed import read_rows


@dataclass(frozen=True, slots=True)
class _Case:
    """One judgment; equal keys mean equal bytes, so the answer is remembered."""

    key: str
    folder: BlueprintFolder = field(compare=False)
    shelf: Shelf = field(compare=False)


def lint_release(folders: Iterable[BlueprintFolder], *, categories: Iterable[str]) -> list[Finding]:
    """Return the findings about every folder whose very bytes are not registered yet as a public version.

    Bytes that differ from a registered version of the same number are not judged here: they are never registered.
    """
    together = list(folders)
    public = BlueprintVersion.objects.filter(blueprint__source=Blueprint.Source.PUBLIC)
    known = set(public.values_list("blueprint__name", "version"))
    fresh = [each for each in together if (each.contract.name, each.contract.version) not in known]
    if not fresh:
        return []
    names = [each.contract.name for each in fresh]
    rows = public.select_related("blueprint")
    # Only what a fresh one may replace is rendered again; the files of all others stay in the database.
    registered = {
        **published_versions(rows.exclude(blueprint__name__in=names).defer("files"), with_files=False),
        **published_versions(rows.filter(blueprint__name__in=names), with_files=True),
    }
    shelf = Shelf(published=_merged(together, registered), categories=frozenset(categories))
    shelf = replace(shelf, index=shelf.known())
    findings: list[Finding] = []
    for folder in fresh:
        found = _judge(_Case(_key(folder, shelf), folder, shelf))
        findings += [replace(each, file=f"{folder.contract.name}/{each.file}") for each in found]
    return findings


def shelf_of_folder(path: Path, source: str) -> Shelf:
    """Return what lies beside a folder, as far as it can be read, with the categories of the catalogue."""
    published: dict[str, tuple[Published, ...]] = {}
    for other in sorted(path.parent.glob("*/blueprint.yaml")):
        if other.parent == path or other.is_symlink() or other.stat().st_size > 1 << 20:
            continue
        contract, findings = read_contract(other.read_bytes())
        if contract is not None and not findings:
            one = Published(contract.version, "", contract.document["spec"])
            published[contract.name] = (*published.get(contract.name, ()), one)
    return Shelf(published=published, categories=frozenset(row.slug for row in read_rows("categories")), source=source)


@lru_cache(maxsize=256)
def _judge(case: _Case) -> tuple[Finding, ...]:
    files = {path: text.encode() for path, text in case.folder.files.items()}
    return lint_files(files, shelf=case.shelf)


def _merged(
    folders: list[BlueprintFolder], registered: Mapping[str, tuple[Published, ...]]
) -> dict[str, tuple[Published, ...]]:
    merged = dict(registered)
    for folder in folders:
        contract = folder.contract
        one = Published(contract.version, folder.digest, contract.document["spec"], folder.files)
        others = [each for each in merged.get(contract.name, ()) if each.version != contract.version]
        merged[contract.name] = (*others, one)
    return merged


def _key(folder: BlueprintFolder, shelf: Shelf) -> str:
    facts = [
        folder.digest,
        sorted((name, each.version, each.digest) for name, versions in shelf.published.items() for each in versions),
        sorted(shelf.categories),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
