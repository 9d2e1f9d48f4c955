"""A Helm chart in the folder, judged by its text; ``chart_objects`` judges what it renders to.

What a text shows is refused wherever it stands, also where no render of ours gets to it.

Source: blueprints.md §7 of the design, rules M, X, O and S06.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from catalyst.core.gitops.yaml import YamlRefused, find_lines, load
from marketplace.manifests.objects import ALLOWED_KINDS, NAME
from marketplace.services.blueprint_contract import Finding
from marketplace.services.blueprint_lint.rules import broken
from marketplace.services.blueprint_lint.subject import Subject, line_of, read_manifests

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
_KINDS: Final = frozenset(kind for _version, kind in ALLOWED_KINDS)
#: What is read here, of the chart and of those inside it.
_WRITTEN: Final = ("/Chart.yaml", "/values.yaml")
_VALUES_SCHEMA: Final = "values.schema.json"


def check_chart(subject: Subject) -> Iterator[Finding]:
    """Yield what the text of a chart shows to be wrong."""
    folder = subject.contract.manifests_path
    written = {path: text for path, text in subject.below(folder).items() if path.endswith(_WRITTEN)}
    findings, is_over = read_manifests(written)[1:]
    if is_over:
        yield findings[-1]
        return
    chart = yield from _load(subject, f"{folder}/Chart.yaml", "BP-M01")
    if not isinstance(chart, Mapping):
        return
    lines = find_lines(subject.files[f"{folder}/Chart.yaml"])[0]
    # A release whose chart gets another name would be uninstalled.
    wanted = {"name": ("BP-M01", subject.contract.name), "version": ("BP-M03", subject.contract.version)}
    for field, (rule, value) in wanted.items():
        if chart.get(field) != value:
            line, detail = line_of(lines, field), f"{str(chart.get(field))[:80]}, {value}"
            yield broken(rule, f"{folder}/Chart.yaml", field, line=line, detail=detail)
    yield from _check_licenses(subject, folder)
    yield from _check_dependencies(subject, folder, chart)
    for path in sorted(subject.below(folder)):
        if "/crds/" in path or path.endswith(f"/{_VALUES_SCHEMA}"):
            yield broken("BP-M06", path)
        elif "/templates/" in path:
            is_own = path.startswith(f"{folder}/templates/")
            yield from _check_template(path, subject.text(path), is_own=is_own)
    yield from _check_values(subject, folder)


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
        inner = _inner(subject, f"{folder}/charts/{name}/Chart.yaml")
        packaged = str(inner.get("version")) if inner is not None else None
        if packaged is None:
            yield broken("BP-M02", f"{folder}/Chart.yaml", field, line=line_of(lines, field), detail=name)
        elif packaged != version:
            detail = f"{name}: {version}, {packaged}"
            yield broken("BP-M03", f"{folder}/Chart.yaml", field, line=line_of(lines, field), detail=detail)
        if inner is not None:  # what a dependency needs lies inside it
            yield from _check_dependencies(subject, f"{folder}/charts/{name}", inner)
    names = {str(each.get("name")) for each in declared}
    for path in sorted(subject.below(f"{folder}/charts")):
        if path.removeprefix(f"{folder}/charts/").partition("/")[0] not in names:
            yield broken("BP-M02", path)
            break


def _inner(subject: Subject, path: str) -> Mapping[str, Any] | None:
    """Return the ``Chart.yaml`` of a dependency; None when it is not there as plain files."""
    try:
        document = load(subject.files[path])
    except (KeyError, YamlRefused):
        return None
    return document if isinstance(document, Mapping) else None


def _check_template(path: str, text: str, *, is_own: bool) -> Iterator[Finding]:
    """Yield what a template may not say; in a dependency's only what no render would show."""
    rules = [("BP-M05", _RANDOM), ("BP-M06", _HOOK), *([("BP-M11", _NAMESPACE)] if is_own else [])]
    for rule, pattern in rules:
        match = pattern.search(text)
        if match:
            yield broken(rule, path, line=text.count("\n", 0, match.end()) + 1, detail=match[0].strip()[:80])
    if is_own:
        yield from _check_kinds(path, text)


def _check_kinds(path: str, text: str) -> Iterator[Finding]:
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
        name = field.rpartition(".")[2]
        is_wrong = name == "fullnameOverride" and value and not NAME.fullmatch(str(value))
        if is_wrong or (name == "namespaceOverride" and value):
            yield broken("BP-M11", path, field, line=line_of(lines, field))
    manifests = subject.contract.manifests
    known = {field for field, _value in _leaves(values)}
    for size, overlay in manifests.overlays.items() if manifests else ():
        for field, _value in _leaves(overlay.values):
            if field not in known:
                yield subject.finding("BP-S06", f"spec.manifests.overlays.{size}.{field}")


def toggles(subject: Subject) -> dict[str, Any]:
    """Return values that switch every kind of monitoring on that the chart's ``values.yaml`` knows."""
    try:
        values = load(subject.files[f"{subject.contract.manifests_path}/values.yaml"])
    except (KeyError, YamlRefused):
        values = None
    found: dict[str, Any] = {}
    for field, _value in _leaves(values) if isinstance(values, Mapping) else ():
        if _TOGGLE.search(field):
            node = found
            *above, last = field.split(".")
            for key in above:
                node = node.setdefault(key, {})
            node[last] = True
    return found


def _leaves(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        path = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, path)
        else:
            yield path, value
