"""Judging a push before anything moves: the whole linter over every version that it brings.

Source: blueprints.md §1 (shadowing) and §7 of the design.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Final

import pygit2
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.gitops.yaml import find_lines
from marketplace.models import Blueprint, BlueprintVersion, Category, SourceRepository
from marketplace.selectors.blueprint_index import NEARNESS
from marketplace.services.blueprint_contract import Contract, ContractRefused, Finding, read_contract
from marketplace.services.blueprint_folder import digest_of
from marketplace.services.blueprint_lint import Published, Shelf, is_refused, lint_files, published_versions
from marketplace.services.blueprint_lint.rules import broken
from marketplace.services.blueprint_lint.subject import line_of
from marketplace.services.push_files import PushedFolder, changed_folders
from marketplace.services.source_repositories import source_of

MAX_BLUEPRINTS: Final = 20
JUDGE_SECONDS: Final = 45.0


class PushRefused(DomainError):
    """The push breaks rules. ``message`` has a line for each; nothing has changed."""

    code = "push_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


def judge_push(
    row: SourceRepository, *, old: pygit2.Commit | None, new: pygit2.Commit, shadows: Collection[str]
) -> tuple[Finding, ...]:
    """Return the warnings about a push that may be accepted.

    Each changed folder is judged among what the readers of this repository may use, and the other folders beside it.
    ``shadows`` are the names that the pusher wants to take over from a farther source.

    :raises PushRefused: with every finding.
    """
    try:
        folders = list(changed_folders(row, old=old, new=new))
    except ContractRefused as refusal:
        raise _refused(refusal.findings) from None
    if len(folders) > MAX_BLUEPRINTS:
        raise PushRefused(_("Push at most %(most)d changed Blueprints at once.") % {"most": MAX_BLUEPRINTS})
    fresh = [(folder, contract) for folder in folders for contract in [_contract(folder)] if _is_fresh(row, folder)]
    shelf = _shelf(row, [contract for _folder, contract in fresh if contract is not None])
    together = _together(shelf, fresh)
    findings: list[Finding] = []
    deadline = time.monotonic() + JUDGE_SECONDS
    for folder, contract in fresh:
        if time.monotonic() > deadline:
            raise PushRefused(_("Judging this push takes too long. Push fewer Blueprints at once."))
        found = [*lint_files(folder.files, shelf=together, folder=folder.folder)]
        if not is_refused(found):
            found += _unkept(row, folder)
        if contract is not None:
            found += [*_taken(row, folder, contract), *_shadowing(row, folder, contract, shadows)]
        findings += [replace(each, file=f"{folder.place}{each.file}") for each in found]
    if is_refused(findings):
        raise _refused(findings)
    return tuple(findings)


def own_versions(row: SourceRepository, name: str) -> QuerySet[BlueprintVersion]:
    """Return the versions that this repository's shelf has of a Blueprint."""
    own = {"blueprint__source": source_of(row), "blueprint__organization": row.organization_id}
    return BlueprintVersion.objects.filter(**own, blueprint__name=name)


def _unkept(row: SourceRepository, folder: PushedFolder) -> list[Finding]:
    """Return why the catalogue would not keep it: what is accepted here must be taken there."""
    try:
        folder.checked(source_of(row))
    except ContractRefused as refusal:
        return list(refusal.findings)
    return []


def _refused(findings: Sequence[Finding]) -> PushRefused:
    return PushRefused("\n".join(each.as_line() for each in findings))


def _contract(folder: PushedFolder) -> Contract | None:
    contract, findings = read_contract(folder.files.get("blueprint.yaml", b""))
    return None if findings else contract


def _is_fresh(row: SourceRepository, folder: PushedFolder) -> bool:
    """Tell whether these very bytes are not published yet: what is, was judged then."""
    contract = _contract(folder)
    if contract is None:
        return True
    present = own_versions(row, contract.name).filter(version=contract.version).first()
    return present is None or present.state == BlueprintVersion.State.DRAFT or not has_bytes(present, folder)


