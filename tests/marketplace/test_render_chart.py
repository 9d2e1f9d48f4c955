"""A Helm Blueprint in an Environment: one set of values for everybody, and Flux makes what the platform judged."""

from dataclasses import replace
from typing import Any

import pytest

from catalyst.core.gitops import kustomize, yaml
from catalyst.core.gitops.build import build
from catalyst.core.gitops.validate import validate_objects
from catalyst.local.reconciler_release import release_objects
from marketplace.manifests.facts import Intent, LockEntry, ManifestsRefused, RenderSettings
from marketplace.manifests.release import objects_named
from marketplace.manifests.render import render
from tests.marketplace.lint_draft import good
from tests.marketplace.render_blueprints import DIGEST, ENVIRONMENT, lock_of, sql, sql_entry, sql_intent

REGISTRY = "registry.example.om/catalog/bp-handbook"
_VALUES = '{{ omit .Values "upstream" "global" | toJson | quote }}'
_MORE = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: app-values, labels: {{app.kubernetes.io/component: words, app.kubernetes.io/name: mine}}}}
data: {{values: {_VALUES}}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {{name: app}}
spec:
  target: {{name: app}}
  data:
    - secretKey: password
      remoteRef: {{key: "{{{{ .Values.dependencies.db.connectionSecret }}}}", property: password}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: app-cron}}
spec:
  schedule: "*/5 * * * *"
  jobTemplate:
    spec:
      template:
        metadata: {{labels: {{app.kubernetes.io/component: cron}}}}
        spec:
          restartPolicy: Never
          securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
          containers:
            - name: app
              image: "example.org/wiki:1.2.0"
              securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: app}}
