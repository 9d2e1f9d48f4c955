"""The label set of the glossary §4."""

from typing import Final

from marketplace.manifests.facts import RENDERER_VERSION, EnvironmentFacts, LockEntry

COMPONENT: Final = "app.kubernetes.io/component"
_MAX_VALUE: Final = 63

#: Change with a Blueprint version, so they stay off pod templates: a new label there restarts every pod.
VERSIONED: Final = frozenset({"app.kubernetes.io/version", "openova.io/blueprint-version"})


def platform_labels(environment: EnvironmentFacts, component: str) -> dict[str, str]:
    """Return the labels of what the platform owns of an Environment: no Application, no Blueprint."""
    return {
        "app.kubernetes.io/name": "catalyst",
        "app.kubernetes.io/instance": environment.name,
        "app.kubernetes.io/version": RENDERER_VERSION,
        COMPONENT: component,
        "app.kubernetes.io/part-of": environment.name,
        "app.kubernetes.io/managed-by": "catalyst",
        "openova.io/sovereign": environment.sovereign,
        "openova.io/organization": environment.organization,
        "openova.io/environment": environment.name,
        "openova.io/env-type": environment.env_type,
        "openova.io/building-block": environment.building_block,
        "openova.io/vcluster": environment.vcluster,
        "openova.io/host-cluster": environment.host_cluster,
    }


def object_labels(environment: EnvironmentFacts, entry: LockEntry) -> dict[str, str]:
    """Return the labels of every object of one Application."""
    version = entry.version[:_MAX_VALUE].rstrip("-.")
    return {
        "app.kubernetes.io/name": entry.blueprint.removeprefix("bp-"),
        "app.kubernetes.io/instance": entry.application,
        "app.kubernetes.io/version": version,
        COMPONENT: "app",
        "app.kubernetes.io/part-of": environment.name,
        "app.kubernetes.io/managed-by": "catalyst",
        "openova.io/sovereign": environment.sovereign,
        "openova.io/organization": environment.organization,
        "openova.io/environment": environment.name,
        "openova.io/env-type": environment.env_type,
        "openova.io/building-block": environment.building_block,
        "openova.io/vcluster": environment.vcluster,
        "openova.io/host-cluster": environment.host_cluster,
        "openova.io/application": entry.application,
        "openova.io/blueprint": entry.blueprint,
        "openova.io/blueprint-version": version,
    }


def pod_labels(environment: EnvironmentFacts, entry: LockEntry) -> dict[str, str]:
    """Return the labels of pod templates: those that an upgrade does not change."""
    return {key: value for key, value in object_labels(environment, entry).items() if key not in VERSIONED}