def has_bytes(version: BlueprintVersion, folder: PushedFolder) -> bool:
    """Tell whether a version has exactly the files of a folder, wherever each came from."""
    return digest_of(version.files) == digest_of({path: text.decode() for path, text in folder.files.items()})


def _taken(row: SourceRepository, folder: PushedFolder, contract: Contract) -> list[Finding]:
    """Return N03 when this version is out with other bytes, where only a draft may change, or comes from a registry."""
    signed = own_versions(row, contract.name).exclude(signer=None).select_related("signer").first()
    if signed is not None and signed.signer is not None:
        problem = _("%(name)s comes from %(location)s, and from no other place. Publish it under another name.")
        words = {"name": contract.name, "location": signed.signer.location}
        return [Finding("BP-N03", "metadata.name", problem % words, "", _line(folder, "metadata.name"))]
    present = own_versions(row, contract.name).filter(version=contract.version).first()
    if present is None or present.state == BlueprintVersion.State.DRAFT or has_bytes(present, folder):
        return []
    line = _line(folder, "metadata.version")
    return [broken("BP-N03", "blueprint.yaml", "metadata.version", line=line, detail=contract.version)]


def _line(folder: PushedFolder, field: str) -> int:
    return line_of(find_lines(folder.files["blueprint.yaml"])[0], field)


def _shadowing(
    row: SourceRepository, folder: PushedFolder, contract: Contract, shadows: Collection[str]
) -> list[Finding]:
    """Return a finding when a new name exists farther away and the pusher did not say that this is meant."""
    own = Blueprint.objects.filter(source=source_of(row), organization=row.organization_id, name=contract.name)
    if contract.name in shadows or own.exists():
        return []
    farther = Blueprint.objects.visible_to(row.organization).filter(name=contract.name)
    others = [each.source for each in farther if NEARNESS[each.source] > NEARNESS[source_of(row)]]
    if not others:
        return []
    problem = _("%(name)s exists already (%(source)s), and this one would take its place for everybody who sees it.")
    fix = _("Choose another name, or say that you mean it: git push -o shadows=%(name)s.")
    words = {"name": contract.name, "source": min(others, key=lambda each: NEARNESS[each])}
    return [Finding("BP-N06", "metadata.name", problem % words, fix % words, _line(folder, "metadata.name"))]


def _shelf(row: SourceRepository, pushed: Sequence[Contract]) -> Shelf:
    """Return what the readers of this repository may use: for each name the nearest source, and it alone."""
    names = {contract.name for contract in pushed}
    seen = Blueprint.objects.visible_to(row.organization).exclude(name__in=names)
    nearest: dict[str, Blueprint] = {}
    for each in sorted(seen, key=lambda each: NEARNESS[each.source]):
        nearest.setdefault(each.name, each)
    rows = BlueprintVersion.objects.installable().select_related("blueprint")
    own = rows.filter(
        blueprint__source=source_of(row), blueprint__organization=row.organization_id, blueprint__name__in=names
    )
    others = rows.filter(blueprint__in=[each.pk for each in nearest.values()]).defer("files")
    return Shelf(
        published={**published_versions(others, with_files=False), **published_versions(own, with_files=True)},
        categories=frozenset(Category.objects.filter(retired_at=None).values_list("slug", flat=True)),
        source=source_of(row),
    )


def _together(shelf: Shelf, fresh: Sequence[tuple[PushedFolder, Contract | None]]) -> Shelf:
    """Return the shelf as it will be when all of the push stands on it: each meets the others there."""
    published = dict(shelf.published)
    for folder, contract in fresh:
        if contract is None:
            continue
        texts = {path: content.decode() for path, content in folder.files.items()}
        one = Published(contract.version, digest_of(texts), contract.document["spec"], texts)
        others = [each for each in published.get(contract.name, ()) if each.version != contract.version]
        published[contract.name] = (*others, one)
    return replace(shelf, published=published)
