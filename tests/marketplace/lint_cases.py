"""Ways to break each rule of publishing, one at a time: edits of a draft Blueprint that breaks none."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from marketplace.services.blueprint_lint import Artifact
from tests.marketplace.lint_draft import IMAGE, Draft, mysql

_WORDS = {"title": "T", "description": "D", "x-catalyst-i18n": {"ar": {"title": "ع", "description": "و"}}}

Edit = Callable[[Draft], object]
#: One way, at least, to break each rule.
CASES: dict[str, list[Edit]] = {}


def _needs(blueprint: str, **edge: str) -> dict[str, Any]:
    return {"depends": [{"blueprint": blueprint, **edge}], "exposes": {"sharing": ["shared"]}}


def _publish_chain(draft: Draft, *names: str) -> None:
    """Publish an older database that needs the first, and let each need the next."""
    for name, needed in pairwise(["bp-mysql", *names]):
        draft.publish(name, "0.9.0", spec=_needs(needed))


def breaks(rule: str) -> Callable[[Edit], Edit]:
    def register(edit: Edit) -> Edit:
        CASES.setdefault(rule, []).append(edit)
        return edit

    return register


def prop(draft: Draft, **schema: Any) -> None:
    draft.spec["configSchema"]["properties"]["extra"] = {**_WORDS, **schema}


def metadata(key: str, value: Any) -> Edit:
    return lambda draft: draft.document["metadata"].update({key: value})


def named(name: str) -> Edit:
    return lambda draft: draft.rename(name)


def spec(**values: Any) -> Edit:
    return lambda draft: draft.spec.update(values)


def edge(**values: Any) -> Edit:
    return lambda draft: draft.spec["depends"][0].update(values)


def container(**values: Any) -> Edit:
    def edit(draft: Draft) -> None:
        with draft.pod() as pod:
            pod["containers"][0].update(values)

    return edit


def pod(**values: Any) -> Edit:
    def edit(draft: Draft) -> None:
        with draft.pod() as inner:
            inner.update(values)

    return edit


def extra(text: str) -> Edit:
    return lambda draft: draft.base("extra.yaml", text)


CASES |= {
    "BP-N01": [metadata("version", "v1.2"), named("bp-Ｈandbook"), named("bp-hаndbook"), named("bp-Handbook")],
    "BP-N02": [lambda draft: setattr(draft, "folder", "manual")],
    "BP-N03": [lambda draft: draft.publish("bp-handbook", "1.2.0")],
    "BP-N04": [
        spec(colour="red"),
        spec(visibility="private"),
        lambda draft: setattr(draft, "raw", b"a: &x [1]\nb: *x\n"),
        extra("a: 1\na: 2\n"),
    ],
    "BP-N05": [named("bp-catalyst-x"), named("bp-bundle-x")],
    "BP-N06": [
        lambda draft: draft.publish("bp-handb00k", "1.0.0"),
        lambda draft: draft.publish("bp-other", "1.0.0", spec={"card": {"title": "Hаndbook"}}),
        lambda draft: draft.spec["card"].update(title="Ｈandbook"),
        lambda draft: draft.write("README.md", "safe \u202egnirts\n"),
    ],
    "BP-C01": [
        lambda draft: draft.spec["card"]["tagline"].pop("ar"),
        lambda draft: draft.files.pop("card/description.ar.md"),
    ],
    "BP-C02": [lambda draft: draft.spec["card"].update(category="nowhere")],
    "BP-C03": [lambda draft: draft.write("card/icon.svg", '<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>')],
    "BP-C04": [
        lambda draft: draft.spec["card"].update(screenshots=["card/shelf.webp"]),
        lambda draft: (draft.spec["card"].update(screenshots=["card/a.webp"]), draft.write("card/a.webp", b"RIFF")),
    ],
    "BP-C05": [lambda draft: draft.write("LICENSE", "SPDX-License-Identifier: AGPL-3.0-only\n")],
    "BP-C06": [
        lambda draft: draft.write("card/description.md", "Hello <b onclick=x>you</b>\n"),
        lambda draft: draft.write("card/description.md", "![x](https://example.org/x.png)\n"),
        lambda draft: draft.write("card/description.md", "[x](http://example.org)\n"),
    ],
    "BP-S01": [
        lambda draft: prop(draft, type="string", anyOf=[]),
        lambda draft: prop(draft, type="string", maxLength=64, pattern="(a+)+$"),
        lambda draft: prop(draft, type="object", **{"$ref": "https://example.org/schema"}),
        lambda draft: prop(draft, type="string", enum=[str(number) for number in range(51)]),
    ],
    "BP-S02": [lambda draft: prop(draft, type="string", description="")],
    "BP-S03": [
        lambda draft: prop(draft, type="integer", default="1"),
        lambda draft: prop(draft, type="object", properties={}, default={"unknown": 1}),
    ],
    "BP-S04": [
        lambda draft: prop(
            draft,
            type="string",
            default="x",
            **{"x-catalyst-ui-hint": "password", "x-catalyst-env-specific": True},
        )
    ],
    "BP-S05": [lambda draft: prop(draft, type="string", format="hostname")],
    "BP-S06": [
        lambda draft: draft.change("tests/integration.yaml", "    expect", "    config: {cache: maybe}\n    expect"),
        lambda draft: draft.change("tests/integration.yaml", "    expect", "    config: {unknown: 1}\n    expect"),
    ],
    "BP-D01": [edge(version=">=1"), edge(version="latest"), edge(version="")],
    "BP-D02": [edge(version="^2.0"), edge(blueprint="bp-absent")],
    "BP-D03": [edge(alias="Db"), lambda draft: draft.spec["depends"].append(draft.spec["depends"][0])],
    "BP-D04": [
        lambda draft: draft.publish(
            "bp-mysql",
            "1.1.0",
            spec={"depends": [{"blueprint": "bp-handbook"}], "exposes": {"sharing": ["shared"]}},
        ),
        # All versions count and all conditions are taken as true.
        lambda draft: draft.publish("bp-mysql", "0.9.0", spec=_needs("bp-handbook", when="{{ .config.x == true }}")),
        lambda draft: _publish_chain(draft, "bp-aa", "bp-bb", "bp-handbook"),
        lambda draft: _publish_chain(draft, "bp-aa", "bp-bb", "bp-aa"),
        lambda draft: _publish_chain(draft, *(f"bp-step{number}" for number in range(7))),
    ],
    "BP-D05": [edge(when="{{ .config.missing == true }}"), edge(values={"databases": ["x"]})],
    "BP-D06": [
        edge(sharing="singleton"),
        lambda draft: setattr(
            draft, "shelf", replace(draft.shelf, published={"bp-mysql": (mysql(exposes={"sharing": ["dedicated"]}),)})
        ),
    ],
    "BP-M01": [
        lambda draft: draft.write("chart/Chart.yaml", "name: x\n"),
        lambda draft: draft.spec["manifests"]["source"].update(kind="OAM"),
        lambda draft: draft.spec["manifests"]["source"].update(path="oci://example.org/x"),
    ],
    "BP-M04": [
        lambda draft: draft.files.pop("manifests/overlays/large/kustomization.yaml"),
        lambda draft: draft.change("manifests/base/others.yaml", "port: 80,", "port: eighty,"),
    ],
    "BP-M03": [
        lambda draft: (
            draft.write("manifests/overlays/large/patch.yaml", _patch(IMAGE.replace("2.4.1", "2.5.0"))),
            draft.write(
                "manifests/overlays/large/kustomization.yaml",
                "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches: [{path: patch.yaml}]\n",
            ),
        )
    ],
    "BP-M06": [
        extra("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: app-x}\n"),
        extra("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app-x, annotations: {helm.sh/hook: post-install}}\n"),
        lambda draft: draft.change(
            "manifests/base/kustomization.yaml", "others.yaml]", "others.yaml, https://example.org/base]"
        ),
        lambda draft: draft.change("manifests/base/kustomization.yaml", "others.yaml]", "others.yaml, ../../etc]"),
    ],
    "BP-M07": [
        lambda draft: draft.change(
            "manifests/base/others.yaml", "{name: app-data}", "{name: app-data, labels: {openova.io/organization: x}}"
        ),
        lambda draft: draft.change("manifests/base/others.yaml", "{app.kubernetes.io/component: app}", "{app: app}"),
    ],
    "BP-M08": [
        container(resources={"requests": {"cpu": "200m", "memory": "256Mi"}}),
        container(resources={"requests": {"cpu": "200m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}),
        lambda draft: draft.change("manifests/base/others.yaml", "storage: 2Gi", "storage: 3Gi"),
        lambda draft: draft.change("manifests/base/deployment.yaml", "replicas: 1", "replicas: 2"),
    ],
    "BP-M09": [
        container(image="docker.io/library/handbook:latest"),
        container(image="docker.io/library/handbook"),
        container(image="registry.example.org/handbook:1.2.3"),
        container(image="docker.io/library/handbook:2"),
    ],
    "BP-M10": [lambda draft: draft.change("manifests/base/deployment.yaml", "livenessProbe", "startupProbe")],
    "BP-M11": [
        lambda draft: draft.change(
            "manifests/base/others.yaml", "{name: app-data}", "{name: app-data, namespace: kube-system}"
        ),
        lambda draft: draft.write(
            "manifests/overlays/large/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: x-\n",
        ),
    ],
    "BP-X01": [lambda draft: setattr(draft, "shelf", replace(draft.shelf, artifact=Artifact(has_materials=True)))],
    "BP-X02": [
        lambda draft: setattr(
            draft,
            "shelf",
            replace(draft.shelf, artifact=Artifact(has_materials=False, signed_images=frozenset({IMAGE}))),
        )
    ],
    "BP-X03": [
        extra("apiVersion: v1\nkind: Secret\nmetadata: {name: app-x}\nstringData: {a: b}\n"),
        container(env=[{"name": "DB_PASSWORD", "value": "swordfish"}]),
        lambda draft: draft.write("README.md", "-----BEGIN EC PRIVATE KEY-----\n"),
        container(env=[{"name": "A", "value": "q7Zr0XkV93mNpL2sTfHyB8wDcJ5uGa1e"}]),
    ],
    "BP-X04": [
        pod(hostNetwork=True),
        pod(volumes=[{"name": "host", "hostPath": {"path": "/"}}]),
        pod(securityContext={"runAsNonRoot": False, "seccompProfile": {"type": "RuntimeDefault"}}),
        container(securityContext={"allowPrivilegeEscalation": True, "capabilities": {"drop": ["ALL"]}}),
        container(
            securityContext={
                "allowPrivilegeEscalation": False,
                "privileged": True,
                "capabilities": {"drop": ["ALL"]},
            }
        ),
        container(
            securityContext={
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]},
            }
        ),
    ],
    "BP-X05": [
        extra("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: app-x}\nrules: []\n"),
        extra("apiVersion: v1\nkind: Namespace\nmetadata: {name: app-x}\n"),
    ],
    "BP-X06": [
        pod(automountServiceAccountToken=True),
        pod(volumes=[{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]),
    ],
    "BP-X07": [
        lambda draft: draft.change("manifests/base/others.yaml", "[Ingress, Egress]", "[Ingress]"),
        lambda draft: draft.change("manifests/base/others.yaml", "egress: []", "egress: [{}]"),
    ],
    "BP-O01": [extra("apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: app-x}\n")],
    "BP-O02": [lambda draft: draft.spec["observability"].update(metrics="prometheus")],
    "BP-O03": [lambda draft: draft.spec.pop("observability")],
    "BP-U01": [lambda draft: draft.publish("bp-handbook", "1.1.4")],
    "BP-U02": [spec(upgrades={"from": ["1.1.x"], "blocks": ["<1.1.3"]})],
    "BP-R01": [
        spec(rotation=[{"kind": "key", "name": "app-key", "ttl": "180d"}]),
        spec(rotation=[{"kind": "key", "name": "app-key", "ttl": "400d"}]),
    ],
    "BP-T01": [
        lambda draft: draft.files.pop("tests/integration.yaml"),
        lambda draft: draft.change("tests/integration.yaml", '"false"', '"true"'),
        lambda draft: draft.change("tests/integration.yaml", "Deployment/app", "Deployment/other"),
        lambda draft: draft.write("tests/integration.yaml", "cases: []\n"),
    ],
    "BP-P01": [
        spec(pricing={"monthlyBaisa": 205}),
        lambda draft: draft.spec["footprint"].pop("diskGiB"),
    ],
}


def _patch(image: str) -> str:
    return (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\n"
        f"spec: {{template: {{spec: {{containers: [{{name: app, image: {image}}}]}}}}}}\n"
    )


@breaks("BP-U03")
def _other_selector(draft: Draft) -> None:
    draft.publish("bp-handbook", "1.1.0", files=draft.earlier())
    draft.spec["upgrades"] = {"from": ["1.1.x"]}
    draft.write("tests/upgrade.yaml", UPGRADE)
    text = draft.files["manifests/base/deployment.yaml"].decode()
    draft.write("manifests/base/deployment.yaml", text.replace("component: app", "component: web"))
    draft.change("manifests/base/others.yaml", "component: app", "component: web")


@breaks("BP-U03")
def _smaller_volume(draft: Draft) -> None:
    draft.publish("bp-handbook", "1.1.0", files=draft.earlier())
    draft.spec["upgrades"] = {"from": ["1.1.x"]}
    draft.write("tests/upgrade.yaml", UPGRADE)
    draft.change("manifests/base/others.yaml", "storage: 2Gi", "storage: 1Gi")


@breaks("BP-T02")
def _no_upgrade_case(draft: Draft) -> None:
    draft.publish("bp-handbook", "1.1.0")
    draft.spec["upgrades"] = {"from": ["1.1.x"]}


@breaks("BP-T02")
def _upgrade_case_that_fails(draft: Draft) -> None:
    _no_upgrade_case(draft)
    draft.write("tests/upgrade.yaml", UPGRADE.replace("Deployment/app", "StatefulSet/app"))


@breaks("BP-X08")
def _flux_from_an_organization(draft: Draft) -> None:
    draft.shelf = replace(draft.shelf, source="org")
    draft.spec["visibility"] = "private"
    draft.folder = "bp-handbook"
    draft.base("extra.yaml", "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: x}\n")


@breaks("BP-X08")
def _compositions_from_an_organization(draft: Draft) -> None:
    draft.shelf = replace(draft.shelf, source="org")
    draft.spec["visibility"] = "private"
    draft.folder = "bp-handbook"
    draft.write("compositions/x.yaml", "kind: Composition\n")


UPGRADE = "cases: [{name: from 1.1, from: 1.1.x, expect: [{object: Deployment/app}]}]\n"
