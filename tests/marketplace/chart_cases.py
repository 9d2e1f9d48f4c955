"""Ways to break rules with a Helm chart, one at a time: edits of a draft Blueprint whose chart breaks none."""

from tests.marketplace.lint_cases import Edit
from tests.marketplace.lint_draft import IMAGE, UPSTREAM


def chart(extra: str = "", **values: str) -> Edit:
    return lambda draft: draft.use_chart(extra, **values)


def in_chart(path: str, old: str, new: str) -> Edit:
    """Change one text of the chart."""
    return lambda draft: draft.use_chart().change(f"chart/{path}", old, new)


def config_map(data: str) -> Edit:
    return chart(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: app-x}}\ndata: {data}\n")


_MONITOR = "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: app}\n"
_TOGGLE = "metrics: {enabled: false}\n"
#: Rules about charts, each broken alone.
CHART_CASES: dict[str, list[Edit]] = {
    "BP-M01": [in_chart("Chart.yaml", "bp-handbook", "handbook")],
    "BP-M02": [
        in_chart("Chart.yaml", "name: upstream", "name: elsewhere"),
        lambda draft: (chart()(draft), draft.files.pop("chart/charts/upstream/Chart.yaml")),
        lambda draft: (chart()(draft), draft.write("chart/charts/stray/Chart.yaml", "name: stray\nversion: 1.0.0\n")),
        in_chart("charts/upstream/Chart.yaml", "version: 2.0.0", f"version: 2.0.0\n{UPSTREAM}"),
    ],
    "BP-M03": [
        in_chart("Chart.yaml", "version: 1.2.0", "version: 1.3.0"),
        in_chart("charts/upstream/Chart.yaml", "2.0.0", "2.0.1"),
    ],
    "BP-M04": [
        config_map("{x: '{{ .Values.absent.x }}'}"),
        chart("a: [\n"),
        config_map("{x: '{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}'}"),
        config_map("{x: '{{ range until 3 }}{{ repeat 1000000 \"x\" }}{{ end }}'}"),
    ],
    "BP-C05": [in_chart("Chart.yaml", "apiVersion", "annotations: {artifacthub.io/license: GPL-3.0}\napiVersion")],
    "BP-M05": [
        config_map("{at: '{{ now }}'}"),
        config_map("{key: '{{ randAlphaNum 32 }}'}"),
        config_map('{key: \'{{ lookup "v1" "Secret" "x" "y" }}\'}'),
        config_map("{key: '{{ $ca := genCA \"x\" 365 }}'}"),
        in_chart("charts/upstream/templates/map.yaml", "{{ .Values.word | quote }}", "{{ uuidv4 }}"),
        # Not seen in the text: only rendering twice shows it.
        chart(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app-x}\ndata: {key: {{ tpl .Values.lots . }}}\n",
            values="lots: '{{ uuidv4 }}'\n",
        ),
    ],
    "BP-M06": [
        chart(
            "apiVersion: v1\nkind: ConfigMap\n"
            "metadata: {name: app-x, annotations: {helm.sh/hook: pre-install}}\ndata: {x: y}\n"
        ),
        lambda draft: (chart()(draft), draft.write("chart/crds/a.yaml", "kind: CustomResourceDefinition\n")),
        lambda draft: (chart()(draft), draft.write("chart/charts/upstream/values.schema.json", "{}")),
    ],
    "BP-M07": [
        in_chart("templates/app.yaml", "matchLabels: {", "matchLabels: {app.kubernetes.io/name: other, "),
        in_chart("templates/others.yaml", "selector: {app.kubernetes.io/component: app}", "selector: {part: other}"),
        in_chart("templates/app.yaml", "metadata: {name: app}", "metadata: {name: app, labels: {openova.io/x: z}}"),
    ],
    "BP-M08": [in_chart("templates/app.yaml", "limits: {memory: 512Mi}", "limits: {}")],
    "BP-M09": [in_chart("templates/app.yaml", IMAGE, "docker.io/library/handbook:latest")],
    "BP-M10": [in_chart("templates/app.yaml", "livenessProbe", "startupProbe")],
    "BP-M11": [
        in_chart("charts/upstream/templates/map.yaml", "{name: app-upstream}", "{name: upstream}"),
        in_chart("charts/upstream/templates/map.yaml", "{name: app-upstream}", "{name: app-a, namespace: kube-system}"),
        chart(values="fullnameOverride: x\n"),
        chart(values="upstream: {namespaceOverride: kube-system}\n"),
    ],
    "BP-O01": [
        chart(_MONITOR),
        chart(values="serviceMonitor: {enabled: true}\n"),
        in_chart("charts/upstream/templates/map.yaml", "apiVersion", f"{_MONITOR}---\napiVersion"),
    ],
    "BP-O02": [
        chart(f"{{{{ if .Values.metrics.enabled }}}}{_MONITOR}a: {{{{ .Values.a.b }}}}{{{{ end }}}}", values=_TOGGLE),
        lambda draft: (chart()(draft), draft.spec["observability"].update(metrics="prometheus")),
    ],
    "BP-S06": [
        lambda draft: (chart()(draft), draft.spec["manifests"].update(overlays={"large": {"replica": 3}})),
    ],
    "BP-X03": [chart("apiVersion: v1\nkind: Secret\nmetadata: {name: app-x}\n")],
    "BP-X04": [
        in_chart("templates/app.yaml", "runAsNonRoot: true, runAsUser: 1000", "runAsNonRoot: true, runAsUser: 0"),
        in_chart("templates/app.yaml", "containers:", "hostNetwork: true\n      containers:"),
    ],
    "BP-X05": [chart("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: app}\n")],
    "BP-X06": [in_chart("templates/app.yaml", "automountServiceAccountToken: false", "enableServiceLinks: false")],
    "BP-X07": [in_chart("templates/others.yaml", "podSelector: {}", "podSelector: {matchLabels: {part: other}}")],
    "BP-T01": [in_chart("templates/others.yaml", '{{ include "words.cache" . }}', '"true"')],
}
