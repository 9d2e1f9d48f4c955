"""The other objects of a rendered Blueprint: the network, rotated secrets, and parts that can never change.

Source: blueprints.md §7 of the design, rules X07, R01 and U03.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from marketplace.services.blueprint_contract import Finding
from marketplace.services.blueprint_lint.quantities import gibibytes
from marketplace.services.blueprint_lint.sources import value_at
from marketplace.services.blueprint_lint.subject import Subject

#: Kubernetes refuses a change of these.
_IMMUTABLE: Final = {
    "Deployment": ("spec.selector",),
    "StatefulSet": ("spec.selector", "spec.serviceName", "spec.volumeClaimTemplates", "spec.podManagementPolicy"),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.storageClassName", "spec.volumeMode"),
}

Object = dict[str, Any]


def check_network(subject: Subject, objects: Sequence[Object]) -> Iterator[Finding]:
    """Yield X07 unless one policy closes all pods both ways and every policy names ends and ports."""
    policies = [item for item in objects if item["kind"] == "NetworkPolicy"]
    if not any(map(_closes_all, policies)):
        yield subject.finding("BP-X07", "spec.manifests")
    for policy in policies:
        ways = [(rule, "from") for rule in value_at(policy, "spec.ingress") or ()]
        ways += [(rule, "to") for rule in value_at(policy, "spec.egress") or ()]
        if any(not (rule and rule.get(end) and rule.get("ports")) for rule, end in ways):
            yield subject.about("BP-X07", policy)


def check_rotation(subject: Subject, objects: Sequence[Object]) -> Iterator[Finding]:
    """Yield R01 for each rotated secret that no ExternalSecret makes."""
    made = {
        value_at(item, "spec.target.name") or item["metadata"]["name"]
        for item in objects
        if item["kind"] == "ExternalSecret"
    }
    for index, rotation in enumerate(subject.contract.rotation):
        if rotation.name not in made:
            yield subject.finding("BP-R01", f"spec.rotation.{index}.name", detail=rotation.name)


def check_immutable(
    subject: Subject, version: str, before: Sequence[Object], now: Sequence[Object]
) -> Iterator[Finding]:
    """Yield U03 for each part of an older version that a cluster would refuse to change."""
    older = {(item["kind"], item["metadata"]["name"]): item for item in before}
    for item in now:
        old = older.get((item["kind"], item["metadata"]["name"]))
        for path in _IMMUTABLE.get(item["kind"], ()) if old else ():
            if value_at(item, path) != value_at(old, path):
                yield subject.about("BP-U03", item, f"/{path.replace('.', '/')}", detail=version)
        if old and item["kind"] == "PersistentVolumeClaim" and _size(item) < _size(old):
            yield subject.about("BP-U03", item, "/spec/resources", detail=version)


def _closes_all(policy: Object) -> bool:
    types = value_at(policy, "spec.policyTypes") or ()
    return value_at(policy, "spec.podSelector") == {} and set(types) == {"Ingress", "Egress"}


def _size(claim: Object) -> int:
    return gibibytes(value_at(claim, "spec.resources.requests.storage")) or 0
