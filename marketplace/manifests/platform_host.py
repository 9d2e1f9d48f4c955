"""What stands in the host cluster for one Environment: the walls around it, its virtual cluster, what fills that.

Every object is in the namespace called like the Organization (glossary §4), except the one in ``clusters/`` by which
Flux there finds the others. Flux of a host cluster applies objects of the platform alone and runs without the
restrictions that it has inside.
"""

from collections.abc import Mapping
from typing import Any, Final

from marketplace.manifests import platform_parts as parts
from marketplace.manifests.labels import platform_labels
from marketplace.manifests.platform_facts import PlatformFacts
from marketplace.manifests.platform_network import network_rules

Object = dict[str, Any]

#: The source that staff made once in each host cluster: this repository.
SOURCE: Final = {"kind": "GitRepository", "name": "catalyst-config", "namespace": parts.FLUX_NAMESPACE}
_FLUX_API: Final = "kustomize.toolkit.fluxcd.io/v1"
_HELM_API: Final = "helm.toolkit.fluxcd.io/v2"
_SOURCE_API: Final = "source.toolkit.fluxcd.io/v1"
_NETWORK_API: Final = "networking.k8s.io/v1"


def cluster_object(facts: PlatformFacts) -> Object:
    """Return the Kustomization by which Flux of the host cluster applies the folder ``host``."""
    spec = {
        "sourceRef": {"kind": SOURCE["kind"], "name": SOURCE["name"]},
        "path": f"./{facts.folder}/host",
        "interval": "10m",
        "retryInterval": "2m",
        "prune": True,
        "wait": False,
        "deletionPolicy": "WaitForTermination",
    }
    return _object(_FLUX_API, "Kustomization", facts, facts.environment.name, spec, namespace=parts.FLUX_NAMESPACE)


def host_objects(facts: PlatformFacts) -> dict[str, Object]:
    """Return the objects of the folder ``host`` by file."""
    return {
        "namespace.yaml": _namespace(facts),
        "quota.yaml": _quota(facts),
        "limits.yaml": _limits(facts),
        **_network(facts),
        **_virtual_cluster(facts),
        **_contents(facts),
    }


