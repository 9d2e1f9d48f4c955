"""Structural schemas of the custom kinds that we write: only the fields we use, everything else is refused.

Source: the CRDs of Flux 2 and External Secrets Operator; a field is added here when the renderer starts to use it.
"""

from typing import Any, Final

_Schema = dict[str, Any]

_TEXT: Final[_Schema] = {"type": "string", "minLength": 1}
_DURATION: Final[_Schema] = {"type": "string", "pattern": r"^(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+$"}
_DIGEST: Final[_Schema] = {"type": "string", "pattern": r"^sha256:[0-9a-f]{64}$"}
#: Software of others whose digests nobody has written down; a range never reaches Flux.
_EXACT_TAG: Final[_Schema] = {"type": "string", "pattern": r"^v[0-9]+\.[0-9]+\.[0-9]+$"}
_FLAG: Final[_Schema] = {"type": "boolean"}
_STRINGS: Final[_Schema] = {"type": "object", "additionalProperties": {"type": "string"}}


def _fields(properties: _Schema, *required: str) -> _Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _resource(spec: _Schema) -> _Schema:
    metadata = _fields(
        {"name": _TEXT, "namespace": _TEXT, "labels": _STRINGS, "annotations": _STRINGS}, "name", "namespace"
    )
    return _fields({"apiVersion": _TEXT, "kind": _TEXT, "metadata": metadata, "spec": spec}, *_RESOURCE_KEYS)


def _cluster_resource(spec: _Schema) -> _Schema:
    metadata = _fields({"name": _TEXT, "labels": _STRINGS, "annotations": _STRINGS}, "name")
    return _fields({"apiVersion": _TEXT, "kind": _TEXT, "metadata": metadata, "spec": spec}, *_RESOURCE_KEYS)


_RESOURCE_KEYS: Final = ("apiVersion", "kind", "metadata", "spec")
_NAME_ONLY: Final = _fields({"name": _TEXT}, "name")
_NAMED: Final = _fields({"kind": _TEXT, "name": _TEXT}, "kind", "name")
_NAMES: Final[_Schema] = {"type": "array", "items": _TEXT}
#: How Flux reaches another cluster.
_KUBE_CONFIG: Final = _fields({"secretRef": _fields({"name": _TEXT, "key": _TEXT}, "name")}, "secretRef")
_PATCH: Final = _fields(
    {"patch": _TEXT, "target": _fields({"kind": _TEXT, "name": _TEXT, "labelSelector": _TEXT})}, "patch"
)
_PATCHES: Final[_Schema] = {"type": "array", "items": _PATCH}

