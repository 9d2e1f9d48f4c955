"""What a Helm chart renders to, before the platform touches it: judged like the files of a Kustomize Blueprint.

Source: blueprints.md §7 of the design, rules M, X and O.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from catalyst.core.gitops import helm
from catalyst.core.gitops.build import CHART, RELEASE
from catalyst.core.gitops.yaml import YamlRefused, load, load_documents
from marketplace.manifests.dependency_values import merged
from marketplace.manifests.labels import COMPONENT, VERSIONED
from marketplace.manifests.objects import NAME
from marketplace.services.blueprint_contract import Finding
from marketplace.services.blueprint_lint.chart import toggles
from marketplace.services.blueprint_lint.rendering import (
    SAMPLE_NAMESPACE,
    Object,
    Renderer,
    RenderFailed,
    sample_layers,
    sample_values,
)
from marketplace.services.blueprint_lint.rules import broken
from marketplace.services.blueprint_lint.secrets_in_text import check_secrets
from marketplace.services.blueprint_lint.sources import check_kind, is_monitor, value_at
from marketplace.services.blueprint_lint.subject import Source, Subject

_OWN_LABELS: Final = "openova.io/"
_WORKLOADS: Final = ("Deployment", "StatefulSet")


def render_chart(subject: Subject) -> tuple[Subject, list[Finding]]:
    """Return the subject with the documents that its chart renders to by default, and what is wrong with them.

    Nothing else is rendered of a chart that fails here: one that takes all the time it may have costs it once.
    """
    try:
        sources = _sources(subject, {})
        again = _sources(subject, {}, is_fresh=True)
    except (DomainError, RenderFailed) as error:
        why = error.message if isinstance(error, DomainError) else str(error)
        return subject, [subject.finding("BP-M04", "spec.manifests.source", detail=why)]
    origins = {each.identity: each for each in sources if each.is_object}
    subject = replace(subject, sources=sources, origins=origins)
    findings = [] if sources == again else [subject.finding("BP-M05", "spec.manifests.source")]
    for source in sources:
        findings += _check_source(source, subject)
    findings += check_secrets(replace(subject, files={}))
    findings += _check_monitoring(subject)
    return subject, findings


def check_labels(subject: Subject, render: Renderer) -> Iterator[Finding]:
    """Yield M07 where the platform's labels, which win over a chart's own, leave a selector without its pods."""
    try:
        objects = render("small", sample_values(subject.contract.config_schema))
    except RenderFailed:
        return
    pods = [value_at(each, "spec.template.metadata.labels") or {} for each in objects if each["kind"] in _WORKLOADS]
    for each in objects:
        if each["kind"] in _WORKLOADS:
            labels = value_at(each, "spec.template.metadata.labels") or {}
            yield from _check_selector(subject, each, value_at(each, "spec.selector.matchLabels"), [labels])
        elif each["kind"] == "Service":
            yield from _check_selector(subject, each, value_at(each, "spec.selector"), pods)


def _check_selector(
    subject: Subject, item: Object, selector: Any, pods: Sequence[Mapping[str, Any]]
) -> Iterator[Finding]:
    if isinstance(selector, Mapping) and selector:
        changing = sorted(set(selector) & VERSIONED)
        if changing or not any(selector.items() <= labels.items() for labels in pods):
            detail = changing[0] if changing else ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))
            yield subject.about("BP-M07", item, detail=detail[:200])


def _sources(subject: Subject, more: Mapping[str, Any], *, is_fresh: bool = False) -> tuple[Source, ...]:
    """Return the documents of the small size, by the template that they come from.

    :raises RenderFailed: see ``render_sample``. :raises DomainError: Helm, or a text that is not plain YAML.
    """
    config = sample_values(subject.contract.config_schema)
    layers = sample_layers(subject.contract, subject.files, size="small", config=config)
    release = load(layers[RELEASE])
    made = helm.template(
        {path.removeprefix(CHART): content for path, content in layers.items() if path.startswith(CHART)},
        values=merged(release["values"], more),
        release=release["name"],
        namespace=release["namespace"],
        is_fresh=is_fresh,
    )
    found: list[Source] = []
    for path, text in made.items():
        file = f"{subject.contract.manifests_path}/{path.removeprefix(f'{subject.contract.name}/')}"
        try:
            documents = load_documents(text)
        except YamlRefused as error:
            raise RenderFailed(f"{file}: {error.message}") from None
        found += [Source(file, document, {}) for document in documents if document is not None]
    return tuple(found)


def _check_source(source: Source, subject: Subject) -> Iterator[Finding]:
    if not source.is_object or not isinstance(source.data.get("metadata"), Mapping):
        yield source.finding("BP-M04", detail=_("this is no Kubernetes object"))
        return
    yield from check_kind(source, subject)
    metadata = source.data["metadata"]
    if metadata.get("namespace", SAMPLE_NAMESPACE) != SAMPLE_NAMESPACE:
        yield source.finding("BP-M11", "metadata.namespace")
    if not NAME.fullmatch(str(metadata.get("name"))):
        yield source.finding("BP-M11", "metadata.name", detail=str(metadata.get("name"))[:80])
    pod_labels = value_at(source.data, "spec.template.metadata.labels")
    for labels in (metadata.get("labels"), pod_labels):
        own = [str(key) for key in labels if str(key).startswith(_OWN_LABELS)] if isinstance(labels, Mapping) else []
        if own:
            yield source.finding("BP-M07", "metadata.labels", detail=own[0][:80])
    if source.data["kind"] in _WORKLOADS and COMPONENT not in (pod_labels if isinstance(pod_labels, Mapping) else {}):
        yield source.finding("BP-M07", "spec.template.metadata.labels", detail=COMPONENT)


def _check_monitoring(subject: Subject) -> Iterator[Finding]:
    """Yield O02 unless everything that can be switched on renders, and collects what is promised."""
    more = toggles(subject)
    try:
        opted_in = _sources(subject, more) if more else subject.sources
    except (DomainError, RenderFailed) as error:
        why = error.message if isinstance(error, DomainError) else str(error)
        yield broken("BP-O02", f"{subject.contract.manifests_path}/values.yaml", detail=why)
        return
    if subject.contract.observability.metrics == "prometheus" and not any(map(is_monitor, opted_in)):
        yield subject.finding("BP-O02", "spec.observability.metrics")
