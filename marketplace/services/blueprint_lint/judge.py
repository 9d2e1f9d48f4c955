"""One judgment over a whole Blueprint: every broken rule at once, whoever asks.

What is cheap comes first; nothing is rendered that a reading already refuses.

Source: blueprints.md §7 of the design.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from catalyst.core.gitops.build import build
from catalyst.core.gitops.yaml import find_lines
from marketplace.manifests.facts import Kustomize
from marketplace.services.blueprint_contract import (
    ContractRefused,
    Finding,
    parse_contract,
    read_contract,
)
from marketplace.services.blueprint_folder import TEXT_SUFFIXES, digest_of, folder_name, is_chart
from marketplace.services.blueprint_lint.card import check_card, check_place
from marketplace.services.blueprint_lint.cases import check_integration, check_upgrade
from marketplace.services.blueprint_lint.chart import check_chart
from marketplace.services.blueprint_lint.chart_objects import check_labels, render_chart
from marketplace.services.blueprint_lint.objects import check_immutable, check_network, check_rotation
from marketplace.services.blueprint_lint.pods import check_pods
from marketplace.services.blueprint_lint.rendering import (
    SIZES,
    Object,
    Renderer,
    RenderFailed,
    render_sample,
    renderer_of,
    sample_values,
)
from marketplace.services.blueprint_lint.secrets_in_text import check_secrets
from marketplace.services.blueprint_lint.shelf import Published, Shelf
from marketplace.services.blueprint_lint.shelf_rules import (
    check_dependencies,
    check_upgrades,
    check_version,
    may_move_from,
)
from marketplace.services.blueprint_lint.sources import check_sources, value_at
from marketplace.services.blueprint_lint.subject import Subject, line_of, read_subject

#: Which visibilities each source has.
_VISIBILITIES: Final = {
    "public": ("listed", "unlisted"),
    "sovereign": ("listed", "unlisted", "private"),
    "org": ("private",),
}
_MOST_FINDINGS: Final = 200

#: What an older version renders to; None when it does not.
Before = tuple[Object, ...] | None


def lint_files(
    files: Mapping[str, bytes],
    *,
    shelf: Shelf,
    folder: str = "",
    kustomize: Kustomize = build,
) -> tuple[Finding, ...]:
    """Return every finding about a Blueprint given as its files, by file and line; no refusal means publishable.

    ``folder`` is the name of its folder where it has one. Of more than 200 findings the first refusals are returned.
    """
    source = files.get("blueprint.yaml", b"")
    contract, findings = read_contract(source)
    if contract is not None:
        lines = find_lines(source)[0]
        findings = [each if each.line else replace(each, line=line_of(lines, each.field)) for each in findings]
        subject = read_subject(contract, files, shelf, lines)
        is_sound = not findings
        findings += written_findings(subject, folder, is_sound=is_sound)
        if is_chart(contract) and not is_refused(findings):
            subject, found = render_chart(subject)
            findings += found
        if not is_refused(findings):
            render = renderer_of(contract, files, kustomize)
            findings += check_labels(subject, render) if is_chart(contract) else ()
            findings += rendered_findings(subject, render)
            if not any(each.rule == "BP-M04" for each in findings):
                findings += upgrade_findings(subject, render, lambda each: _before(each, kustomize))
    ordered = sorted(set(findings), key=lambda each: (each.file, each.line, each.rule, each.field, each.problem))
    if len(ordered) > _MOST_FINDINGS:
        ordered.sort(key=lambda each: each.is_warning)
    return tuple(ordered[:_MOST_FINDINGS])


def is_refused(findings: Iterable[Finding]) -> bool:
    """Tell whether any finding is more than a warning."""
    return any(not each.is_warning for each in findings)


def written_findings(subject: Subject, folder: str = "", *, is_sound: bool = True) -> list[Finding]:
    """Judge all that needs no rendering. ``is_sound``: the contract itself has no finding."""
    findings = read_findings(subject) + place_findings(subject, folder, is_sound=is_sound)
    if is_sound and is_chart(subject.contract):
        findings += check_chart(subject)
    return findings


def read_findings(subject: Subject) -> list[Finding]:
    """Judge what the files say, whatever stands beside them and whatever the version is called."""
    findings = [*check_card(subject), *check_sources(subject), *check_secrets(subject)]
    if value_at(subject.contract.document, "spec.observability") is None:
        findings.append(subject.finding("BP-O03", "spec"))
    return findings


def place_findings(subject: Subject, folder: str, *, is_sound: bool) -> list[Finding]:
    """Judge how the Blueprint stands to the shelf it is meant for."""
    contract, shelf = subject.contract, subject.shelf
    findings = list(check_place(subject))
    if folder and contract.name and folder != folder_name(contract.name, shelf.source):
        findings.append(subject.finding("BP-N02", "metadata.name", detail=folder[:80]))
    if contract.visibility not in _VISIBILITIES[shelf.source]:
        findings.append(subject.finding("BP-N04", "spec.visibility", detail=f"{shelf.source}: {contract.visibility}"))
    if shelf.artifact is not None and not shelf.artifact.has_materials:
        findings.append(subject.finding("BP-X02", ""))
    if is_sound:
        if any(each.version == contract.version for each in shelf.versions(contract.name)):
            findings += check_version(subject, _digest(subject.files))
        findings += [*check_dependencies(subject), *check_upgrades(subject)]
    return findings


def _digest(files: Mapping[str, bytes]) -> str:
    texts = {path: content for path, content in files.items() if path.endswith(tuple(TEXT_SUFFIXES))}
    return digest_of({path: content.decode(errors="replace") for path, content in texts.items()})


def rendered_findings(subject: Subject, render: Renderer) -> Iterator[Finding]:
    """Judge what comes of each size, and of the cases of ``tests/integration.yaml``."""
    if subject.contract.manifests is None:
        return
    config = sample_values(subject.contract.config_schema)
    rendered: dict[str, tuple[Object, ...]] = {}
    for size in SIZES:
        try:
            rendered[size] = render(size, config)
        except RenderFailed as error:
            yield subject.finding("BP-M04", "spec.manifests.source", detail=f"{size}: {error}")
            continue
        yield from check_pods(subject, size, rendered[size])
        yield from check_network(subject, rendered[size])
    yield from _one_upstream(subject, rendered)
    if len(rendered) == len(SIZES):
        yield from check_rotation(subject, rendered["small"])
        yield from check_integration(subject, render)


def upgrade_findings(subject: Subject, render: Renderer, before: Callable[[Published], Before]) -> Iterator[Finding]:
    """Judge the way here from each older version that may move here; this one renders."""
    contract = subject.contract
    if contract.manifests is None:
        return
    small = render("small", sample_values(contract.config_schema))
    yield from check_upgrade(subject, render)
    for each in subject.shelf.earlier(contract):
        if not each.files or not may_move_from(contract, each.version):
            continue
        objects = before(each)
        if objects is None:
            yield subject.finding("BP-U03", "spec.upgrades.from", detail=each.version)
        elif objects is not small:
            yield from check_immutable(subject, each.version, objects, small)


def _one_upstream(subject: Subject, rendered: Mapping[str, tuple[Object, ...]]) -> Iterator[Finding]:
    """Yield M03 when a size runs another release than the small one."""
    images = {size: set(_images(objects)) for size, objects in rendered.items()}
    for size, found in images.items():
        if "small" in images and found != images["small"]:
            other = min(found ^ images["small"])
            yield subject.finding("BP-M03", f"spec.manifests.overlays.{size}", detail=other[:200])


def _images(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("image"), str) and "name" in value:
            yield value["image"]
        for child in value.values():
            yield from _images(child)
    elif isinstance(value, list | tuple):
        for child in value:
            yield from _images(child)


def _before(each: Published, kustomize: Kustomize) -> Before:
    files = {path: text.encode() for path, text in each.files.items()}
    try:
        old = parse_contract(files.get("blueprint.yaml", b""))
        config = sample_values(old.config_schema)
        return render_sample(old, files, size="small", config=config, kustomize=kustomize)
    except (ContractRefused, RenderFailed):
        return None
