"""The Flux objects of an Environment repository. Source: gitops.md §8, which says why each setting is as it is."""

from collections.abc import Iterable
from typing import Any, Final

from marketplace.manifests.facts import EnvironmentFacts, LockEntry, RenderSettings
from marketplace.manifests.labels import object_labels

SHARD: Final = "sharding.fluxcd.io/key"


def flux_kustomization(environment: EnvironmentFacts, entry: LockEntry, settings: RenderSettings) -> dict[str, Any]:
    """Return ``flux/<app>.yaml``; ``dependsOn`` are the edges of the lock."""
    spec: dict[str, Any] = {
        "sourceRef": {"kind": "GitRepository", "name": "environment"},
        "path": f"./apps/{entry.application}",
        "interval": "1h",
        "retryInterval": "2m",
        "timeout": "10m",
        "prune": True,
        "wait": True,
        "force": False,
        "deletionPolicy": "WaitForTermination",
        "serviceAccountName": settings.service_account,
    }
    if entry.bindings:
        spec["dependsOn"] = [{"name": name} for name in sorted(set(entry.bindings.values()))]
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {
            "name": entry.application,
            "namespace": environment.flux_namespace,
            # One Organization cannot stall the controllers of another.
            "labels": {**object_labels(environment, entry), SHARD: environment.organization},
        },
        "spec": spec,
    }


def file_list(names: Iterable[str]) -> dict[str, Any]:
    """Return a ``kustomization.yaml`` that lists files, sorted."""
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(names),
    }
