"""The other people's software that every virtual cluster gets: versions, addresses, what it asks for. One place.

Everything together asks for no more than the overhead that each Plan carries. Nothing here was run in a cluster yet
(docs/platform-repository.md).

Source: vcluster's chart/values.yaml and chart/templates/networkpolicy.yaml; Flux, "Multi-tenancy lockdown" for the
three flags and "Kustomization", "HelmRelease" and "OCIRepository" for the fields; External Secrets' chart values.
"""

from collections.abc import Mapping
from typing import Any, Final

from catalyst.core.gitops import yaml
from marketplace.selectors.capacity import Footprint

VCLUSTER_CHART: Final = "https://charts.loft.sh"
VCLUSTER_VERSION: Final = "0.34.1"
SECRETS_CHART: Final = "https://charts.external-secrets.io"
SECRETS_VERSION: Final = "0.19.2"
FLUX_MANIFESTS: Final = "oci://ghcr.io/fluxcd/flux-manifests"
FLUX_VERSION: Final = "v2.8.8"
FLUX_SIGNER: Final = {
    "issuer": r"^https://token\.actions\.githubusercontent\.com$",
    "subject": r"^https://github\.com/fluxcd/flux2/.*$",
}
FLUX_NAMESPACE: Final = "flux-system"
SECRETS_NAMESPACE: Final = "external-secrets"

CONTROL_PLANE: Final = Footprint(memory_mib=230, cpu_milli=110, disk_gib=3)
#: What one container of these may reach; it must be let in under the smallest capacity too.
LARGEST_LIMIT: Final = Footprint(memory_mib=1024, cpu_milli=1000, disk_gib=0)
NAMES: Final = Footprint(memory_mib=40, cpu_milli=10, disk_gib=0)
FLUX_CONTROLLER: Final = Footprint(memory_mib=40, cpu_milli=20, disk_gib=0)
FLUX_CONTROLLERS: Final = ("source-controller", "kustomize-controller", "helm-controller", "notification-controller")
SECRETS_CONTROLLER: Final = Footprint(memory_mib=40, cpu_milli=20, disk_gib=0)
#: A helper container that states nothing: what vcluster puts before a pod to write its host names.
HELPER: Final = Footprint(memory_mib=30, cpu_milli=10, disk_gib=0)

#: All that stands in an Environment before its first Application.
PARTS: Final = (CONTROL_PLANE, NAMES, *(FLUX_CONTROLLER for _name in FLUX_CONTROLLERS), SECRETS_CONTROLLER)


def requests_of(part: Footprint) -> dict[str, str]:
    """Return memory and CPU in the words of Kubernetes."""
    return {"cpu": f"{part.cpu_milli}m", "memory": f"{part.memory_mib}Mi"}


def vcluster_values(*, name: str, server: str) -> dict[str, Any]:
    """Return the values of vcluster's chart; quota, limits and network policies are ours, so its own stay off."""
    return {
        "controlPlane": {
            "coredns": {"deployment": {"resources": {"limits": {"memory": "170Mi"}, "requests": requests_of(NAMES)}}},
            "proxy": {"extraSANs": [server]},
            "statefulSet": {
                "persistence": {"volumeClaim": {"enabled": True, "size": f"{CONTROL_PLANE.disk_gib}Gi"}},
                "resources": {
                    "limits": {"memory": f"{LARGEST_LIMIT.memory_mib}Mi"},
                    "requests": requests_of(CONTROL_PLANE),
                },
            },
        },
        "exportKubeConfig": {"context": name, "server": f"https://{server}:443"},
        "sync": {
            "fromHost": {"ingressClasses": {"enabled": True}},
            "toHost": {
                "ingresses": {"enabled": True},
                "networkPolicies": {"enabled": True},
                "podDisruptionBudgets": {"enabled": True},
            },
        },
        "telemetry": {"enabled": False},
    }


def secrets_values() -> dict[str, Any]:
    """Return the values of External Secrets' chart: one pod; its web hook only checks what we check before."""
    return {
        "certController": {"create": False},
        "installCRDs": True,
        "resources": {"limits": {"memory": "128Mi"}, "requests": requests_of(SECRETS_CONTROLLER)},
        "webhook": {"create": False},
    }


def flux_patches() -> list[dict[str, Any]]:
    """Return what is changed of Flux's own manifests: who is not needed, what each asks for, what none may do."""
    needed = "|".join(FLUX_CONTROLLERS)
    return [
        _patch(
            "image-(reflector|automation)-controller",
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "any"}, "$patch": "delete"},
        ),
        _patch(f"({needed})", [_replace("resources/requests", requests_of(FLUX_CONTROLLER))]),
        _patch(
            "(kustomize|helm|notification)-controller",
            [_argument("--no-cross-namespace-refs=true")],
        ),
        _patch("(kustomize|helm)-controller", [_argument("--default-service-account=default")]),
        _patch("kustomize-controller", [_argument("--no-remote-bases=true")]),
    ]


def _patch(name: str, change: Mapping[str, Any] | list[dict[str, Any]]) -> dict[str, Any]:
    return {"patch": yaml.dump_checked(change).decode(), "target": {"kind": "Deployment", "name": name}}


def _argument(text: str) -> dict[str, Any]:
    return {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": text}


def _replace(place: str, value: Mapping[str, str]) -> dict[str, Any]:
    return {"op": "replace", "path": f"/spec/template/spec/containers/0/{place}", "value": dict(value)}
