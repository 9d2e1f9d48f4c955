"""Two small Blueprints for the tests of rendering: an application that needs a database, and the database."""

from collections.abc import Mapping
from typing import Any

from catalyst.core.gitops import kustomize
from marketplace.manifests.facts import EnvironmentFacts, Intent, Lock, LockEntry, RenderSettings
from marketplace.manifests.render import render

ENVIRONMENT = EnvironmentFacts(
    name="acme-prod",
    env_type="prod",
    uuid="0b7c1f9e-0000-4000-8000-000000000001",
    organization="acme",
    sovereign="omantel",
    sovereign_domain="cloud.example.om",
    vcluster="acme",
    host_cluster="hz-fsn-rtz-prod",
)
DIGEST = "sha256:" + "a" * 64

_VALUES = b"""apiVersion: v1
kind: ConfigMap
metadata: {name: catalyst-values, annotations: {config.kubernetes.io/local-config: "true"}}
data: {hostname: "x", config.title: "x", config.workers: "1", dependency.db.host: "x", secretPath: "x"}
"""
_BASE = b"""apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [catalyst-values.yaml, app.yaml]
replacements: [{path: replacements.yaml}]
"""
_OVERLAY = b"""apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - target: {kind: Deployment, name: app}
    patch: '[{"op": "replace", "path": "/spec/replicas", "value": 3}]'
"""
_WIKI = b"""apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 1
  selector: {matchLabels: {app.kubernetes.io/component: app}}
  template:
    metadata: {labels: {app.kubernetes.io/component: app}}
    spec:
      containers:
        - name: app
          image: example.org/wiki:1.2.0
          ports: [{containerPort: 8080}]
          env:
            - {name: TITLE, value: x}
            - {name: SUBTITLE, value: "kept"}
            - {name: DB_HOST, value: ""}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: app}
data: {title: "x", "on": "yes"}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {selector: {app.kubernetes.io/component: app}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: app}
spec:
  rules:
    - host: x
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: app, port: {number: 80}}}}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: app-data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: app-cron, labels: {app.kubernetes.io/component: cron}}
spec:
  schedule: "*/5 * * * *"
  jobTemplate:
    spec: {template: {spec: {restartPolicy: Never, containers: [{name: app, image: "example.org/wiki:1.2.0"}]}}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: app}
spec:
  target: {name: app}
  data: [{secretKey: DB_PASSWORD, remoteRef: {key: x, property: password}}]
"""
_WIKI_REPLACEMENTS = b"""
- source: {kind: ConfigMap, name: catalyst-values, fieldPath: "data.[config.title]"}
  targets:
    - select: {kind: Deployment, name: app}
      fieldPaths: ["spec.template.spec.containers.[name=^app$].env.[name=^TITLE$].value"]
    - select: {kind: ConfigMap, name: app}
      fieldPaths: ["data.title"]
- source: {kind: ConfigMap, name: catalyst-values, fieldPath: "data.[config.workers]"}
  targets:
    - select: {kind: Deployment, name: app}
      fieldPaths: ["spec.template.spec.containers.[name=^app$].ports.0.containerPort"]
- source: {kind: ConfigMap, name: catalyst-values, fieldPath: "data.[dependency.db.host]"}
  targets:
    - select: {kind: Deployment, name: app}
      fieldPaths: ["spec.template.spec.containers.[name=^app$].env.[name=^DB_HOST$].value"]
- source: {kind: ConfigMap, name: catalyst-values, fieldPath: "data.[dependency.db.secret]"}
  targets:
    - select: {kind: ExternalSecret, name: app}
      fieldPaths: ["spec.data.[secretKey=^DB_PASSWORD$].remoteRef.key"]
- source: {kind: ConfigMap, name: catalyst-values, fieldPath: "data.hostname"}
  targets:
    - select: {kind: Ingress, name: app}
      fieldPaths: ["spec.rules.0.host"]
"""
_SQL = b"""apiVersion: v1
kind: Service
metadata: {name: app}
spec: {selector: {app.kubernetes.io/component: app}, ports: [{port: 3306}]}
"""


