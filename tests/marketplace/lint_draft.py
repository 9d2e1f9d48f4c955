"""A small Blueprint that passes every rule, for tests that break exactly one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from catalyst.core.gitops.yaml import dump, load
from marketplace.services.blueprint_contract import Finding
from marketplace.services.blueprint_lint import Published, Shelf, lint_files

ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8"/></svg>'
DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGE = f"docker.io/library/handbook:2.4.1@{DIGEST}"

CONTRACT = """
apiVersion: catalyst.openova.io/v1alpha1
kind: Blueprint
metadata: {name: bp-handbook, version: 1.2.0}
spec:
  owner: {team: apps, contact: apps@example.om}
  card:
    title: Handbook
    tagline: {en: Books of know-how, ar: كتب المعرفة}
    category: knowledge-base
    icon: card/icon.svg
    license: MIT
    documentation: https://example.org/handbook
  footprint: {memoryMiB: 256, cpuMilli: 250, diskGiB: 2}
  pricing: {monthlyBaisa: 0}
  configSchema:
    type: object
    properties:
      cache:
        type: boolean
        title: Cache
        description: Faster
        default: false
        x-catalyst-i18n: {ar: {title: ذاكرة, description: أسرع}}
  depends:
    - {blueprint: bp-mysql, version: ^1.0, alias: db, sharing: shared}
  exposes:
    endpoints: [{name: http, port: 80, protocol: http, public: true}]
    sharing: [shared]
  manifests:
    source: {kind: Kustomize, path: manifests}
  observability: {metrics: none, logs: stdout, traces: none}
"""
DEPLOYMENT = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: app}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app.kubernetes.io/component: app}}}}
  template:
    metadata: {{labels: {{app.kubernetes.io/component: app}}}}
    spec:
      automountServiceAccountToken: false
      securityContext: {{runAsNonRoot: true, runAsUser: 1000, seccompProfile: {{type: RuntimeDefault}}}}
      containers:
        - name: app
          image: {IMAGE}
          envFrom: [{{configMapRef: {{name: app-settings}}}}]
          ports: [{{name: http, containerPort: 8080}}]
          readinessProbe: {{httpGet: {{path: /readyz, port: http}}}}
          livenessProbe: {{httpGet: {{path: /healthz, port: http}}}}
          resources: {{requests: {{cpu: 200m, memory: 256Mi}}, limits: {{memory: 512Mi}}}}
          securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
"""
OTHERS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: app-settings}
data: {CACHE: ""}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec:
  selector: {app.kubernetes.io/component: app}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: app-data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: app}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress:
    - from: [{namespaceSelector: {matchLabels: {openova.io/building-block: dmz}}}]
      ports: [{port: 8080, protocol: TCP}]
  egress: []
"""
VALUES = """
apiVersion: v1
kind: ConfigMap
metadata: {name: catalyst-values, annotations: {config.kubernetes.io/local-config: "true"}}
data: {config.cache: "false"}
"""
REPLACEMENTS = """
- source: {kind: ConfigMap, name: catalyst-values, fieldPath: "data.[config.cache]"}
  targets:
    - select: {kind: ConfigMap, name: app-settings}
      fieldPaths: ["data.CACHE"]
"""
BASE = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [catalyst-values.yaml, deployment.yaml, others.yaml]
replacements: [{path: replacements.yaml}]
"""
OVERLAY = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
TESTS = """
cases:
  - name: nothing set
    expect:
      - {object: ConfigMap/app-settings, path: /data/CACHE, equals: "false"}
      - {object: Deployment/app}
"""
CHART = "apiVersion: v2\nname: bp-handbook\nversion: 1.2.0\n"
UPSTREAM = "dependencies: [{name: upstream, version: 2.0.0, repository: 'https://example.org'}]\n"
CHART_VALUES = "replicas: 1\npages: 3\n"


def chart_files() -> dict[str, str]:
    """Return the objects of the draft as an umbrella chart, with its one dependency inside."""
    return {
        "chart/Chart.yaml": CHART + UPSTREAM,
        "chart/values.yaml": CHART_VALUES,
        "chart/templates/_words.tpl": '{{- define "words.cache" }}{{ .Values.cache | quote }}{{ end }}\n',
        "chart/templates/app.yaml": DEPLOYMENT.replace("replicas: 1", "replicas: {{ .Values.replicas }}"),
        "chart/templates/others.yaml": OTHERS.replace('CACHE: ""', 'CACHE: {{ include "words.cache" . }}'),
        "chart/templates/NOTES.txt": "Have fun.\n",
        "chart/charts/upstream/Chart.yaml": "apiVersion: v2\nname: upstream\nversion: 2.0.0\n",
        "chart/charts/upstream/values.yaml": "word: own\n",
        "chart/charts/upstream/templates/map.yaml": (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app-upstream}\n"
            "data: {word: {{ .Values.word | quote }}, release: {{ .Release.Name | quote }}}\n"
        ),
    }