_REMOTE_REF: Final = _fields(
    {"key": _TEXT, "property": _TEXT, "version": _TEXT, "decodingStrategy": {"enum": ["None", "Base64", "Auto"]}}, "key"
)
_FIND: Final = _fields({"path": _TEXT, "name": _fields({"regexp": _TEXT}, "regexp")}, "path")
_TEMPLATE: Final = _fields(
    {
        "type": _TEXT,
        "engineVersion": {"const": "v2"},
        "mergePolicy": {"enum": ["Replace", "Merge"]},
        "metadata": _fields({"labels": _STRINGS, "annotations": _STRINGS}),
        "data": _STRINGS,
    }
)
_EXTERNAL_SECRET: Final = _fields(
    {
        "refreshInterval": _DURATION,
        "refreshPolicy": {"enum": ["Periodic", "OnChange", "CreatedOnce"]},
        "secretStoreRef": _fields({"kind": {"const": "ClusterSecretStore"}, "name": _TEXT}, "kind", "name"),
        "target": _fields(
            {
                "name": _TEXT,
                "creationPolicy": {"enum": ["Owner", "Orphan", "Merge", "None"]},
                "deletionPolicy": {"enum": ["Delete", "Merge", "Retain"]},
                "immutable": _FLAG,
                "template": _TEMPLATE,
            },
            "name",
        ),
        "data": {
            "type": "array",
            "items": _fields({"secretKey": _TEXT, "remoteRef": _REMOTE_REF}, "secretKey", "remoteRef"),
        },
        "dataFrom": {"type": "array", "items": _fields({"extract": _REMOTE_REF, "find": _FIND})},
    },
    "secretStoreRef",
    "target",
)
_KUSTOMIZATION: Final = _fields(
    {
        "path": {"type": "string", "pattern": r"^\./"},
        "interval": _DURATION,
        "retryInterval": _DURATION,
        "timeout": _DURATION,
        "prune": _FLAG,
        "wait": _FLAG,
        "force": _FLAG,
        "deletionPolicy": {"enum": ["MirrorPrune", "Delete", "WaitForTermination", "Orphan"]},
        "dependsOn": {"type": "array", "items": _NAME_ONLY},
        "serviceAccountName": _TEXT,
        "kubeConfig": _KUBE_CONFIG,
        "patches": _PATCHES,
        "sourceRef": _fields(
            {"kind": {"enum": ["GitRepository", "OCIRepository"]}, "name": _TEXT, "namespace": _TEXT}, "kind", "name"
        ),
    },
    "interval",
    "prune",
    "sourceRef",
)
_GIT_REPOSITORY: Final = _fields(
    {
        "url": _TEXT,
        "interval": _DURATION,
        "ref": _fields({"branch": _TEXT}, "branch"),
        "secretRef": _NAME_ONLY,
    },
    "url",
    "interval",
)
_OCI_REPOSITORY: Final = _fields(
    {
        "url": {"type": "string", "pattern": r"^oci://"},
        "interval": _DURATION,
        "ref": {"oneOf": [_fields({"digest": _DIGEST}, "digest"), _fields({"tag": _EXACT_TAG}, "tag")]},
        "layerSelector": _fields({"mediaType": _TEXT, "operation": {"enum": ["copy", "extract"]}}),
        "secretRef": _NAME_ONLY,
        "verify": _fields(
            {
                "provider": {"const": "cosign"},
                "secretRef": _NAME_ONLY,
                "matchOIDCIdentity": {
                    "type": "array",
                    "items": _fields({"issuer": _TEXT, "subject": _TEXT}, "issuer", "subject"),
                },
            },
            "provider",
        ),
    },
    "url",
    "interval",
    "ref",
)
_CRDS: Final[_Schema] = {"enum": ["Skip", "Create", "CreateReplace"]}
_CHART: Final = _fields(
    {
        "spec": _fields(
            {
                "chart": _TEXT,
                "version": {"type": "string", "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+$"},
                "sourceRef": _fields({"kind": {"const": "HelmRepository"}, "name": _TEXT}, "kind", "name"),
            },
            "chart",
            "version",
            "sourceRef",
        )
    },
    "spec",
)
_HELM_RELEASE: Final = _fields(
    {
        "chart": _CHART,
        "chartRef": _NAMED,
        "kubeConfig": _KUBE_CONFIG,
        "releaseName": _TEXT,
        "targetNamespace": _TEXT,
        "interval": _DURATION,
        "timeout": _DURATION,
        "serviceAccountName": _TEXT,
        "install": _fields(
            {
                "createNamespace": _FLAG,
                "crds": _CRDS,
                "strategy": _fields(
                    {"name": {"enum": ["RemediateOnFailure", "RetryOnFailure"]}, "retryInterval": _DURATION}, "name"
                ),
            }
        ),
        "upgrade": _fields(
            {
                "crds": _CRDS,
                "remediation": _fields(
                    {
                        "retries": {"type": "integer", "minimum": -1},
                        "strategy": {"enum": ["rollback", "uninstall"]},
                        "remediateLastFailure": _FLAG,
                    }
                ),
            }
        ),
        "postRenderers": {
            "type": "array",
            "items": _fields({"kustomize": _fields({"patches": _PATCHES})}),
        },
        "driftDetection": _fields({"mode": {"enum": ["enabled", "warn", "disabled"]}}, "mode"),
        "values": {"type": "object"},
        "valuesFrom": {"type": "array", "items": {"type": "object"}},
    },
    "interval",
) | {"oneOf": [{"required": ["chart"]}, {"required": ["chartRef"]}]}
_HELM_REPOSITORY: Final = _fields(
    {"url": {"type": "string", "pattern": r"^https://"}, "interval": _DURATION}, "url", "interval"
)
_VAULT_LOGIN: Final = _fields(
    {
        "mountPath": _TEXT,
        "role": _TEXT,
        "serviceAccountRef": _fields({"name": _TEXT, "namespace": _TEXT}, "name", "namespace"),
    },
    "mountPath",
    "role",
)
_CLUSTER_SECRET_STORE: Final = _fields(
    {
        "conditions": {
            "type": "array",
            "minItems": 1,
            "items": _fields({"namespaces": _NAMES, "namespaceSelector": _fields({"matchLabels": _STRINGS})}),
        },
        "provider": _fields(
            {
                "vault": _fields(
                    {
                        "server": _TEXT,
                        "path": _TEXT,
                        "version": {"const": "v2"},
                        "auth": _fields({"kubernetes": _VAULT_LOGIN}, "kubernetes"),
                    },
                    "server",
                    "auth",
                )
            },
            "vault",
        ),
    },
    "conditions",
    "provider",
)
#: Events and web hooks name objects of their own namespace only.
_REPORTED: Final = _fields({"apiVersion": _TEXT, "kind": _TEXT, "name": _TEXT}, "kind", "name")
_PROVIDER: Final = _fields(
    {
        "type": {"const": "generic-hmac"},
        "address": {"type": "string", "pattern": r"^https?://", "maxLength": 2048},
        "secretRef": _NAME_ONLY,
    },
    "type",
    "address",
    "secretRef",
)
_ALERT: Final = _fields(
    {
        "providerRef": _NAME_ONLY,
        "eventSeverity": {"enum": ["info", "error"]},
        "eventSources": {"type": "array", "minItems": 1, "items": _REPORTED},
        "eventMetadata": _STRINGS,
    },
    "providerRef",
    "eventSources",
)
_RECEIVER: Final = _fields(
    {
        "type": {"enum": ["generic-hmac", "github"]},
        "events": _NAMES,
        "resources": {"type": "array", "minItems": 1, "items": _REPORTED},
        "secretRef": _NAME_ONLY,
    },
    "type",
    "resources",
    "secretRef",
)

#: (apiVersion, kind) → schema of the whole object.
CUSTOM_KINDS: Final[dict[tuple[str, str], _Schema]] = {
    ("external-secrets.io/v1", "ExternalSecret"): _resource(_EXTERNAL_SECRET),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"): _resource(_KUSTOMIZATION),
    ("source.toolkit.fluxcd.io/v1", "GitRepository"): _resource(_GIT_REPOSITORY),
    ("source.toolkit.fluxcd.io/v1", "OCIRepository"): _resource(_OCI_REPOSITORY),
    ("source.toolkit.fluxcd.io/v1", "HelmRepository"): _resource(_HELM_REPOSITORY),
    ("helm.toolkit.fluxcd.io/v2", "HelmRelease"): _resource(_HELM_RELEASE),
    ("notification.toolkit.fluxcd.io/v1beta3", "Provider"): _resource(_PROVIDER),
    ("notification.toolkit.fluxcd.io/v1beta3", "Alert"): _resource(_ALERT),
    ("notification.toolkit.fluxcd.io/v1", "Receiver"): _resource(_RECEIVER),
    ("external-secrets.io/v1", "ClusterSecretStore"): _cluster_resource(_CLUSTER_SECRET_STORE),
}
