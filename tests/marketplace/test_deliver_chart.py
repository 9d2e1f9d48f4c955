"""A chart on its whole way: signed for a registry or pushed with git, sold, committed, and run by the reconciler."""

import threading
from pathlib import Path
from typing import Any

import helm_python
import pytest
from django.utils import timezone

from catalyst.core.gitops import kustomize, yaml
from catalyst.core.gitops.validate import validate_objects
from catalyst.local import reconciler as sandbox
from catalyst.local.reconciler import Reconciler, Target
from marketplace.models import BlueprintVersion
from marketplace.services.blueprint_folder import BlueprintFolder, read_folder
from marketplace.services.blueprint_lint import read_tree
from marketplace.services.oci import archive
from marketplace.services.oci.artifact import (
    CHART,
    CONFIG,
    CONTENT,
    CONTRACT,
    FOLDER,
    SBOM,
    ArtifactRefused,
    build_manifest,
    digest_of,
    read_json,
    read_manifest,
)
from marketplace.services.oci.charts import fetch_chart
from marketplace.services.oci.pack import pack, unpack
from marketplace.services.oci.registry import RegistryUnavailable
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import Desk, open_desk
from tests.marketplace.lint_draft import IMAGE, good
from tests.marketplace.oci_shelf import Shelf
from tests.marketplace.push_desk import open_push_desk, said

NAME = "bp-handbook"
APPS = {"application.yaml", "kustomization.yaml"}


def chart_folder(root: Path, *, visibility: str = "listed") -> Path:
    """Write a Blueprint with a chart, which needs no other Blueprint."""
    draft = good()
    draft.use_chart()
    draft.spec |= {"depends": [], "visibility": visibility}
    for path, content in draft.contents().items():
        target = root / "handbook" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return root / "handbook"


def layers_of(folder: BlueprintFolder) -> dict[str, bytes]:
    packed = pack(folder)
    blobs = {digest_of(blob): blob for blob in packed.blobs}
    return {layer.media_type: blobs[layer.digest] for layer in read_manifest(packed.manifest).layers}


def read_back(layers: dict[str, bytes]) -> BlueprintFolder:
    manifest = read_manifest(build_manifest(b"{}", list(layers.items()), config_type=CONFIG))
    blobs = {digest_of(blob): blob for blob in layers.values()}
    return unpack(manifest, name=NAME, version="1.2.0", fetch=lambda layer: blobs[layer.digest])


def test_the_chart_layer_is_a_chart_that_helm_reads(tmp_path: Path) -> None:
    folder = read_folder(chart_folder(tmp_path))

    layers = layers_of(folder)

    assert list(layers) == [CONTRACT, CHART, FOLDER, SBOM]
    assert {path.partition("/")[0] for path in archive.unpack(layers[CHART])} == {NAME}
    with helm_python.Chart.load_archive(layers[CHART]) as chart:
        assert (chart.name, chart.version, [each["name"] for each in chart.dependencies]) == (
            NAME,
            "1.2.0",
            ["upstream"],
        )
    assert layers_of(folder) == layers
    assert read_back(layers).files == folder.files
    bill = read_json(layers[SBOM], limit=1 << 20)
    assert [each["bom-ref"] for each in bill["components"]] == [IMAGE]


def test_a_chart_lies_in_its_own_layer_and_nowhere_else(tmp_path: Path) -> None:
    layers = layers_of(read_folder(chart_folder(tmp_path)))
    texts, others = archive.unpack(layers[CHART]), archive.unpack(layers[FOLDER])
    moved = {path.replace(f"{NAME}/", "chart/", 1): text for path, text in texts.items()}
    without = {kind: blob for kind, blob in layers.items() if kind != CHART}
    attacks = {
        "another layer": [
            {**without, CONTENT: archive.pack(moved)},
            {**without, FOLDER: archive.pack({**others, **moved})},
            {**layers, FOLDER: archive.pack({**others, "chart/templates/more.yaml": "a: b\n"})},
        ],
        "more than the folder": [{**layers, CHART: archive.pack({**texts, "bp-other/Chart.yaml": "a: b\n"})}],
    }

    for reason, attempts in attacks.items():
        for attempt in attempts:
            with pytest.raises(ArtifactRefused, match=reason):
                read_back(attempt)


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    return open_desk(organization, org_admin)


def check_tree(desk: Desk) -> dict[str, bytes]:
    """Check that the tree builds and holds what a cluster takes; return the files of the Application."""
    tree = desk.tree()
    for path in ("flux", "apps/handbook"):
        files = {name.removeprefix(f"{path}/"): data for name, data in tree.items() if name.startswith(f"{path}/")}
        files.pop("application.yaml", None)
        assert validate_objects(kustomize.build(files)) == []
    return {name.removeprefix("apps/handbook/"): data for name, data in tree.items() if "apps/handbook/" in name}