def _namespace(facts: PlatformFacts) -> Object:
    labels = {**platform_labels(facts.environment, "virtual-cluster"), "pod-security.kubernetes.io/enforce": "baseline"}
    metadata = {"name": facts.environment.vcluster, "labels": labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _quota(facts: PlatformFacts) -> Object:
    """Return the Plan as a wall: the sum of what all pods ask for, as the preview counts it."""
    hard = {
        "requests.cpu": f"{facts.capacity.cpu_milli}m",
        "requests.memory": f"{facts.capacity.memory_mib}Mi",
        "requests.storage": f"{facts.capacity.disk_gib}Gi",
        # Only the edge is public.
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }
    return _object("v1", "ResourceQuota", facts, "plan", {"hard": hard})


def _limits(facts: PlatformFacts) -> Object:
    """Return the bounds of one container and one volume; what the platform itself runs fits under every Plan."""
    cpu = max(facts.capacity.cpu_milli, parts.LARGEST_LIMIT.cpu_milli)
    memory = max(facts.capacity.memory_mib, parts.LARGEST_LIMIT.memory_mib)
    container = {
        "type": "Container",
        "default": {"cpu": f"{cpu}m", "memory": f"{2 * parts.HELPER.memory_mib}Mi"},
        "defaultRequest": parts.requests_of(parts.HELPER),
        "max": {"cpu": f"{cpu}m", "memory": f"{memory}Mi"},
    }
    volume = {"type": "PersistentVolumeClaim", "max": {"storage": f"{facts.capacity.disk_gib}Gi"}}
    return _object("v1", "LimitRange", facts, "plan", {"limits": [container, volume]})


def _network(facts: PlatformFacts) -> dict[str, Object]:
    rules = network_rules(facts.environment.vcluster)
    return {f"{name}.yaml": _object(_NETWORK_API, "NetworkPolicy", facts, name, spec) for name, spec in rules.items()}


def _virtual_cluster(facts: PlatformFacts) -> dict[str, Object]:
    name = facts.environment.vcluster
    values = parts.vcluster_values(name=name, server=f"{name}.{name}.svc.cluster.local")
    chart = _chart("vcluster", parts.VCLUSTER_VERSION, "vcluster")
    return {
        "charts-vcluster.yaml": _charts(facts, "vcluster", parts.VCLUSTER_CHART),
        "vcluster.yaml": _release(facts, name, chart=chart, values=values, namespace=name),
    }


def _remote(facts: PlatformFacts) -> dict[str, Any]:
    return {"kubeConfig": {"secretRef": {"name": f"vc-{facts.environment.vcluster}", "key": "config"}}}


def _contents(facts: PlatformFacts) -> dict[str, Object]:
    """Return what is put into the virtual cluster from outside: External Secrets, Flux, the Environment's objects."""
    common = {**_remote(facts), "interval": "10m", "retryInterval": "2m", "prune": True, "force": False}
    source = {
        "url": parts.FLUX_MANIFESTS,
        "ref": {"tag": parts.FLUX_VERSION},
        "interval": "24h",
        "verify": {"provider": "cosign", "matchOIDCIdentity": [parts.FLUX_SIGNER]},
    }
    flux = {
        "sourceRef": {"kind": "OCIRepository", "name": "flux"},
        "path": "./",
        "wait": True,
        "timeout": "10m",
        "patches": parts.flux_patches(),
        **common,
    }
    environment = {
        "sourceRef": SOURCE,
        "path": f"./{facts.folder}/vcluster",
        "wait": False,
        "dependsOn": [{"name": "flux"}],
        **common,
    }
    return {
        "charts-secrets.yaml": _charts(facts, "external-secrets", parts.SECRETS_CHART),
        "secrets.yaml": _secrets(facts),
        "flux-source.yaml": _object(_SOURCE_API, "OCIRepository", facts, "flux", source),
        "flux.yaml": _object(_FLUX_API, "Kustomization", facts, "flux", flux),
        "environment.yaml": _object(_FLUX_API, "Kustomization", facts, "environment", environment),
    }


def _secrets(facts: PlatformFacts) -> Object:
    return _release(
        facts,
        "external-secrets",
        chart=_chart("external-secrets", parts.SECRETS_VERSION, "external-secrets"),
        values=parts.secrets_values(),
        namespace=parts.SECRETS_NAMESPACE,
        remote=_remote(facts),
    )


def _charts(facts: PlatformFacts, name: str, url: str) -> Object:
    return _object(_SOURCE_API, "HelmRepository", facts, name, {"url": url, "interval": "24h"})


def _chart(name: str, version: str, source: str) -> dict[str, Any]:
    return {"spec": {"chart": name, "version": version, "sourceRef": {"kind": "HelmRepository", "name": source}}}


def _release(
    facts: PlatformFacts,
    name: str,
    *,
    chart: Mapping[str, Any],
    values: Mapping[str, Any],
    namespace: str,
    remote: Mapping[str, Any] | None = None,
) -> Object:
    spec = {
        "chart": chart,
        "releaseName": name,
        "targetNamespace": namespace,
        "interval": "12h",
        "timeout": "10m",
        "install": {
            "createNamespace": remote is not None,
            "crds": "CreateReplace",
            "strategy": {"name": "RetryOnFailure", "retryInterval": "5m"},
        },
        "upgrade": {
            "crds": "CreateReplace",
            "remediation": {"retries": 2, "strategy": "rollback", "remediateLastFailure": True},
        },
        "driftDetection": {"mode": "warn"},
        "values": values,
        **(remote or {}),
    }
    return _object(_HELM_API, "HelmRelease", facts, name, spec)


def _object(
    version: str, kind: str, facts: PlatformFacts, name: str, spec: Mapping[str, Any], *, namespace: str = ""
) -> Object:
    metadata = {
        "name": name,
        "namespace": namespace or facts.environment.vcluster,
        "labels": platform_labels(facts.environment, "virtual-cluster"),
    }
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": dict(spec)}
