"""What Kubernetes' "restricted" pod security standard asks of a pod, as far as a template of ours can break it.

Where Flux installs a chart, Helm makes the namespace, and no label of ours on it makes the cluster ask; so nothing is
written that would be refused there.

Source: Kubernetes documentation, "Pod Security Standards".
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.gitops.validate import subject_of
from marketplace.manifests.facts import ManifestsRefused

_POD_SPECS: Final = {
    "Deployment": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
_HOST_FIELDS: Final = ("hostNetwork", "hostPID", "hostIPC")


def check_restricted(items: Iterable[Mapping[str, Any]]) -> None:
    """Check every pod.

    :raises ManifestsRefused: one is not restricted.
    """
    for item in items:
        spec = pod_spec(item)
        if spec is None:
            continue
        faults = pod_faults(spec)
        every = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
        faults += [str(each.get("name")) for each in every if is_open(each)]
        if faults:
            words = {"object": subject_of(item), "fault": faults[0][:80]}
            raise ManifestsRefused(_("%(object)s is refused: its pod is not restricted (%(fault)s).") % words)


def pod_spec(item: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the pod that an object starts, if it starts any."""
    if item["kind"] not in _POD_SPECS:
        return None
    found: Any = item
    for key in _POD_SPECS[item["kind"]]:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def pod_faults(spec: Mapping[str, Any]) -> list[str]:
    """Return the fields of a pod, its containers apart, that are not as they must be."""
    context = spec.get("securityContext") or {}
    faults = [name for name in _HOST_FIELDS if spec.get(name)]
    faults += ["hostPath" for volume in spec.get("volumes") or () if "hostPath" in (volume or {})][:1]
    faults += ["runAsNonRoot"] * (context.get("runAsNonRoot") is not True)
    faults += ["runAsUser"] * (context.get("runAsUser") == 0)
    faults += ["seccompProfile"] * ((context.get("seccompProfile") or {}).get("type") != "RuntimeDefault")
    return faults


def is_open(container: Mapping[str, Any]) -> bool:
    """Tell whether a container may do more than the standard lets it."""
    context = container.get("securityContext") or {}
    capabilities = context.get("capabilities") or {}
    gains = context.get("allowPrivilegeEscalation") is not False or bool(context.get("privileged"))
    is_root = context.get("runAsUser") == 0 or context.get("runAsNonRoot") is False
    has_more = capabilities.get("drop") != ["ALL"] or bool(set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"})
    has_port = any("hostPort" in (port or {}) for port in container.get("ports") or ())
    return gains or is_root or has_more or has_port
