"""What may talk to what in the namespace of a virtual cluster: nothing, but what stands here.

Blueprints add what their own pods need; vcluster brings their policies into this namespace. The labels are vcluster's:
its control plane, its resolver, and every pod that it runs for somebody inside.
Source: vcluster's chart/templates/networkpolicy.yaml.
"""

from collections.abc import Mapping
from typing import Any, Final

from marketplace.manifests import platform_parts as parts

Rule = dict[str, Any]

#: Where the edge runs; Blueprints name it by the same label.
_EDGE: Final = {"namespaceSelector": {"matchLabels": {"openova.io/building-block": "dmz"}}}
_FLUX: Final = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": parts.FLUX_NAMESPACE}}}
_HOST_NAMES: Final = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}
_RESOLVER: Final = {"podSelector": {"matchLabels": {"k8s-app": "vcluster-kube-dns"}}}


def network_rules(vcluster: str) -> dict[str, Rule]:
    """Return the spec of each NetworkPolicy by its name."""
    return {
        "default-deny": _policy({"podSelector": {}}, ingress=[], egress=[]),
        "control-plane": _control_plane(vcluster),
        "names": _names(vcluster),
        "pods": _pods(vcluster),
        "controllers": _controllers(vcluster),
    }


def _control_plane(vcluster: str) -> Rule:
    """It is asked by its pods and by Flux of the host; it talks to the host's own API server."""
    inside = _inside(vcluster)
    return _policy(
        _plane(vcluster),
        ingress=[{"from": [inside], "ports": _api()}, {"from": [_FLUX], "ports": _api()}],
        egress=[{"to": [_HOST_NAMES]}, {"ports": _ports("TCP", 443, 6443)}, {"to": [inside]}],
    )


def _names(vcluster: str) -> Rule:
    return _policy(
        _RESOLVER,
        ingress=[{"from": [_inside(vcluster)], "ports": _questions()}],
        egress=[{"to": [_HOST_NAMES]}, {"to": [_plane(vcluster)], "ports": _api()}],
    )


def _pods(vcluster: str) -> Rule:
    """Every pod may ask for names, and the edge may come in: a policy inside can name no namespace of the host."""
    return _policy(
        _inside(vcluster),
        ingress=[{"from": [_plane(vcluster)]}, {"from": [_EDGE]}],
        egress=[{"to": [_RESOLVER], "ports": _questions()}],
    )


def _controllers(vcluster: str) -> Rule:
    """Flux and External Secrets inside: each other, their API server, and Git, registries and the store over HTTPS."""
    named = {"key": "vcluster.loft.sh/namespace", "operator": "In"}
    namespaces = {**named, "values": [parts.SECRETS_NAMESPACE, parts.FLUX_NAMESPACE]}
    these = {"podSelector": {**_inside(vcluster)["podSelector"], "matchExpressions": [namespaces]}}
    return _policy(
        these,
        ingress=[{"from": [these]}],
        egress=[{"ports": _ports("TCP", 443)}, {"to": [_plane(vcluster)], "ports": _api()}, {"to": [these]}],
    )


def _plane(vcluster: str) -> Rule:
    return {"podSelector": {"matchLabels": {"app": "vcluster", "release": vcluster}}}


def _inside(vcluster: str) -> Rule:
    return {"podSelector": {"matchLabels": {"vcluster.loft.sh/managed-by": vcluster}}}


def _policy(whose: Mapping[str, Any], **rules: list[Rule]) -> Rule:
    return {**whose, "policyTypes": ["Ingress", "Egress"], **rules}


def _api() -> list[Rule]:
    return _ports("TCP", 8443)


def _questions() -> list[Rule]:
    return [*_ports("UDP", 1053), *_ports("TCP", 1053)]


def _ports(protocol: str, *numbers: int) -> list[Rule]:
    return [{"port": number, "protocol": protocol} for number in numbers]
