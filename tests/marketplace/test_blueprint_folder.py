"""A folder is published as it is: its digest covers every file, its icon is only a drawing, its name is its own."""

import shutil
from pathlib import Path

import pytest
from django.conf import settings

from marketplace.services.blueprint_contract import ContractRefused, Finding
from marketplace.services.blueprint_folder import digest_of, is_safe_icon, read_folder
from marketplace.services.blueprint_lint import Shelf, lint_files, read_tree

SHIPPED = Path(settings.ROOT) / "blueprints" / "platform"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "umami"
    shutil.copytree(SHIPPED / "umami", copy)
    return copy


def refusals(folder: Path) -> set[str]:
    with pytest.raises(ContractRefused) as refusal:
        read_folder(folder)
    return {finding.rule for finding in refusal.value.findings}


def linted(folder: Path, source: str) -> tuple[Finding, ...]:
    return lint_files(read_tree(folder), shelf=Shelf(source=source), folder=folder.name)


def test_digest_changes_with_any_file(folder: Path) -> None:
    before = read_folder(folder).digest
    (folder / "README.md").write_text("Changed.\n")

    assert read_folder(folder).digest != before
    assert before == read_folder(SHIPPED / "umami").digest


def test_digest_does_not_depend_on_order() -> None:
    assert digest_of({"a": "1", "b": "2"}) == digest_of({"b": "2", "a": "1"})
    assert digest_of({"a": "1"}) != digest_of({"a": "2"})


def test_refuses_a_folder_of_another_name(folder: Path) -> None:
    moved = folder.rename(folder.parent / "matomo")

    assert refusals(moved) == {"BP-N02"}


def test_refuses_links(folder: Path) -> None:
    (folder / "manifests" / "base" / "secret.yaml").symlink_to("/etc/hostname")

    assert refusals(folder) == {"BP-M06"}


def test_refuses_a_missing_description(folder: Path) -> None:
    (folder / "card" / "description.ar.md").unlink()

    assert refusals(folder) == {"BP-C01"}


def test_refuses_a_missing_base(folder: Path) -> None:
    shutil.rmtree(folder / "manifests" / "base")

    assert refusals(folder) == {"BP-M01"}


def test_refuses_an_icon_that_is_more_than_a_drawing(folder: Path) -> None:
    (folder / "card" / "icon.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>')

    assert refusals(folder) == {"BP-C03"}


@pytest.mark.parametrize(
    "inner",
    [
        "<script>alert(1)</script>",
        "<style>a{}</style>",
        '<a href="https://example.org"/>',
        '<path onload="alert(1)"/>',
        '<image href="x.png"/>',
        "<foreignObject/>",
        '<path fill="url(https://example.org/x)"/>',
        "&amp;",
        '<use xlink:href="#a"/>',
    ],
)
def test_icon_with_anything_active_is_refused(inner: str) -> None:
    assert not is_safe_icon(f'<svg xmlns="http://www.w3.org/2000/svg">{inner}</svg>')


def test_icon_with_entities_is_refused() -> None:
    assert not is_safe_icon('<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg"/>')


def test_the_folder_of_an_organization_keeps_the_whole_name(folder: Path) -> None:
    kept = folder.with_name("bp-umami")
    shutil.copytree(folder, kept)

    assert read_folder(folder).contract.name == read_folder(kept, source="org").contract.name == "bp-umami"
    assert refusals(kept) == {"BP-N02"}
    with pytest.raises(ContractRefused, match=r"BP-N02.*bp-umami"):
        read_folder(folder, source="org")
    found = {
        (source, each.name): any(finding.rule == "BP-N02" for finding in linted(each, source))
        for source in ("public", "org")
        for each in (folder, kept)
    }
    assert found == {
        ("public", "umami"): False,
        ("public", "bp-umami"): True,
        ("org", "umami"): True,
        ("org", "bp-umami"): False,
    }