def reports(desk: Desk, monkeypatch: pytest.MonkeyPatch, folder: Path, charts: Any = fetch_chart) -> list[str]:
    """Let the reconciler look at the newest commit, and return its words."""
    heard: list[str] = []
    monkeypatch.setattr(sandbox, "post_event", lambda _url, *, key, event: heard.append(event["reason"]))
    monkeypatch.setattr(sandbox, "fetch_main", lambda *_, **__: ("a" * 40, desk.tree()))
    target = Target("acme-prod", "http://git", "http://hook", token="t", key="k")
    folder.mkdir()
    Reconciler(folder, seconds=0, stop=threading.Event(), charts=charts).reconcile(target)
    return heard


@pytest.mark.django_db(transaction=True)
def test_a_signed_chart_is_installed_by_digest(
    desk: Desk, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.trust()
    published = shelf.publish(chart_folder(tmp_path))
    assert shelf.sync().created == [f"{shelf.location}/{NAME}:1.2.0"]

    desk.deliver(desk.order("OMN-2026-000001", NAME), now=timezone.now())

    files = check_tree(desk)
    assert set(files) == {*APPS, "source.yaml", "release.yaml"}
    assert yaml.load(files["source.yaml"])["spec"]["url"] == f"oci://{shelf.location}/{NAME}"
    assert yaml.load(files["source.yaml"])["spec"]["ref"] == {"digest": published.digest}
    known = BlueprintVersion.objects.get(digest=published.digest)
    chart = fetch_chart(f"{shelf.location}/{NAME}", published.digest)
    assert chart == {
        path.removeprefix("chart/"): text.encode() for path, text in known.files.items() if path.startswith("chart/")
    }
    done = ["Progressing", "ReconciliationSucceeded", "ReconciliationSucceeded"]
    assert reports(desk, monkeypatch, tmp_path / "up") == done

    def away(*_args: Any, **_words: Any) -> None:
        raise RegistryUnavailable("away")

    monkeypatch.setattr("marketplace.services.oci.registry.Registry.manifest", away)
    assert reports(desk, monkeypatch, tmp_path / "away") == done
    with pytest.raises(RegistryUnavailable):
        fetch_chart(f"{shelf.location}/{NAME}", "sha256:" + "b" * 64)


@pytest.mark.django_db(transaction=True)
def test_a_pushed_chart_is_rendered_here(
    desk: Desk, organization: Organization, live_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    developer = open_push_desk(live_server.url, tmp_path / "work", organization)
    developer.commit(read_tree(chart_folder(tmp_path, visibility="private")))
    pushed = developer.push()
    assert (pushed.returncode, said(pushed)[-1]) == (0, "bp-handbook 1.2.0 is published for your Organization.")

    desk.deliver(desk.order("OMN-2026-000001", NAME), now=timezone.now())

    files = check_tree(desk)
    assert set(files) == {*APPS, "objects.yaml"}
    assert reports(desk, monkeypatch, tmp_path / "flux")[-2:] == ["ReconciliationSucceeded"] * 2


@pytest.mark.django_db(transaction=True)
def test_a_pushed_chart_that_breaks_a_rule_is_shown_to_the_pusher(
    sovereign: Sovereign, organization: Organization, catalyst_home: Any, live_server: Any, tmp_path: Path
) -> None:
    developer = open_push_desk(live_server.url, tmp_path / "work", organization)
    files = read_tree(chart_folder(tmp_path, visibility="private"))
    files["chart/templates/app.yaml"] = files["chart/templates/app.yaml"].replace(b"drop: [ALL]", b"drop: []")
    developer.commit(files)

    pushed = developer.push()

    assert pushed.returncode == 1
    assert any("BP-X04" in line and "bp-handbook/chart/templates/app.yaml" in line for line in said(pushed))
    assert not BlueprintVersion.objects.filter(blueprint__name=NAME).exists()


@pytest.mark.parametrize(
    ("charts", "reason"),
    [
        (
            lambda *_: {"Chart.yaml": b"apiVersion: v2\nname: x\nversion: 1.0.0\n", "templates/a.yaml": b"a: {{"},
            "render",
        ),
        (
            lambda *_: {
                "Chart.yaml": b"apiVersion: v2\nname: x\nversion: 1.0.0\n",
                "templates/a.yaml": b"apiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: {portz: 1}\n",
            },
            "portz",
        ),
        (sandbox.no_charts, "no registry"),
    ],
)
def test_a_release_that_would_fail_is_reported(charts: Any, reason: str) -> None:
    release = b"""
- apiVersion: source.toolkit.fluxcd.io/v1
  kind: OCIRepository
  metadata: {name: a, namespace: env-x}
  spec: {url: "oci://r/a", interval: 1h, ref: {digest: "sha256:%s"}}
- apiVersion: helm.toolkit.fluxcd.io/v2
  kind: HelmRelease
  metadata: {name: a, namespace: env-x}
  spec: {chartRef: {kind: OCIRepository, name: a}, interval: 1h, releaseName: a, targetNamespace: dev-a}
""" % (b"a" * 64)
    folder = {
        "kustomization.yaml": b"resources: [release.yaml]\n",
        "release.yaml": b"apiVersion: v1\nkind: List\nitems:\n" + release.lstrip(b"\n"),
    }

    problem = sandbox.find_problem(folder, charts)

    assert problem is not None
    assert problem[0] == "HealthCheckFailed"
    assert reason in problem[1]
