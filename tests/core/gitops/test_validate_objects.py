"""Kubernetes objects against the pinned schemas: unknown fields and unknown kinds are problems."""

import pytest

from catalyst.core.gitops.validate import Problem, validate_objects

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: app, image: "x:1"}]}}
"""
SECRET = """apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: app, namespace: prod-app}
spec:
  secretStoreRef: {kind: ClusterSecretStore, name: env-acme-prod}
  target: {name: app}
  data: [{secretKey: a, remoteRef: {key: org/acme, property: a}}]
"""
KUSTOMIZATION = """apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: app, namespace: env-acme-prod}
spec: {path: ./apps/app, interval: 1h, prune: true, sourceRef: {kind: GitRepository, name: environment}}
"""


@pytest.mark.parametrize("text", [DEPLOYMENT, SECRET, KUSTOMIZATION, "", DEPLOYMENT + "---\n" + SECRET])
def test_accepts_good_objects(text: str) -> None:
    assert validate_objects(text.encode()) == []


def test_looks_into_a_list() -> None:
    text = "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {b: 1}}]\n"

    assert validate_objects(text.encode()) == [Problem("ConfigMap/a", "/data/b", "1 is not of type 'string', 'null'")]


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ("metadata: {name: app}", "metadata: {name: app, nam: x}", "/metadata"),
        ('image: "x:1"', 'image: "x:1", imagePullPolicie: Always', "/spec/template/spec/containers/0"),
        ("matchLabels: {a: b}", "matchLabels: {a: 1}", "/spec/selector/matchLabels/a"),
        ("apps/v1", "apps/v1beta1", "/kind"),
        ("apps/v1", "apps.evil.example/v1", "/apiVersion"),
        ("kind: Deployment", "kind: ../../etc/passwd", "/kind"),
        ("kind: Deployment", "kind: ClusterWidget", "/kind"),
    ],
)
def test_refuses_what_kubernetes_would_not_know(old: str, new: str, pointer: str) -> None:
    problems = validate_objects(DEPLOYMENT.replace(old, new).encode())

    assert [problem.pointer for problem in problems] == [pointer]


@pytest.mark.parametrize(
    ("text", "old", "new", "pointer"),
    [
        (SECRET, "ClusterSecretStore", "SecretStore", "/spec/secretStoreRef/kind"),
        (SECRET, "property: a", "propertie: a", "/spec/data/0/remoteRef"),
        (SECRET, "  target: {name: app}\n", "", "/spec"),
        (KUSTOMIZATION, "interval: 1h", "interval: hourly", "/spec/interval"),
        (KUSTOMIZATION, "prune: true", "prune: true, postBuild: {}", "/spec"),
        (KUSTOMIZATION, "./apps/app", "../apps", "/spec/path"),
    ],
)
def test_refuses_a_custom_kind_off_its_schema(text: str, old: str, new: str, pointer: str) -> None:
    problems = validate_objects(text.replace(old, new).encode())

    assert [problem.pointer for problem in problems] == [pointer]


@pytest.mark.parametrize("text", ["a: [", "- 1", "kind: Deployment", "apiVersion: v1\nkind: List\nitems: x"])
def test_says_when_there_is_no_object(text: str) -> None:
    assert len(validate_objects(text.encode())) == 1
