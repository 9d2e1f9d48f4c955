"""What Flux needs to install a chart itself: where its bytes are, and the release with the platform's own edits.

The edits are those that ``objects`` makes on the objects of every Blueprint; here Flux makes them after rendering.
Source: gitops.md §8 of the design, which says why each setting is as it is; the Flux API references of OCIRepository v1
and HelmRelease v2 ("Post Renderers" patches are kustomize's).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from catalyst.core.gitops import yaml
from marketplace.manifests.facts import EnvironmentFacts, Intent, LockEntry, RenderSettings
from marketplace.manifests.flux import SHARD
from marketplace.manifests.labels import COMPONENT, object_labels, pod_labels

CHART_LAYER: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_ANY: Final = ".*"
_INVENTORY: Final = "catalyst.openova.io/objects"


def chart_source(environment: EnvironmentFacts, entry: LockEntry) -> dict[str, Any]:
    """Return ``source.yaml``: the artifact by digest alone, its chart as it is, and whose signature it must have."""
    spec = {
        "url": f"oci://{entry.registry}",
        "ref": {"digest": entry.digest},
        "interval": "24h",
        "layerSelector": {"mediaType": CHART_LAYER, "operation": "copy"},
        "verify": {"provider": "cosign", "secretRef": {"name": f"cosign-{entry.source}"}},
    }
    return _object("source.toolkit.fluxcd.io/v1", "OCIRepository", environment, entry, spec)


def chart_release(
    environment: EnvironmentFacts, entry: LockEntry, intent: Intent, settings: RenderSettings, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return ``release.yaml``; name and namespace of a release never change, because changing them uninstalls."""
    spec = {
        "chartRef": {"kind": "OCIRepository", "name": entry.application},
        "releaseName": entry.application,
        "targetNamespace": environment.namespace(entry.application),
        "interval": "12h",
        "serviceAccountName": settings.service_account,
        "install": {
            "createNamespace": True,
            "crds": "Skip",
            "strategy": {"name": "RetryOnFailure", "retryInterval": "5m"},
        },
        "upgrade": {
            "crds": "Skip",
            "remediation": {"retries": 2, "strategy": "rollback", "remediateLastFailure": True},
        },
        "driftDetection": {"mode": "warn"},
        "postRenderers": [{"kustomize": {"patches": _patches(environment, entry, intent)}}],
        "values": values,
    }
    return _object("helm.toolkit.fluxcd.io/v2", "HelmRelease", environment, entry, spec)


def with_inventory(release: Mapping[str, Any], objects: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a release that names what it makes: whoever reads Git sees which objects and volumes come and go."""
    names = sorted(f"{item['kind']}/{item['metadata']['name']}" for item in objects if item["kind"] != "Namespace")
    return {**release, "metadata": {**release["metadata"], "annotations": {_INVENTORY: " ".join(names)}}}


def objects_named(document: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return kind, namespace and name of each object that a rendered file stands for, a release's own ones included."""
    found = []
    for item in document.get("items") or [document]:
        metadata = item.get("metadata") or {}
        found.append((item.get("kind", ""), metadata.get("namespace", ""), metadata.get("name", "")))
        if item.get("kind") == "HelmRelease":
            made = (metadata.get("annotations") or {}).get(_INVENTORY, "").split()
            space = item["spec"]["targetNamespace"]
            pairs = [each.partition("/") for each in made]
            found += [(kind, space, name) for kind, _slash, name in pairs]
    return found


def _patches(environment: EnvironmentFacts, entry: LockEntry, intent: Intent) -> list[dict[str, Any]]:
    """Return labels, secret store, kept volumes and the pause, as patches that hit what they are meant for."""
    labels, for_pods = object_labels(environment, entry), pod_labels(environment, entry)
    component, pod_component = labels.pop(COMPONENT), for_pods.pop(COMPONENT)
    assert component == pod_component  # a chart names the component of its pods itself
    template = {"template": {"metadata": {"labels": for_pods}}}
    is_paused = intent.state == "paused"
    patches = [
        _patch(_ANY, {"metadata": {"labels": {COMPONENT: component}}}, labelSelector=f"!{COMPONENT}"),
        _patch(_ANY, {"metadata": {"labels": labels}}),
        _patch("Deployment|StatefulSet", {"spec": {**template, **({"replicas": 0} if is_paused else {})}}),
        _patch("CronJob", {"spec": {"jobTemplate": {"spec": template}, **({"suspend": True} if is_paused else {})}}),
        _patch(
            "ExternalSecret",
            {"spec": {"secretStoreRef": {"kind": "ClusterSecretStore", "name": environment.secret_store}}},
        ),
        _patch("PersistentVolumeClaim", {"metadata": {"annotations": {"helm.sh/resource-policy": "keep"}}}),
    ]
    if is_paused:
        patches.append(_patch("HorizontalPodAutoscaler", {"$patch": "delete"}))
    return patches


def _patch(kind: str, change: Mapping[str, Any], **target: str) -> dict[str, Any]:
    """Return a strategic merge patch for all objects of a kind; the name that it has to have means nothing."""
    first = kind.partition("|")[0]
    version = "apps/v1" if first == "Deployment" else "batch/v1" if first == "CronJob" else "v1"
    metadata = {**change.get("metadata", {}), "name": "any"}
    body = {**change, "apiVersion": version, "kind": "Any" if kind == _ANY else first, "metadata": metadata}
    return {"target": {"kind": kind, **target}, "patch": yaml.dump_checked(body).decode()}


def _object(
    version: str, kind: str, environment: EnvironmentFacts, entry: LockEntry, spec: Mapping[str, Any]
) -> dict[str, Any]:
    metadata = {
        "name": entry.application,
        "namespace": environment.flux_namespace,
        "labels": {**object_labels(environment, entry), SHARD: environment.organization},
    }
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": dict(spec)}
