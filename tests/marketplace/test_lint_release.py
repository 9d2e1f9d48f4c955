"""What ships is judged when it is new, together with what lies beside it and what is registered already."""

import shutil
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from marketplace.models import BlueprintVersion
from marketplace.services.blueprint_contract import ContractRefused
from marketplace.services.blueprint_lint.release import lint_release
from marketplace.services.catalogue_seed import read_blueprints
from marketplace.services.sync_catalog import sync_catalog
from tests.marketplace.catalogue_rows import SHIPPED, load_catalogue

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(tmp_path: Path) -> Path:
    copy = tmp_path / "blueprints"
    shutil.copytree(SHIPPED, copy)
    return copy


def raise_version(root: Path, version: str, more: str = "") -> None:
    path = root / "platform" / "umami" / "blueprint.yaml"
    path.write_text(path.read_text().replace("version: 1.0.0", f"version: {version}", 1) + more)


def test_reads_one_list_when_nothing_is_new() -> None:
    load_catalogue()
    folders = [row.folder for row in read_blueprints(SHIPPED) if row.folder]

    with CaptureQueriesContext(connection) as queries:
        findings = lint_release(folders, categories=[])

    assert findings == []
    assert len(queries) == 1


def test_refuses_a_new_version_that_says_nothing_about_the_old_one(root: Path) -> None:
    load_catalogue()
    raise_version(root, "1.1.0")

    with pytest.raises(ContractRefused, match=r"BP-U01 bp-umami/blueprint\.yaml spec"):
        sync_catalog(blueprints_root=root, now=timezone.now())

    assert not BlueprintVersion.objects.filter(version="1.1.0").exists()


def test_takes_a_new_version_that_blocks_the_old_one(root: Path) -> None:
    load_catalogue()
    raise_version(root, "1.1.0", '  upgrades: {blocks: ["<1.1.0"]}\n')

    sync_catalog(blueprints_root=root, now=timezone.now())

    assert BlueprintVersion.objects.get(version="1.1.0").blueprint.name == "bp-umami"


def test_compares_with_the_registered_files(root: Path) -> None:
    load_catalogue()
    raise_version(root, "1.1.0", '  upgrades: {from: ["1.0.x"]}\n')
    cases = "cases: [{name: old, from: 1.0.x, expect: [{object: Deployment/app}]}]\n"
    (root / "platform" / "umami" / "tests" / "upgrade.yaml").write_text(cases)
    for name in ("deployment.yaml", "service.yaml"):
        path = root / "platform" / "umami" / "manifests" / "base" / name
        path.write_text(
            path.read_text().replace("app.kubernetes.io/component: app", "app.kubernetes.io/component: web")
        )

    with pytest.raises(ContractRefused) as refusal:
        sync_catalog(blueprints_root=root, now=timezone.now())

    assert {each.rule for each in refusal.value.findings} == {"BP-U03"}
    assert not BlueprintVersion.objects.filter(version="1.1.0").exists()
