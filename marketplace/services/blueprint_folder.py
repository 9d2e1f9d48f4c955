"""Reads one shipped Blueprint folder: its contract, texts, icon, and the digest over all of it."""

import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.utils.translation import gettext as _

from marketplace.services.blueprint_contract import Contract, ContractRefused, Finding, parse_contract

MAX_FILES = 200
MAX_BYTES = 5 * 1024 * 1024
MAX_ICON_BYTES = 6 * 1024
TEXT_SUFFIXES = frozenset({".yaml", ".md", ".svg", ".sql", ".sh", ".conf", ".txt", ".json", ".tpl"})
_SVG = "{http://www.w3.org/2000/svg}"
_SVG_ELEMENTS = frozenset(("svg", "g", "path", "circle", "ellipse", "rect", "line", "polyline", "polygon", "title"))
_SVG_ATTRIBUTES = frozenset(
    (
        *("viewBox", "width", "height", "fill", "fill-opacity", "fill-rule", "clip-rule", "opacity", "stroke"),
        *("stroke-width", "stroke-linecap", "stroke-linejoin", "stroke-opacity", "transform", "role", "points", "d"),
        *("cx", "cy", "r", "rx", "ry", "x", "y", "x1", "x2", "y1", "y2"),
    )
)


@dataclass(frozen=True, slots=True)
class BlueprintFolder:
    """A checked folder. ``files`` maps paths to text; ``digest`` covers exactly these."""

    contract: Contract
    files: dict[str, str]
    digest: str

    def text(self, path: str) -> str:
        return self.files.get(path, "")


def read_folder(folder: Path, *, source: str = "public") -> BlueprintFolder:
    """Read and check one folder, which is called as its ``source`` calls it.

    :raises ContractRefused: with every finding.
    """
    return check_files(folder.name, _read_files(folder), source=source)


def check_files(
    name: str, files: dict[str, str], *, source: str = "public", contract: Contract | None = None
) -> BlueprintFolder:
    """Check the texts of a folder called ``name``, wherever they were read from.

    ``contract`` is that of the same ``blueprint.yaml`` where somebody has read it already.

    :raises ContractRefused: with every finding.
    """
    if contract is None:
        contract = parse_contract(files.get("blueprint.yaml", "").encode())
    findings = _check(name, contract, files, source)
    if findings:
        raise ContractRefused(findings)
    return BlueprintFolder(contract=contract, files=files, digest=digest_of(files))


def folder_name(blueprint: str, source: str) -> str:
    """Return how the folder of a Blueprint is called: an Organization's ``shared-blueprints`` keep the ``bp-``."""
    return blueprint if source == "org" else blueprint.removeprefix("bp-")


def is_chart(contract: Contract) -> bool:
    """Tell whether a Blueprint ships a Helm chart."""
    return contract.manifests is not None and contract.manifests.kind == "HelmChart"


def digest_of(files: dict[str, str]) -> str:
    """Return the digest of a file tree; it depends on paths and texts only."""
    canonical = json.dumps(files, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _read_files(folder: Path) -> dict[str, str]:
    files: dict[str, str] = {}
    size = 0
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise ContractRefused([_finding("BP-M06", relative, _("Links are refused."), _("Copy the file."))])
        if not path.is_file() or path.suffix not in TEXT_SUFFIXES:
            continue
        size += path.stat().st_size
        if len(files) >= MAX_FILES or size > MAX_BYTES:
            raise ContractRefused([_finding("BP-M06", relative, _("The folder is too large."), _("Remove files."))])
        try:
            files[relative] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            finding = _finding("BP-M06", relative, _("The file is not UTF-8."), _("Re-encode it."))
            raise ContractRefused([finding]) from None
    return files


def _check(name: str, contract: Contract, files: dict[str, str], source: str) -> list[Finding]:
    findings = []
    expected = folder_name(contract.name, source)
    if name != expected:
        fix = _("Rename the folder to %(name)s.") % {"name": expected}
        findings.append(_finding("BP-N02", "metadata.name", _("The folder has another name."), fix))
    icon = files.get(contract.card.icon, "")
    if len(icon.encode()) > MAX_ICON_BYTES or not is_safe_icon(icon):
        fix = _("Draw with plain shapes, at most 6 KB: no script, style, links or outside references.")
        findings.append(_finding("BP-C03", contract.card.icon, _("This icon is refused."), fix))
    findings += [
        _finding("BP-C01", path, _("The description is missing."), _("Write it."))
        for path in ("card/description.md", "card/description.ar.md")
        if not files.get(path, "").strip()
    ]
    base = f"{contract.manifests_path}/{'Chart.yaml' if is_chart(contract) else 'base/kustomization.yaml'}"
    if contract.manifests_path and base not in files:
        findings.append(_finding("BP-M01", base, _("The base is missing."), _("Add it.")))
    return findings


@lru_cache(maxsize=64)
def is_safe_icon(text: str) -> bool:
    """Tell whether an SVG holds known shapes and attributes and nothing else."""
    if re.search(r"<!|<\?(?!xml )|&", text):
        return False
    try:
        # No document type can be in it (see above), so no entity can grow or reach out.
        root = ElementTree.fromstring(text)  # noqa: S314
    except ElementTree.ParseError:
        return False
    for element in root.iter():
        if not element.tag.startswith(_SVG) or element.tag.removeprefix(_SVG) not in _SVG_ELEMENTS:
            return False
        if not set(element.attrib) <= _SVG_ATTRIBUTES or any("url(" in value for value in element.attrib.values()):
            return False
    return root.tag == f"{_SVG}svg"


def _finding(rule: str, field: str, problem: str, fix: str) -> Finding:
    return Finding(rule, field, problem, fix)
