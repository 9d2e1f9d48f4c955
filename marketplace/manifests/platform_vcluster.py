"""What stands in the virtual cluster and is the platform's: how Flux reads, applies and reports the Environment.

Everything is in ``env-<environment>``. Whoever may push to an Environment touches none of it.
Source: gitops.md §8 of the design, which says why each setting is as it is.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from marketplace.manifests.facts import RenderSettings
from marketplace.manifests.flux import SHARD
from marketplace.manifests.labels import platform_labels
from marketplace.manifests.objects import ALLOWED_KINDS
from marketplace.manifests.platform_facts import PlatformFacts, PlatformSettings

Object = dict[str, Any]

ACCOUNT: Final = RenderSettings().service_account
#: Reads secrets of Applications, and those of the platform; the store knows each by its own role.
READERS: Final = ("secrets", "platform-secrets")
_STORE_API: Final = "external-secrets.io/v1"
_NOTIFY_API: Final = "notification.toolkit.fluxcd.io"
_RBAC: Final = "rbac.authorization.k8s.io"
_REPORTED: Final = ("GitRepository", "HelmRelease", "Kustomization", "OCIRepository")
#: The Flux kinds of an Environment repository.
_FLUX_RESOURCES: Final = (
    ("helm.toolkit.fluxcd.io", "helmreleases"),
    ("kustomize.toolkit.fluxcd.io", "kustomizations"),
    ("source.toolkit.fluxcd.io", "ocirepositories"),
)
#: What Flux looks at to say why an Application is not ready.
_LOOKED_AT: Final = (("", "pods"), ("apps", "replicasets"))
_READ: Final = ["get", "list", "watch"]
_WRITE: Final = ["create", "delete", "get", "list", "patch", "update", "watch"]


def vcluster_objects(facts: PlatformFacts, settings: PlatformSettings) -> dict[str, Object]:
    """Return the objects of the folder ``vcluster`` by file."""
    return {
        "namespace.yaml": _namespace(facts),
        **_source(facts, settings),
        **_applier(facts),
        **_reports(facts, settings),
        **_stores(facts, settings),
        **_secrets(facts),
    }


def _namespace(facts: PlatformFacts) -> Object:
    labels = {**_labels(facts), "pod-security.kubernetes.io/enforce": "restricted"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": facts.environment.flux_namespace, "labels": labels},
    }


def _source(facts: PlatformFacts, settings: PlatformSettings) -> dict[str, Object]:
    environment = facts.environment
    repository = {
        "url": f"{settings.public_url}/git/{environment.organization}/{environment.name}.git",
        "interval": "10m",
        "ref": {"branch": "main"},
        "secretRef": {"name": "git-credential"},
    }
    applications = {
        "sourceRef": {"kind": "GitRepository", "name": "environment"},
        "path": "./flux",
        "interval": "10m",
        "prune": True,
        "wait": False,
        "serviceAccountName": ACCOUNT,
    }
    return {
        "source.yaml": _object("source.toolkit.fluxcd.io/v1", "GitRepository", facts, "environment", repository),
        "applications.yaml": _object(
            "kustomize.toolkit.fluxcd.io/v1", "Kustomization", facts, "applications", applications
        ),
    }


def _applier(facts: PlatformFacts) -> dict[str, Object]:
    """Return the account that Flux applies with. Of Secrets it has those of releases; no role, no account of another.

    What an Application may make is what a Blueprint may make, so both come from one list.
    """
    everywhere = f"{facts.environment.flux_namespace}-{ACCOUNT}"
    made = {(version.rpartition("/")[0], _plural(kind)) for version, kind in ALLOWED_KINDS} | {("", "namespaces")}
    own = {*_FLUX_RESOURCES, ("", "secrets")}
    subjects = [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": facts.environment.flux_namespace}]
    return {
        "applier.yaml": _object("v1", "ServiceAccount", facts, ACCOUNT),
        "applier-role.yaml": _rights(facts, "Role", ACCOUNT, _rules(own)),
        "applier-binding.yaml": _rights(facts, "RoleBinding", ACCOUNT, _bound("Role", ACCOUNT, subjects)),
        "applier-cluster-role.yaml": _rights(facts, "ClusterRole", everywhere, _rules(made, _LOOKED_AT)),
        "applier-cluster-binding.yaml": _rights(
            facts, "ClusterRoleBinding", everywhere, _bound("ClusterRole", everywhere, subjects)
        ),
    }


def _plural(kind: str) -> str:
    name = kind.lower()
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}es" if name.endswith("s") else f"{name}s"


def _rules(written: Iterable[tuple[str, str]], read: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
    groups: dict[tuple[str, bool], list[str]] = {}
    for is_read, resources in ((False, written), (True, read)):
        for group, resource in sorted(resources):
            groups.setdefault((group, is_read), []).append(resource)
    rules = [
        {"apiGroups": [group], "resources": names, "verbs": _READ if is_read else _WRITE}
        for (group, is_read), names in sorted(groups.items())
    ]
    return {"rules": rules}


def _bound(kind: str, name: str, subjects: list[dict[str, Any]]) -> dict[str, Any]:
    return {"roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name}, "subjects": subjects}


def _rights(facts: PlatformFacts, kind: str, name: str, content: Mapping[str, Any]) -> Object:
    made = _object(f"{_RBAC}/v1", kind, facts, name)
    if kind.startswith("Cluster"):
        del made["metadata"]["namespace"]
    return {**made, **content}


def _reports(facts: PlatformFacts, settings: PlatformSettings) -> dict[str, Object]:
    environment = facts.environment
    provider = {
        "type": "generic-hmac",
        "address": f"{settings.public_url}/webhooks/flux/{environment.uuid}/",
        "secretRef": {"name": "flux-key"},
    }
    alert = {
        "providerRef": {"name": "catalyst"},
        "eventSeverity": "info",
        "eventSources": [{"kind": kind, "name": "*"} for kind in _REPORTED],
        "eventMetadata": {"environment": environment.name},
    }
    receiver = {
        "type": "generic-hmac",
        "events": ["push"],
        "resources": [
            {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "name": "environment"},
        ],
        "secretRef": {"name": "git-hook"},
    }
    return {
        "provider.yaml": _object(f"{_NOTIFY_API}/v1beta3", "Provider", facts, "catalyst", provider),
        "alert.yaml": _object(f"{_NOTIFY_API}/v1beta3", "Alert", facts, "catalyst", alert),
        "receiver.yaml": _object(f"{_NOTIFY_API}/v1", "Receiver", facts, "git", receiver),
    }


def platform_store(facts: PlatformFacts) -> str:
    """Return the name of the store that only ``env-<environment>`` may read from."""
    return f"{facts.environment.secret_store}-platform"


def _stores(facts: PlatformFacts, settings: PlatformSettings) -> dict[str, Object]:
    environment = facts.environment
    applications = {"namespaceSelector": {"matchLabels": {"openova.io/environment": environment.name}}}
    platform = {"namespaces": [environment.flux_namespace]}
    stores = ((environment.secret_store, applications), (platform_store(facts), platform))
    made: dict[str, Object] = {}
    for reader, (name, condition) in zip(READERS, stores, strict=True):
        vault = {
            "server": settings.secret_store_url,
            "path": settings.secret_store_mount,
            "version": "v2",
            "auth": {
                "kubernetes": {
                    "mountPath": environment.flux_namespace,
                    "role": reader,
                    "serviceAccountRef": {"name": reader, "namespace": environment.flux_namespace},
                }
            },
        }
        spec = {"conditions": [condition], "provider": {"vault": vault}}
        store = _object(_STORE_API, "ClusterSecretStore", facts, name, spec)
        del store["metadata"]["namespace"]
        made |= {f"{reader}-store.yaml": store, f"{reader}-reader.yaml": _object("v1", "ServiceAccount", facts, reader)}
    return made


def _secrets(facts: PlatformFacts) -> dict[str, Object]:
    """Return references to what the store holds; ``cosign-<source>`` are the keys that releases are signed with."""
    path = facts.secret_path
    wanted = {
        "git-credential": (f"{path}/git", ("username", "password")),
        "flux-key": (f"{path}/flux", ("token",)),
        "git-hook": (f"{path}/hook", ("token",)),
        "cosign-public": ("system/cosign/public", ("cosign.pub",)),
        "cosign-sovereign": ("system/cosign/sovereign", ("cosign.pub",)),
    }
    return {f"{name}.yaml": _secret(facts, name, key, properties) for name, (key, properties) in wanted.items()}


def _secret(facts: PlatformFacts, name: str, key: str, properties: tuple[str, ...]) -> Object:
    spec = {
        "refreshInterval": "1h",
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": platform_store(facts)},
        "target": {"name": name, "creationPolicy": "Owner"},
        "data": [{"secretKey": each, "remoteRef": {"key": key, "property": each}} for each in properties],
    }
    return _object(_STORE_API, "ExternalSecret", facts, name, spec)


def _labels(facts: PlatformFacts) -> dict[str, str]:
    return {**platform_labels(facts.environment, "environment"), SHARD: facts.environment.organization}


def _object(version: str, kind: str, facts: PlatformFacts, name: str, spec: Mapping[str, Any] | None = None) -> Object:
    metadata = {"name": name, "namespace": facts.environment.flux_namespace, "labels": _labels(facts)}
    made: Object = {"apiVersion": version, "kind": kind, "metadata": metadata}
    return made if spec is None else {**made, "spec": dict(spec)}