spec: {{maxReplicas: 2, scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: app}}}}
"""
ENTRY = LockEntry(
    application="manual",
    blueprint="bp-handbook",
    version="1.2.0",
    source="public",
    ref="catalog/bp-handbook",
    digest=DIGEST,
    bindings={"db": "shared-sql"},
    registry=REGISTRY,
)


def blueprint(extra: str = _MORE) -> dict[str, bytes]:
    draft = good()
    draft.use_chart(extra, values="hostname: none\ncatalyst: {envType: own}\n")
    properties = draft.spec["configSchema"]["properties"]
    properties["hostname"] = {"type": "string", "format": "hostname"}
    properties["adminPassword"] = {"type": "string", "x-catalyst-ui-hint": "password"}
    properties["replicas"] = {"type": "integer", "default": 2}
    return draft.contents()


def render_manual(entry: LockEntry = ENTRY, *, files: dict[str, bytes] | None = None, **intent: Any) -> dict[str, Any]:
    """Return the files of ``apps/manual`` by name, as data where they are rendered."""
    made = render(
        environment=ENVIRONMENT,
        lock=lock_of(entry, sql_entry()),
        intents={
            "shared-sql": sql_intent(),
            "manual": Intent(**{"application": "manual", "blueprint": "bp-handbook", "constraint": "^1.2", **intent}),
        },
        blueprints={("bp-handbook", "1.2.0"): files or blueprint(), ("bp-sql", "1.0.0"): sql()},
        settings=RenderSettings(),
        kustomize=build,
    )
    own = {path.removeprefix("apps/manual/"): data for path, data in made.items() if path.startswith("apps/manual/")}
    built = kustomize.build({name: data for name, data in own.items() if name != "application.yaml"})
    assert validate_objects(built) == []
    return {name: yaml.load(data) for name, data in own.items()}


def chart_of(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path.removeprefix("chart/"): data for path, data in files.items() if path.startswith("chart/")}


def test_a_chart_from_a_registry_is_installed_by_flux() -> None:
    made = render_manual()

    assert set(made) == {"application.yaml", "kustomization.yaml", "release.yaml", "source.yaml"}
    assert made["kustomization.yaml"]["resources"] == ["release.yaml", "source.yaml"]
    source, release = made["source.yaml"], made["release.yaml"]
    for each in (source, release):
        assert (each["metadata"]["name"], each["metadata"]["namespace"]) == ("manual", "env-acme-prod")
        assert each["metadata"]["labels"]["sharding.fluxcd.io/key"] == "acme"
    assert source["spec"] == {
        "url": f"oci://{REGISTRY}",
        "ref": {"digest": DIGEST},
        "interval": "24h",
        "layerSelector": {
            "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            "operation": "copy",
        },
        "verify": {"provider": "cosign", "secretRef": {"name": "cosign-public"}},
    }
    spec = release["spec"]
    assert {key: value for key, value in spec.items() if key not in {"values", "postRenderers"}} == {
        "chartRef": {"kind": "OCIRepository", "name": "manual"},
        "releaseName": "manual",
        "targetNamespace": "prod-manual",
        "interval": "12h",
        "serviceAccountName": "applications",
        "install": {
            "createNamespace": True,
            "crds": "Skip",
            "strategy": {"name": "RetryOnFailure", "retryInterval": "5m"},
        },
        "upgrade": {
            "crds": "Skip",
            "remediation": {"retries": 2, "strategy": "rollback", "remediateLastFailure": True},
        },
        "driftDetection": {"mode": "warn"},
    }


def test_a_release_names_what_it_makes() -> None:
    files = blueprint("")
    here = render_manual(replace(ENTRY, registry=""), files=files)

    named = objects_named(render_manual(files=files)["release.yaml"])

    assert named[0] == ("HelmRelease", "env-acme-prod", "manual")
    assert ("PersistentVolumeClaim", "prod-manual", "app-data") in named
    assert set(named[1:]) == set(objects_named(here["objects.yaml"])) - {("Namespace", "", "prod-manual")}


def test_values_in_their_order_and_no_secret_among_them() -> None:
    told = {"pages": 5, "replicas": 4, "cache": True}
    config = {"cache": False, "adminPassword": {"secret": "x"}, "catalyst": {"envType": "dev"}}

    values = render_manual(size="large", told=told, config=config)["release.yaml"]["spec"]["values"]

    host = "manual.acme-prod.cloud.example.om"
    assert values == {
        "hostname": host,
        "replicas": 4,  # told, above the schema's default 2
        "pages": 5,  # told, above the overlay's 9
        "cache": False,  # the person's, above what was told
        "catalyst": {
            "application": "manual",
            "environment": "acme-prod",
            "envType": "prod",
            "organization": "acme",
            "sovereign": "omantel",
            "hostname": host,
            "region": "hz-fsn",
            "namespace": "prod-manual",
            "url": f"https://{host}",
            "size": "large",
            "secretPath": "org/acme/env/prod/manual",
        },
        "dependencies": {
            "db": {
                "application": "shared-sql",
                "host": "app.prod-shared-sql.svc.cluster.local",
                "namespace": "prod-shared-sql",
                "port": 3306,
                "version": "1.0.0",
                "connectionSecret": "org/acme/env/prod/shared-sql/manual",
            }
        },
    }
    assert render_manual(config={"hostname": "books.acme.example"})["release.yaml"]["spec"]["values"]["hostname"] == (
        "books.acme.example"
    )


@pytest.mark.parametrize("state", ["active", "paused"])
def test_flux_makes_what_the_platform_judged(state: str) -> None:
    files = blueprint()
    by_flux = render_manual(files=files, state=state)
    here = render_manual(replace(ENTRY, registry=""), files=files, state=state)

    made = yaml.load_documents(
        release_objects(by_flux["release.yaml"], by_flux["source.yaml"], lambda _repository, _digest: chart_of(files))
    )

    expected = [*here["objects.yaml"]["items"], *here["secrets.yaml"]["items"]]
    assert expected.pop(0)["kind"] == "Namespace"  # Helm makes it
    claims = [each for each in (*made, *expected) if each["kind"] == "PersistentVolumeClaim"]
    assert [each["metadata"].pop("annotations") for each in claims] == [
        {"helm.sh/resource-policy": "keep"},
        {"kustomize.toolkit.fluxcd.io/prune": "disabled"},
    ]
    assert _named(made) == _named(expected)
    assert set(here) == {"application.yaml", "kustomization.yaml", "objects.yaml", "secrets.yaml"}
    labels = _named(expected)["ConfigMap/app-values"]["metadata"]["labels"]
    assert (labels["app.kubernetes.io/component"], labels["app.kubernetes.io/name"]) == ("words", "handbook")
    assert ("HorizontalPodAutoscaler/app" in _named(made)) is (state == "active")
    assert _named(made)["Deployment/app"]["spec"]["replicas"] == (2 if state == "active" else 0)


def _named(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in items}


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ("kind: ClusterRole\napiVersion: rbac.authorization.k8s.io/v1\nmetadata: {name: app}\n", "kind is not allowed"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: app-x, annotations: {helm.sh/hook: test}}\n", "hooks"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: app-x, namespace: kube-system}\n", "namespace must be"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: stranger}\n", "app-<part>"),
    ],
)
@pytest.mark.parametrize("registry", [REGISTRY, ""])
def test_what_the_values_bring_out_is_refused_before_it_is_written(extra: str, reason: str, registry: str) -> None:
    files = blueprint(f"{{{{ if .Values.cache }}}}\n{extra}{{{{ end }}}}\n")
    entry = replace(ENTRY, registry=registry)
    render_manual(entry, files=files)  # the control: nothing is wrong until somebody chooses it

    with pytest.raises(ManifestsRefused, match=reason):
        render_manual(entry, files=files, config={"cache": True})


def test_a_pod_that_the_values_set_free_is_refused_where_helm_makes_the_namespace() -> None:
    files = blueprint()
    free = b"hostNetwork: {{ .Values.cache }}\n      automountServiceAccountToken"
    files["chart/templates/app.yaml"] = files["chart/templates/app.yaml"].replace(b"automountServiceAccountToken", free)
    render_manual(files=files)

    with pytest.raises(ManifestsRefused, match=r"Deployment/app.*hostNetwork"):
        render_manual(files=files, config={"cache": True})

    # The control: elsewhere the label on the namespace that we write makes the cluster refuse it.
    namespace = render_manual(replace(ENTRY, registry=""), files=files, config={"cache": True})["objects.yaml"]["items"]
    assert namespace[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