@dataclass(slots=True)
class Draft:
    """``files`` without ``blueprint.yaml``, which is written from ``document``."""

    document: dict[str, Any]
    files: dict[str, bytes]
    shelf: Shelf
    folder: str = "handbook"
    raw: bytes | None = None
    spec: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.spec = self.document["spec"]

    def contents(self) -> dict[str, bytes]:
        return {**self.files, "blueprint.yaml": dump(self.document) if self.raw is None else self.raw}

    def findings(self) -> tuple[Finding, ...]:
        return lint_files(self.contents(), shelf=self.shelf, folder=self.folder)

    def rules(self) -> set[str]:
        return {each.rule for each in self.findings()}

    def write(self, path: str, text: str | bytes) -> "Draft":
        self.files[path] = text if isinstance(text, bytes) else text.encode()
        return self

    def change(self, path: str, old: str, new: str) -> "Draft":
        assert old in self.files[path].decode()
        return self.write(path, self.files[path].decode().replace(old, new))

    def rename(self, name: str) -> "Draft":
        self.document["metadata"]["name"] = name
        self.folder = name.removeprefix("bp-")
        return self

    def base(self, name: str, text: str) -> None:
        """Add one file of objects to the base."""
        self.write(f"manifests/base/{name}", text)
        self.change("manifests/base/kustomization.yaml", "others.yaml]", f"others.yaml, {name}]")

    def pod(self) -> "PodEdit":
        return PodEdit(self)

    def publish(self, name: str, version: str, **values: Any) -> None:
        one = Published(version, values.pop("digest", DIGEST), values.pop("spec", {}), values.pop("files", {}))
        known = dict(self.shelf.published)
        known[name] = (*known.get(name, ()), one)
        self.shelf = replace(self.shelf, published=known)

    def earlier(self, version: str = "1.1.0") -> dict[str, str]:
        """Return the files of an older version of this draft as it is now."""
        document = {**self.document, "metadata": {**self.document["metadata"], "version": version}}
        return {path: content.decode() for path, content in {**self.files, "blueprint.yaml": dump(document)}.items()}

    def use_chart(self, extra: str = "", values: str = "") -> "Draft":
        """Ship the same objects as an umbrella chart over a small chart of our own; ``extra`` is one more template."""
        self.files = {path: content for path, content in self.files.items() if not path.startswith("manifests/")}
        self.spec["manifests"] = {"source": {"kind": "HelmChart", "path": "chart"}, "overlays": {"large": {"pages": 9}}}
        self.files |= {path: text.encode() for path, text in chart_files().items()}
        if values:
            self.write("chart/values.yaml", CHART_VALUES + values)
        if extra:
            self.write("chart/templates/extra.yaml", extra)
        return self


class PodEdit:
    """Changes the pod of the draft when the block ends."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._data = load(draft.files["manifests/base/deployment.yaml"])

    def __enter__(self) -> dict[str, Any]:
        pod: dict[str, Any] = self._data["spec"]["template"]["spec"]
        return pod

    def __exit__(self, *_error: object) -> None:
        self._draft.write("manifests/base/deployment.yaml", dump(self._data))


def good() -> Draft:
    """Return a Blueprint without a single finding."""
    files: Mapping[str, str] = {
        "README.md": "# Handbook\n",
        "card/icon.svg": ICON,
        "card/description.md": "Know-how arranged as books.\n",
        "card/description.ar.md": "معرفة مرتبة في كتب.\n",
        "manifests/base/kustomization.yaml": BASE,
        "manifests/base/catalyst-values.yaml": VALUES,
        "manifests/base/replacements.yaml": REPLACEMENTS,
        "manifests/base/deployment.yaml": DEPLOYMENT,
        "manifests/base/others.yaml": OTHERS,
        **{f"manifests/overlays/{size}/kustomization.yaml": OVERLAY for size in ("small", "medium", "large")},
        "tests/integration.yaml": TESTS,
    }
    shelf = Shelf(published={"bp-mysql": (mysql(),)}, categories=frozenset({"knowledge-base", "database"}))
    return Draft(load(CONTRACT), {path: text.encode() for path, text in files.items()}, shelf)


def mysql(**spec: Any) -> Published:
    return Published("1.0.0", DIGEST, {"exposes": {"sharing": ["shared", "dedicated"]}, **spec})