def _document(name: str, version: str, rest: str) -> bytes:
    return (
        f"apiVersion: catalyst.openova.io/v1alpha1\nkind: Blueprint\nmetadata: {{name: {name}, version: {version}}}\n"
        f"spec:\n  manifests: {{source: {{kind: Kustomize, path: manifests}}}}\n{rest}"
    ).encode()


def wiki(**changes: bytes) -> dict[str, bytes]:
    """Return the files of bp-wiki 1.2.0; a keyword replaces the base file of that name."""
    files = {
        "blueprint.yaml": _document(
            "bp-wiki",
            "1.2.0",
            "  depends: [{blueprint: bp-sql, version: ^1.0, alias: db}]\n"
            "  configSchema:\n    type: object\n    properties:\n"
            "      hostname: {type: string}\n      title: {type: string, default: Wiki}\n"
            "      workers: {type: integer, default: 8080}\n      adminPassword: {type: string,"
            " x-catalyst-ui-hint: password}\n",
        ),
        "manifests/base/kustomization.yaml": _BASE,
        "manifests/base/catalyst-values.yaml": _VALUES,
        "manifests/base/app.yaml": _WIKI,
        "manifests/base/replacements.yaml": _WIKI_REPLACEMENTS,
        "manifests/overlays/small/kustomization.yaml": _OVERLAY.replace(b"3}", b"1}"),
        "manifests/overlays/large/kustomization.yaml": _OVERLAY,
    }
    return files | {f"manifests/base/{name}.yaml": content for name, content in changes.items()}


def sql() -> dict[str, bytes]:
    """Return the files of bp-sql 1.0.0, a backing service on port 3306."""
    return {
        "blueprint.yaml": _document(
            "bp-sql", "1.0.0", "  exposes: {endpoints: [{name: sql, port: 3306, protocol: tcp, public: false}]}\n"
        ),
        "manifests/base/kustomization.yaml": _BASE.replace(b"replacements: [{path: replacements.yaml}]\n", b""),
        "manifests/base/catalyst-values.yaml": _VALUES,
        "manifests/base/app.yaml": _SQL,
        "manifests/overlays/small/kustomization.yaml": _OVERLAY.split(b"patches")[0],
    }


def wiki_entry(application: str = "handbook") -> LockEntry:
    return LockEntry(
        application=application,
        blueprint="bp-wiki",
        version="1.2.0",
        source="public",
        ref="oci://ghcr.io/openova-io/bp-wiki",
        digest=DIGEST,
        bindings={"db": "shared-sql"},
    )


def sql_entry() -> LockEntry:
    return LockEntry(
        application="shared-sql",
        blueprint="bp-sql",
        version="1.0.0",
        source="public",
        ref="oci://ghcr.io/openova-io/bp-sql",
        digest=DIGEST,
        requested_by=("handbook",),
    )


def lock_of(*entries: LockEntry) -> Lock:
    return Lock(entries=entries, resolver_version="1", index_digest=DIGEST)


def wiki_intent(application: str = "handbook", **changes: Any) -> Intent:
    return Intent(**{"application": application, "blueprint": "bp-wiki", "constraint": "^1.2", **changes})


def sql_intent() -> Intent:
    return Intent(application="shared-sql", blueprint="bp-sql", constraint="^1.0")


def render_acme(
    *, entries: tuple[LockEntry, ...] | None = None, files: Mapping[str, bytes] | None = None, **intent: Any
) -> dict[str, bytes]:
    """Render acme-prod with handbook (bp-wiki) and shared-sql (bp-sql), or with other entries of the two."""
    chosen = entries or (wiki_entry(), sql_entry())
    intents = {
        entry.application: sql_intent() if entry.blueprint == "bp-sql" else wiki_intent(entry.application, **intent)
        for entry in chosen
    }
    return render(
        environment=ENVIRONMENT,
        lock=lock_of(*chosen),
        intents=intents,
        blueprints={("bp-wiki", "1.2.0"): files or wiki(), ("bp-sql", "1.0.0"): sql()},
        settings=RenderSettings(),
        kustomize=kustomize.build,
    )
