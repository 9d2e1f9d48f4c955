"""The platform's own unfinished Blueprints: staff see their drafts, nobody else is offered them."""

import shutil
from pathlib import Path

import pytest

from catalyst.core.errors import NotFound
from marketplace.models import Blueprint, BlueprintVersion, Price
from marketplace.selectors.catalogue import get_card
from marketplace.services.blueprint_contract import ContractRefused
from marketplace.services.catalogue_drafts import OPEN_RULES, read_drafts, refuse_broken_drafts
from marketplace.services.catalogue_seed import read_rows
from marketplace.services.sync_catalog import sync_catalog
from tests.marketplace.catalogue_rows import SHIPPED, START

CATEGORIES = [row.slug for row in read_rows("categories")]
KIT = {
    *("bp-cilium", "bp-cert-manager", "bp-flux", "bp-crossplane", "bp-sealed-secrets", "bp-spire"),
    *("bp-nats-jetstream", "bp-openbao", "bp-keycloak", "bp-platform-gitea", "bp-powerdns", "bp-catalyst-platform"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Lend a release that ships the drafts only: they are quick to judge."""
    shutil.copytree(SHIPPED / "drafts", tmp_path / "drafts")
    return tmp_path


def test_every_part_of_the_kit_is_there_in_both_languages_and_in_an_order_of_dependence() -> None:
    drafts = {folder.contract.name: folder.contract for folder in read_drafts(SHIPPED)}

    assert set(drafts) == KIT
    assert all(each.card.tagline_ar and each.visibility == "unlisted" for each in drafts.values())
    order = [edge.blueprint for edge in drafts["bp-catalyst-platform"].depends]
    assert set(order) == KIT - {"bp-catalyst-platform"}
    for position, name in enumerate(order):
        assert {edge.blueprint for edge in drafts[name].depends} <= set(order[:position])


def test_drafts_break_only_what_the_missing_bytes_break() -> None:
    refuse_broken_drafts(read_drafts(SHIPPED), [], categories=CATEGORIES)

    assert {"BP-M02", "BP-M04", "BP-M06", "BP-X04", "BP-X05", "BP-N05"} == OPEN_RULES


@pytest.mark.django_db
def test_a_draft_is_recorded_for_staff_and_offered_to_nobody(root: Path) -> None:
    sync_catalog(blueprints_root=root, now=START)

    versions = BlueprintVersion.objects.filter(blueprint__name__in=KIT)
    assert {each.blueprint.name for each in versions.select_related("blueprint")} == KIT
    assert set(versions.values_list("state", flat=True)) == {"draft"}
    assert not versions.installable().exists()
    rows = Blueprint.objects.filter(name__in=KIT)
    assert not any(row.has_card() for row in rows)
    assert set(rows.values_list("state", flat=True)) == {"soon"}
    assert not Price.objects.filter(reference__in=KIT).exists()
    for name in ("bp-cilium", "cilium"):
        with pytest.raises(NotFound):
            get_card(name, currency="OMR", at=START)


@pytest.mark.django_db
def test_a_draft_follows_its_folder_and_a_second_run_changes_nothing(root: Path) -> None:
    sync_catalog(blueprints_root=root, now=START)
    assert sync_catalog(blueprints_root=root, now=START).created == []
    (root / "drafts" / "flux" / "README.md").write_text("# Flux\n\nOther words.\n")

    assert sync_catalog(blueprints_root=root, now=START).created == ["draft bp-flux 1.0.0"]

    kept = BlueprintVersion.objects.get(blueprint__name="bp-flux")
    assert "Other words" in kept.files["README.md"]


@pytest.mark.django_db
def test_a_draft_that_breaks_another_rule_refuses_the_release(root: Path) -> None:
    path = root / "drafts" / "spire" / "blueprint.yaml"
    path.write_text(path.read_text().replace("category: security", "category: nowhere"))

    with pytest.raises(ContractRefused, match=r"BP-C02 bp-spire/blueprint\.yaml"):
        sync_catalog(blueprints_root=root, now=START)

    assert not Blueprint.objects.exists()
