"""The manifests as they were written, before anything is built from them.

Source: blueprints.md §7 of the design, rules M, X and O.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from marketplace.manifests.labels import COMPONENT
from marketplace.manifests.objects import ALLOWED_KINDS
from marketplace.manifests.values import VALUES_NAME
from marketplace.services.blueprint_contract import Finding
from marketplace.services.blueprint_folder import is_chart
from marketplace.services.blueprint_lint.rules import broken
from marketplace.services.blueprint_lint.subject import Source, Subject, texts_in

_PLATFORM_GROUPS = re.compile(
    r"(?:[a-z0-9.-]*toolkit\.fluxcd\.io|[a-z0-9.-]*crossplane\.io|admissionregistration\.k8s\.io|kyverno\.io)/.*"
)
_MONITORING: Final = "monitoring.coreos.com/"
_OWN_LABELS = re.compile(r"openova\.io/.*|app\.kubernetes\.io/(?!component$).*|helm\.sh/.*")
_OUTSIDE = re.compile(r"[a-z]+://|^git@|^github\.com|^/|(?:^|/)\.\.(?:/|$)", re.IGNORECASE)
_NAMING_FIELDS: Final = frozenset({"namespace", "namePrefix", "nameSuffix"})
_LABEL_FIELDS: Final = frozenset({"labels", "commonLabels", "commonAnnotations"})
_REFUSED_FIELDS: Final = frozenset(
    (*("helmCharts", "helmGlobals", "generators", "transformers", "configurations", "openapi", "crds", "bases"),)
)
_SELECTORS: Final = {
    "Deployment": "spec.selector.matchLabels",
    "StatefulSet": "spec.selector.matchLabels",
    "Service": "spec.selector",
}


def check_sources(subject: Subject) -> Iterator[Finding]:
    """Yield what is wrong with the files of a Kustomize Blueprint; Helm charts by ``chart`` and ``chart_objects``."""
    yield from subject.unreadable
    yield from _check_layout(subject)
    for source in subject.sources:
        if source.is_object:
            yield from check_kind(source, subject)
            yield from _check_identity(source)
            yield from _check_labels(source)
        elif isinstance(source.data, dict) and str(source.data.get("kind")) in {"Kustomization", "Component"}:
            yield from _check_kustomization(source)
    if subject.shelf.source == "org":
        yield from (broken("BP-X08", path) for path in sorted(subject.below("compositions"))[:1])
    is_promised = subject.contract.observability.metrics == "prometheus"
    if is_promised and not is_chart(subject.contract) and not any(map(is_monitor, subject.sources)):
        yield subject.finding("BP-O02", "spec.observability.metrics")


def is_monitor(source: Source) -> bool:
    return source.is_object and str(source.data.get("apiVersion")).startswith(_MONITORING)


def _check_layout(subject: Subject) -> Iterator[Finding]:
    manifests = subject.contract.manifests
    if manifests is None:
        return
    other, wanted = ("chart", "manifests") if manifests.kind == "Kustomize" else ("manifests", "chart")
    if other != manifests.path and subject.below(other):
        yield subject.finding("BP-M01", "spec.manifests.source", detail=f"{manifests.path}, {other}")
    if manifests.kind == "Kustomize" and f"{manifests.path}/base/kustomization.yaml" not in subject.files:
        yield subject.finding("BP-M01", "spec.manifests.source.path", detail=f"{manifests.path or wanted}/base")


def check_kind(source: Source, subject: Subject) -> Iterator[Finding]:
    """Yield what is wrong with the kind of an object, and a hook."""
    api_version, kind = str(source.data.get("apiVersion")), str(source.data["kind"])
    annotations = (source.data.get("metadata") or {}).get("annotations") if source.identity[1] else None
    if isinstance(annotations, Mapping) and any(str(key).startswith("helm.sh/hook") for key in annotations):
        yield source.finding("BP-M06", "metadata.annotations", detail="helm.sh/hook")
    if (api_version, kind) in ALLOWED_KINDS:
        return
    if kind == "Secret":
        yield source.finding("BP-X03", "kind", detail=source.identity[1])
    elif kind == "CustomResourceDefinition":
        yield source.finding("BP-M06", "kind", detail=kind)
    elif api_version.startswith(_MONITORING):
        if "/overlays/metrics/" not in source.file:
            yield source.finding("BP-O01", "kind", detail=kind)
    elif subject.shelf.source == "org" and _PLATFORM_GROUPS.fullmatch(api_version):
        yield source.finding("BP-X08", "kind", detail=kind)
    else:
        yield source.finding("BP-X05", "kind", detail=f"{api_version} {kind}")


def _check_identity(source: Source) -> Iterator[Finding]:
    metadata = source.data.get("metadata")
    if isinstance(metadata, Mapping) and "namespace" in metadata:
        yield source.finding("BP-M11", "metadata.namespace")


def _check_labels(source: Source) -> Iterator[Finding]:
    for path in ("metadata.labels", "spec.template.metadata.labels"):
        labels = value_at(source.data, path)
        own = [key for key in labels if _OWN_LABELS.fullmatch(str(key))] if isinstance(labels, Mapping) else []
        if own:
            yield source.finding("BP-M07", f"{path}.{own[0]}", detail=own[0])
    path = _SELECTORS.get(source.identity[0], "")
    selector = value_at(source.data, path) if path and source.identity[1] != VALUES_NAME else None
    if isinstance(selector, Mapping) and COMPONENT not in selector:
        yield source.finding("BP-M07", path)


def _check_kustomization(source: Source) -> Iterator[Finding]:
    for key in sorted(set(source.data) & _NAMING_FIELDS):
        yield source.finding("BP-M11", key)
    for key in sorted(set(source.data) & _LABEL_FIELDS):
        yield source.finding("BP-M07", key)
    for key in sorted(set(source.data) & _REFUSED_FIELDS):
        yield source.finding("BP-M06", key)
    if "secretGenerator" in source.data:
        yield source.finding("BP-X03", "secretGenerator")
    for key in ("resources", "components", "patches", "replacements"):
        for path, text in texts_in(source.data.get(key), key):
            is_name = path.count(".") == 1 or path.endswith(".path")
            if is_name and _OUTSIDE.search(text):
                yield source.finding("BP-M06", path, detail=text[:120])


def value_at(data: Any, path: str) -> Any:
    for key in path.split("."):
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def mappings_at(data: Any, path: str) -> list[Mapping[str, Any]]:
    """Return the mappings of a list. Kubernetes' schemas let nulls stand in lists; they are nothing to judge."""
    found = value_at(data, path)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
