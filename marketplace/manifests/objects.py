"""The objects of one Application: what kustomize or Helm built, labeled, paused where asked, checked, secrets apart."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.gitops import yaml
from catalyst.core.gitops.validate import subject_of, validate_object
from marketplace.manifests.facts import EnvironmentFacts, Intent, LockEntry, ManifestsRefused
from marketplace.manifests.labels import COMPONENT, object_labels, pod_labels
from marketplace.manifests.values import dependency_secret_path

#: The namespaced kinds a Blueprint may make. Job is not among them (immutable), nor is Secret (never in Git).
ALLOWED_KINDS: Final = frozenset(
    {
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("batch/v1", "CronJob"),
        ("external-secrets.io/v1", "ExternalSecret"),
        ("networking.k8s.io/v1", "Ingress"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("policy/v1", "PodDisruptionBudget"),
        ("v1", "ConfigMap"),
        ("v1", "PersistentVolumeClaim"),
        ("v1", "Service"),
        ("v1", "ServiceAccount"),
    }
)
#: How the objects of an Application are called; the main ones are plain "app".
NAME: Final = re.compile(r"app(?:-.*)?", re.DOTALL)
#: Of annotations that take an object out of its release.
HOOK: Final = "helm.sh/hook"
MAX_OBJECTS: Final = 200
MAX_BUILT_BYTES: Final = 2 * 1024 * 1024

_KEEP_ON_REMOVAL: Final = {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
_POD_TEMPLATES: Final = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ApplicationObjects:
    """``objects`` go into objects.yaml, ``secrets`` (ExternalSecrets) into secrets.yaml."""

    objects: tuple[Object, ...]
    secrets: tuple[Object, ...]


def application_objects(
    built: bytes, *, environment: EnvironmentFacts, entry: LockEntry, intent: Intent, hostname: str
) -> ApplicationObjects:
    """Return the finished objects of one Application from what was built.

    :raises ManifestsRefused: a kind, namespace, host or secret path that is not this Application's, or a schema error.
    """
    items = [item for item in yaml.load_documents(built, max_bytes=MAX_BUILT_BYTES) if item is not None]
    if not items or len(items) > MAX_OBJECTS:
        raise ManifestsRefused(_("A Blueprint makes between 1 and %(limit)d objects.") % {"limit": MAX_OBJECTS})
    namespace = environment.namespace(entry.application)
    labels, for_pods = object_labels(environment, entry), pod_labels(environment, entry)
    secret_paths = _secret_paths(environment, entry)
    finished: list[Object] = []
    for item in items:
        _check_identity(item, namespace)
        _add_labels(item, labels, for_pods)
        if item["kind"] == "ExternalSecret":
            item["spec"]["secretStoreRef"] = {"kind": "ClusterSecretStore", "name": environment.secret_store}
            _check_secret_paths(item, secret_paths)
        elif item["kind"] == "Ingress":
            _check_hosts(item, hostname)
        elif item["kind"] == "PersistentVolumeClaim":
            item["metadata"].setdefault("annotations", {}).update(_KEEP_ON_REMOVAL)
        if intent.state != "paused" or _pause(item):
            finished.append(item)
    finished.append(_namespace(namespace, labels))
    _check_schemas(finished)
    return _split(finished)


def as_list(items: Sequence[Object]) -> Object:
    """Return one ``v1`` List, so that a file is exactly one document."""
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}


def _split(items: Iterable[Object]) -> ApplicationObjects:
    ordered = sorted(items, key=lambda item: (item["kind"] != "Namespace", item["kind"], item["metadata"]["name"]))
    identities = [(item["kind"], item["metadata"]["name"]) for item in ordered]
    if len(set(identities)) != len(identities):
        raise ManifestsRefused(_("Two objects have the same kind and name."))
    return ApplicationObjects(
        objects=tuple(item for item in ordered if item["kind"] != "ExternalSecret"),
        secrets=tuple(item for item in ordered if item["kind"] == "ExternalSecret"),
    )


def _namespace(name: str, labels: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": {**labels, "pod-security.kubernetes.io/enforce": "restricted"},
            "annotations": dict(_KEEP_ON_REMOVAL),
        },
    }


def _check_identity(item: Any, namespace: str) -> None:
    is_object = isinstance(item, dict) and isinstance(item.get("metadata"), dict)
    if not is_object or (item.get("apiVersion"), item.get("kind")) not in ALLOWED_KINDS:
        raise _refused(item, _("this kind is not allowed"))
    name = item["metadata"].get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise _refused(item, _("objects are named app or app-<part>"))
    annotations = item["metadata"].get("annotations")
    if isinstance(annotations, Mapping) and any(str(key).startswith(HOOK) for key in annotations):
        raise _refused(item, _("hooks are not allowed"))
    # kustomize has written it; Helm writes none and puts what has none into the namespace of the release.
    if item["metadata"].setdefault("namespace", namespace) != namespace:
        raise _refused(item, _("the namespace must be %(name)s") % {"name": namespace})


def _add_labels(item: Object, labels: Mapping[str, str], for_pods: Mapping[str, str]) -> None:
    own = item["metadata"].get("labels") or {}
    item["metadata"]["labels"] = {**own, **labels, COMPONENT: own.get(COMPONENT, labels[COMPONENT])}
    template: Any = item
    for key in _POD_TEMPLATES.get(item["kind"], ()):
        template = template.get(key) if isinstance(template, dict) else None
    if item["kind"] in _POD_TEMPLATES and isinstance(template, dict):
        metadata = template.setdefault("metadata", {})
        own = metadata.get("labels") or {}
        metadata["labels"] = {**own, **for_pods, COMPONENT: own.get(COMPONENT, for_pods[COMPONENT])}


def _pause(item: Object) -> bool:
    """Scale one object to zero; False when it has no place in a paused Application."""
    if item["kind"] in {"Deployment", "StatefulSet"}:
        item["spec"]["replicas"] = 0
    elif item["kind"] == "CronJob":
        item["spec"]["suspend"] = True
    return bool(item["kind"] != "HorizontalPodAutoscaler")


def _secret_paths(environment: EnvironmentFacts, entry: LockEntry) -> tuple[str, ...]:
    bound = sorted(set(entry.bindings.values()))
    issued = [dependency_secret_path(environment, dependency=name, application=entry.application) for name in bound]
    return (environment.secret_path(entry.application), *issued)


def _check_secret_paths(item: Object, allowed: tuple[str, ...]) -> None:
    spec = item["spec"]
    keys = [(data.get("remoteRef") or {}).get("key") for data in spec.get("data") or ()]
    for data in spec.get("dataFrom") or ():
        keys += [data["extract"].get("key")] if "extract" in data else []
        keys += [data["find"].get("path")] if "find" in data else []
    for key in keys:
        text = str(key)
        is_own = any(text == path or text.startswith(f"{path}/") for path in allowed)
        if not is_own or ".." in text.split("/"):
            raise _refused(item, _("it may not read %(path)s") % {"path": text[:120]})


def _check_hosts(item: Object, hostname: str) -> None:
    spec = item.get("spec") or {}
    hosts = [rule.get("host") for rule in spec.get("rules") or ()]
    hosts += [host for entry in spec.get("tls") or () for host in entry.get("hosts") or ()]
    for host in hosts:
        if host != hostname and not str(host).endswith(f".{hostname}"):
            raise _refused(item, _("the host %(host)s is not this Application's") % {"host": str(host)[:120]})


def _check_schemas(items: Iterable[Object]) -> None:
    for item in items:
        if problems := validate_object(item):
            raise _refused(item, f"{problems[0].pointer} {problems[0].message}")


def _refused(item: Any, reason: str) -> ManifestsRefused:
    return ManifestsRefused(_("%(object)s is refused: %(reason)s.") % {"object": subject_of(item), "reason": reason})
