"""What a Blueprint's manifests may not do; each is refused before anything is written."""

import pytest

from catalyst.core.errors import DomainError

from .render_blueprints import render_acme, wiki

BASE = wiki()["manifests/base/kustomization.yaml"]
APP = wiki()["manifests/base/app.yaml"]
REPLACEMENTS = wiki()["manifests/base/replacements.yaml"]


def extra(text: str) -> bytes:
    return APP + b"---\n" + text.encode()


@pytest.mark.asvs("1.3.3")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: app}\n", "kind is not allowed"),
        ("apiVersion: v1\nkind: Namespace\nmetadata: {name: app}\n", "kind is not allowed"),
        ("apiVersion: batch/v1\nkind: Job\nmetadata: {name: app}\n", "kind is not allowed"),
        ("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: app}\n", "kind is not allowed"),
        ("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: other}\n", "named app or app-<part>"),
        ("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: app}\nwrong: 1\n", "wrong"),
        (
            (
                "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: app-x}\n"
                "spec: {target: {name: x}, data: [{secretKey: a, remoteRef: {key: org/other/env/prod/wiki}}]}\n"
            ),
            "may not read org/other/env/prod/wiki",
        ),
        (
            (
                "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: app-x}\n"
                "spec: {target: {name: x}, dataFrom: [{find: {path: org/acme/env/prod/handbook/../shared-sql}}]}\n"
            ),
            "may not read",
        ),
        (
            (
                "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: app-x}\n"
                "spec: {target: {name: x}, dataFrom: [{find: {path: org/acme/env/prod/handbook2}}]}\n"
            ),
            "may not read",
        ),
        (
            (
                "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: app-x}\n"
                "spec: {rules: [{host: console.cloud.example.om}]}\n"
            ),
            "is not this Application's",
        ),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app-x}\ndata: {a: yes}\n", "quotes"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app-x}\ndata: {a: &x b, c: *x}\n", "aliases"),
    ],
)
def test_refuses_an_object(text: str, reason: str) -> None:
    with pytest.raises(DomainError, match=reason):
        render_acme(files=wiki(app=extra(text)))


@pytest.mark.asvs("1.3.6")
@pytest.mark.parametrize(
    "line",
    [
        b"resources: [catalyst-values.yaml, 'https://example.org/x']\n",
        b"resources: [catalyst-values.yaml, '../../secrets.yaml']\n",
        b"resources: [catalyst-values.yaml, 'github.com/a/b']\n",
        b"resources: [catalyst-values.yaml, kustomization.yaml]\n",
        b"resources: [catalyst-values.yaml]\nhelmCharts: [{name: x}]\n",
        b"resources: [catalyst-values.yaml]\nsecretGenerator: [{name: x, files: [/etc/passwd]}]\n",
        b"resources: [catalyst-values.yaml]\nnamespace: kube-system\n",
        b"resources: [catalyst-values.yaml]\ntransformers: [x.yaml]\n",
        b"resources: [catalyst-values.yaml]\npatches: [{path: ../../x.yaml}]\n",
        b"resources: [catalyst-values.yaml]\nreplacements: [{path: 'https://example.org/x'}]\n",
        b"resources: [catalyst-values.yaml]\nreplacements: [{source: {kind: Secret}}]\n",
    ],
)
def test_refuses_a_kustomization_that_reaches_outside(line: bytes) -> None:
    changed = b"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" + line

    with pytest.raises(DomainError, match="refused"):
        render_acme(files=wiki(kustomization=changed))


def test_refuses_an_unanchored_selector() -> None:
    changed = REPLACEMENTS.replace(b"[name=^TITLE$]", b"[name=TITLE]")

    with pytest.raises(DomainError, match=r"write .* with"):
        render_acme(files=wiki(replacements=changed))


def test_refuses_a_replacement_that_creates_its_field() -> None:
    changed = REPLACEMENTS.replace(b'fieldPaths: ["data.title"]', b'fieldPaths: ["data.new"], options: {create: true}')
    changed = changed.replace(
        b'      fieldPaths: ["data.new"], options: {create: true}',
        b'      fieldPaths: ["data.new"]\n      options: {create: true}',
    )

    with pytest.raises(DomainError, match="may not create"):
        render_acme(files=wiki(replacements=changed))


@pytest.mark.parametrize("path", ["manifests/base/../x.yaml", "manifests/base/sub/x.yaml", "manifests/base/.git.yaml"])
def test_refuses_file_names_outside_the_folder(path: str) -> None:
    with pytest.raises(DomainError, match="not a file name"):
        render_acme(files={**wiki(), path: b"a: 1\n"})


def test_refuses_a_number_that_yaml_readers_write_differently() -> None:
    with pytest.raises(DomainError, match="float"):
        render_acme(config={"title": "x", "ratio": 0.5})


def test_refuses_a_size_without_an_overlay() -> None:
    with pytest.raises(DomainError, match="missing"):
        render_acme(size="medium")
