"""A Helm chart in the folder, judged by its text: no template is ever evaluated here.

What only a render can show is not known, so a chart is never found sound: BP-M04 says so.

Source: blueprints.md §7 of the design, rules M, X, O and S06.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.gitops.yaml import YamlRefused, find_lines, load
from marketplace.manifests.objects import ALLOWED_KINDS
from marketplace.services.blueprint_contract import ContractRefused, Finding
from marketplace.services.blueprint_lint.rules import broken
from marketplace.services.blueprint_lint.subject import Subject, line_of
from marketplace.services.blueprint_lint.tree import read_archive

_RANDOM = re.compile(
    r"\{\{[^}]*\b(?:now|date|rand[A-Z][A-Za-z]*|uuidv4|lookup|gen(?:CA|SignedCert|SelfSignedCert|PrivateKey)[A-Za-z]*"
    r"|derivePassword|shuffle|htpasswd|bcrypt|getHostByName|env|expandenv)\b"
)
_HOOK = re.compile(r"helm\.sh/hook|kind:\s*[\"']?CustomResourceDefinition")
_NAMESPACE = re.compile(r"^\s*[\"']?namespace[\"']?:\s*(?!\{\{-?\s*\.Release\.Namespace)\S", re.MULTILINE)
_KIND = re.compile(r"^kind:\s*[\"']?([A-Za-z]+)", re.MULTILINE)
_MONITOR = re.compile(r"monitoring\.coreos\.com")
_TOGGLE = re.compile(r"(?:^|\.)(?:serviceMonitor|podMonitor|prometheusRule|metrics|monitoring|tracing)\.enabled$")
_LICENSE = re.compile(r"artifacthub\.io/license:\s*[\"']?([A-Za-z0-9.+-]+)")
_NAMES: Final = ("nameOverride", "fullnameOverride", "namespaceOverride")
_KINDS: Final = frozenset(kind for _version, kind in ALLOWED_KINDS)


def check_chart(subject: Subject) -> Iterator[Finding]:
    """Yield what the text of a chart shows to be wrong."""
    folder = subject.contract.manifests_path
    chart = yield from _load(subject, f"{folder}/Chart.yaml", "BP-M01")
    if not isinstance(chart, Mapping):
        return
    lines = find_lines(subject.files[f"{folder}/Chart.yaml"])[0]
    if chart.get("version") != subject.contract.version:
        line, detail = line_of(lines, "version"), str(chart.get("version"))[:80]
        yield broken("BP-M03", f"{folder}/Chart.yaml", "version", line=line, detail=detail)
    yield from _check_licenses(subject, folder)
    yield from _check_dependencies(subject, folder, chart)
    for path in sorted(subject.below(f"{folder}/crds"))[:1]:
        yield broken("BP-M06", path)
    for path in sorted(subject.below(f"{folder}/templates")):
        yield from _check_template(path, subject.text(path))
    yield from _check_values(subject, folder)
    is_scraped = any(_MONITOR.search(subject.text(path)) for path in subject.below(f"{folder}/templates"))
    if subject.contract.observability.metrics == "prometheus" and not is_scraped:
        yield subject.finding("BP-O02", "spec.observability.metrics")
    why = _("Helm charts cannot be rendered here yet")
    yield subject.finding("BP-M04", "spec.manifests.source.kind", detail=why)


def _load(subject: Subject, path: str, rule: str) -> Any:
    """Return a YAML file of the chart; yields a finding and returns None when it cannot be read."""
    try:
        return load(subject.files[path])
    except KeyError:
        yield broken(rule, path)
    except YamlRefused as error:
        yield broken("BP-N04", path, line=error.line, detail=error.message)
    return None


def _check_licenses(subject: Subject, folder: str) -> Iterator[Finding]:
    for path in sorted(subject.below(folder)):
        stated = _LICENSE.search(subject.text(path)) if path.endswith("/Chart.yaml") else None
        if stated and stated[1] != subject.contract.card.license:
            yield subject.finding("BP-C05", "spec.card.license", detail=f"{path}: {stated[1]}")


def _check_dependencies(subject: Subject, folder: str, chart: Mapping[str, Any]) -> Iterator[Finding]:
    declared = chart.get("dependencies") or []
    lines = find_lines(subject.files[f"{folder}/Chart.yaml"])[0]
    if not isinstance(declared, list) or not all(isinstance(each, Mapping) for each in declared):
        yield broken("BP-M02", f"{folder}/Chart.yaml", "dependencies")
        return
    for index, each in enumerate(declared):
        field = f"dependencies.{index}"
        name, version = str(each.get("name")), str(each.get("version"))
        packaged = _packaged(subject, f"{folder}/charts", name, version)
        if packaged is None:
            yield broken("BP-M02", f"{folder}/Chart.yaml", field, line=line_of(lines, field), detail=name)
        elif packaged != version:
            detail = f"{name}: {version}, {packaged}"
            yield broken("BP-M03", f"{folder}/Chart.yaml", field, line=line_of(lines, field), detail=detail)
    names = {str(each.get("name")) for each in declared}
    for path in sorted(subject.below(f"{folder}/charts")):
        inner = path.removeprefix(f"{folder}/charts/").partition("/")[0]
        if not any(inner == name or inner.startswith(f"{name}-") for name in names):
            yield broken("BP-M02", path)
            break


def _packaged(subject: Subject, charts: str, name: str, version: str) -> str | None:
    """Return the version that the packaged bytes of a dependency state; None when they are not there."""
    content = subject.files.get(f"{charts}/{name}/Chart.yaml")
    packed = subject.files.get(f"{charts}/{name}-{version}.tgz")
    try:
        if content is None and packed is not None:
            content = read_archive(packed).get(f"{name}/Chart.yaml")
        document = load(content) if content is not None else None
    except (ContractRefused, YamlRefused):
        return None
    return str(document.get("version")) if isinstance(document, Mapping) else None


def _check_template(path: str, text: str) -> Iterator[Finding]:
    for rule, pattern in (("BP-M05", _RANDOM), ("BP-M06", _HOOK), ("BP-M11", _NAMESPACE)):
        match = pattern.search(text)
        if match:
            yield broken(rule, path, line=text.count("\n", 0, match.end()) + 1, detail=match[0].strip()[:80])
    match = _MONITOR.search(text)
    if match:
        if not re.search(r"\{\{-?\s*if\b[^}]*\.Values\.", text[: match.start()]):
            yield broken("BP-O01", path, line=text.count("\n", 0, match.start()) + 1)
        return
    for match in _KIND.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match[1] == "Secret":
            yield broken("BP-X03", path, line=line)
        elif match[1] not in _KINDS and match[1] != "CustomResourceDefinition":
            yield broken("BP-X05", path, line=line, detail=match[1])


def _check_values(subject: Subject, folder: str) -> Iterator[Finding]:
    path = f"{folder}/values.yaml"
    values = yield from _load(subject, path, "BP-M04")
    if not isinstance(values, Mapping):
        return
    lines = find_lines(subject.files[path])[0]
    for field, value in _leaves(values):
        if _TOGGLE.search(field) and value is not False:
            yield broken("BP-O01", path, field, line=line_of(lines, field))
        if field.rpartition(".")[2] in _NAMES and value:
            yield broken("BP-M11", path, field, line=line_of(lines, field))
    manifests = subject.contract.manifests
    known = {field for field, _value in _leaves(values)}
    for size, overlay in manifests.overlays.items() if manifests else ():
        for field, _value in _leaves(overlay.values):
            if field not in known:
                yield subject.finding("BP-S06", f"spec.manifests.overlays.{size}.{field}")


def _leaves(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        path = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, path)
        else:
            yield path, value
