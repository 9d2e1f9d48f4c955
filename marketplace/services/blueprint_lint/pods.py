"""The pods of a rendered Blueprint: what they take, which images they run, and that they are locked in.

Source: blueprints.md §7 of the design, rules M08 to M10, X01, X04, X06; Kubernetes' "restricted" pod security standard.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from marketplace.manifests.restricted import is_open, pod_faults, pod_spec
from marketplace.selectors.capacity import Footprint
from marketplace.services.blueprint_contract import Finding
from marketplace.services.blueprint_lint.quantities import gibibytes, mebibytes, thousandths
from marketplace.services.blueprint_lint.sources import mappings_at, value_at
from marketplace.services.blueprint_lint.subject import Subject

_REGISTRIES: Final = "docker.io|ghcr.io|quay.io|registry.k8s.io|lscr.io|codeberg.org"
_NAME: Final = rf"(?:{_REGISTRIES})(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+"
_DIGEST = re.compile(rf"{_NAME}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?@sha256:[0-9a-f]{{64}}")
_EXACT_TAG = re.compile(rf"{_NAME}:(?:[A-Za-z]+-)*v?[0-9]+\.[0-9]+(?:\.[0-9]+)*(?:[-._A-Za-z0-9]*)")

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod template and the object that holds it."""

    owner: Object
    spec: Mapping[str, Any]

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        return [*self.starters, *mappings_at(self.spec, "containers")]

    @property
    def starters(self) -> list[Mapping[str, Any]]:
        return mappings_at(self.spec, "initContainers")


def check_pods(subject: Subject, size: str, objects: Sequence[Object]) -> Iterator[Finding]:
    """Yield what is wrong with the pods of one size."""
    pods = list(_pods(objects))
    for pod in pods:
        yield from _check_pod_security(subject, pod)
        for container in pod.containers:
            yield from _check_container(subject, pod, container)
            yield from _check_image(subject, pod, container)
    yield from _check_footprint(subject, size, objects, pods)


def _pods(objects: Sequence[Object]) -> Iterator[Pod]:
    for item in objects:
        spec = pod_spec(item)
        if spec is not None:
            yield Pod(item, spec)


def _check_pod_security(subject: Subject, pod: Pod) -> Iterator[Finding]:
    for fault in pod_faults(pod.spec):
        yield subject.about("BP-X04", pod.owner, detail=fault)
    sources = [each for volume in mappings_at(pod.spec, "volumes") for each in mappings_at(volume, "projected.sources")]
    if pod.spec.get("automountServiceAccountToken") is not False or any("serviceAccountToken" in s for s in sources):
        yield subject.about("BP-X06", pod.owner)


def _check_container(subject: Subject, pod: Pod, container: Mapping[str, Any]) -> Iterator[Finding]:
    name = str(container.get("name"))
    if is_open(container):
        yield subject.about("BP-X04", pod.owner, detail=name)
    resources = container.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    stated = (thousandths(requests.get("cpu")), mebibytes(requests.get("memory")), mebibytes(limits.get("memory")))
    if None in stated:
        yield subject.about("BP-M08", pod.owner, detail=name)
    is_serving = container.get("ports") and not any(container is each for each in pod.starters)
    if is_serving and not ("readinessProbe" in container and "livenessProbe" in container):
        yield subject.about("BP-M10", pod.owner, detail=name)


def _check_image(subject: Subject, pod: Pod, container: Mapping[str, Any]) -> Iterator[Finding]:
    image = str(container.get("image"))
    if not _DIGEST.fullmatch(image):
        found = subject.about("BP-M09", pod.owner, detail=image[:200])
        yield replace(found, is_warning=_EXACT_TAG.fullmatch(image) is not None)
    artifact = subject.shelf.artifact
    if artifact is not None and image not in artifact.signed_images:
        yield subject.about("BP-X01", pod.owner, detail=image[:200])


def _check_footprint(subject: Subject, size: str, objects: Sequence[Object], pods: list[Pod]) -> Iterator[Finding]:
    manifests, promised = subject.contract.manifests, subject.contract.footprint
    overlay = manifests.overlays.get(size) if manifests else None
    if overlay and overlay.footprint:
        promised = overlay.footprint
    needed = sum((_needs(pod) for pod in pods), start=Footprint(0, 0, sum(map(_disk, objects))))
    if not needed.fits(promised):
        field = "spec.footprint" if size == "small" else f"spec.manifests.overlays.{size}.footprint"
        detail = f"{size}: {needed.memory_mib} MiB, {needed.cpu_milli} m, {needed.disk_gib} GiB"
        yield subject.finding("BP-M08", field, detail=detail)


def _needs(pod: Pod) -> Footprint:
    """Return what all copies of a pod request: its containers together, or its largest starter."""
    requests = [((each.get("resources") or {}).get("requests") or {}) for each in pod.containers]
    starters = len(pod.starters)
    memory = [mebibytes(each.get("memory")) or 0 for each in requests]
    cpu = [thousandths(each.get("cpu")) or 0 for each in requests]
    copies = _copies(pod.owner)
    return Footprint(
        copies * max(sum(memory[starters:]), *memory[:starters], 0),
        copies * max(sum(cpu[starters:]), *cpu[:starters], 0),
        0,
    )


def _copies(owner: Object) -> int:
    replicas = value_at(owner, "spec.replicas")
    return replicas if isinstance(replicas, int) else 1


def _disk(item: Object) -> int:
    if item["kind"] == "PersistentVolumeClaim":
        return gibibytes(value_at(item, "spec.resources.requests.storage")) or 0
    if item["kind"] == "StatefulSet":
        claims = mappings_at(item, "spec.volumeClaimTemplates")
        return sum(gibibytes(value_at(each, "spec.resources.requests.storage")) or 0 for each in claims) * _copies(item)
    return 0
