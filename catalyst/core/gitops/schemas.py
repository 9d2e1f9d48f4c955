"""Structural schemas of the custom kinds that we write: only the fields we use, everything else is refused.

Source: the CRDs of Flux 2 and External Secrets Operator; a field is added here when the renderer starts to use it.
"""

from typing import Any, Final

_Schema = dict[str, Any]

_TEXT: Final[_Schema] = {"type": "string", "minLength": 1}
_DURATION: Final[_Schema] = {"type": "string", "pattern": r"^(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+$"}
_DIGEST: Final[_Schema] = {"type": "string", "pattern": r"^sha256:[0-9a-f]{64}$"}
_FLAG: Final[_Schema] = {"type": "boolean"}
_STRINGS: Final[_Schema] = {"type": "object", "additionalProperties": {"type": "string"}}


def _fields(properties: _Schema, *required: str) -> _Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _resource(spec: _Schema) -> _Schema:
    metadata = _fields(
        {"name": _TEXT, "namespace": _TEXT, "labels": _STRINGS, "annotations": _STRINGS}, "name", "namespace"
    )
    return _fields({"apiVersion": _TEXT, "kind": _TEXT, "metadata": metadata, "spec": spec}, *_RESOURCE_KEYS)


_RESOURCE_KEYS: Final = ("apiVersion", "kind", "metadata", "spec")
_NAME_ONLY: Final = _fields({"name": _TEXT}, "name")
_NAMED: Final = _fields({"kind": _TEXT, "name": _TEXT}, "kind", "name")

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
        "sourceRef": _fields({"kind": {"enum": ["GitRepository", "OCIRepository"]}, "name": _TEXT}, "kind", "name"),
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
        "ref": _fields({"digest": _DIGEST}, "digest"),
        "layerSelector": _fields({"mediaType": _TEXT, "operation": {"enum": ["copy", "extract"]}}),
        "secretRef": _NAME_ONLY,
        "verify": _fields({"provider": {"const": "cosign"}, "secretRef": _NAME_ONLY}, "provider"),
    },
    "url",
    "interval",
    "ref",
)
_HELM_RELEASE: Final = _fields(
    {
        "chartRef": _NAMED,
        "releaseName": _TEXT,
        "targetNamespace": _TEXT,
        "interval": _DURATION,
        "timeout": _DURATION,
        "serviceAccountName": _TEXT,
        "install": {"type": "object"},
        "upgrade": {"type": "object"},
        "driftDetection": _fields({"mode": {"enum": ["enabled", "warn", "disabled"]}}, "mode"),
        "values": {"type": "object"},
        "valuesFrom": {"type": "array", "items": {"type": "object"}},
    },
    "chartRef",
    "interval",
)

#: (apiVersion, kind) → schema of the whole object.
CUSTOM_KINDS: Final[dict[tuple[str, str], _Schema]] = {
    ("external-secrets.io/v1", "ExternalSecret"): _resource(_EXTERNAL_SECRET),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"): _resource(_KUSTOMIZATION),
    ("source.toolkit.fluxcd.io/v1", "GitRepository"): _resource(_GIT_REPOSITORY),
    ("source.toolkit.fluxcd.io/v1", "OCIRepository"): _resource(_OCI_REPOSITORY),
    ("helm.toolkit.fluxcd.io/v2", "HelmRelease"): _resource(_HELM_RELEASE),
}
