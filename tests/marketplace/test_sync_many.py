"""``sync_registry`` with many versions: one run takes them as one after the other would have been taken."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connections

from marketplace.models import Blueprint, BlueprintVersion
from marketplace.services import sync_registry as sync_registry_module
from marketplace.services.oci.registry import Registry
from marketplace.services.sync_registry import sync_registry
from marketplace.services.trusted_keys import revoke_key
from tests.marketplace.catalogue_rows import NOW
from tests.marketplace.oci_shelf import NAME, Shelf, make_folder, new_key

pytestmark = pytest.mark.django_db(transaction=True)


class Counting(Registry):
    """Writes down what is asked for."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked: list[str] = []

    def _send(self, method: str, path: str, **words: Any) -> Any:
        self.asked.append(path)
        return super()._send(method, path, **words)


def release(shelf: Shelf, root: Path, minor: int, *, replaced: Mapping[str, str] | None = None) -> str:
    upgrades = {"  observability:": f'  upgrades: {{from: ["1.{minor - 1}.x"]}}\n  observability:'} if minor else {}
    folder = make_folder(root / str(minor), version=f"1.{minor}.0", **upgrades, **(replaced or {}))
    if minor:
        cases = (folder / "tests" / "integration.yaml").read_text()
        (folder / "tests" / "upgrade.yaml").write_text(cases.replace("- name:", f"- from: 1.{minor - 1}.x\n    name:"))
    return shelf.publish(folder).reference


def test_takes_all_versions_of_a_blueprint_and_asks_for_equal_parts_once(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    references = [release(shelf, tmp_path, minor) for minor in range(3)]
    registry = Counting(shelf.location.host)

    report = sync_registry(registry=registry, location=shelf.location, now=NOW)

    assert (report.created, report.refused) == (references, [])
    versions = BlueprintVersion.objects.order_by("minor")
    assert [each.version for each in versions] == ["1.0.0", "1.1.0", "1.2.0"]
    assert versions[2].files["tests/upgrade.yaml"].count("from: 1.1.x") == 2
    blobs = [path for path in registry.asked if "/blobs/" in path]
    assert len(blobs) == len(set(blobs))
    again = Counting(shelf.location.host)
    assert sync_registry(registry=again, location=shelf.location, now=NOW).known == 3
    assert len(again.asked) == 2  # what there is, and its tags


def test_a_version_that_breaks_a_rule_does_not_pass_among_sound_ones(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    first = release(shelf, tmp_path, 0)
    folder = make_folder(tmp_path / "b", version="1.1.0")  # nothing says whether 1.0.0 may move here
    shelf.registry.push_blob(shelf.repository, b"{}")
    with pytest.MonkeyPatch.context() as careless:
        careless.setattr("marketplace.services.publish_blueprint.shelf_of_folder", lambda *_: None)
        careless.setattr("marketplace.services.publish_blueprint.lint_files", lambda *_, **__: ())
        second = shelf.publish(folder).reference

    report = shelf.sync()

    assert report.created == [first]
    assert [(each.reference, each.reason[:6]) for each in report.refused] == [(second, "BP-U01")]


def test_a_key_that_is_revoked_meanwhile_keeps_only_its_own_out(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    first = release(shelf, tmp_path, 0)
    shelf.key = new_key()
    other = shelf.trust()
    second = release(shelf, tmp_path, 1)

    class Revoking(Registry):
        def manifest(self, repository: str, reference: str) -> bytes | None:
            found = super().manifest(repository, reference)
            if reference == "1.1.0":
                revoke_key(key_id=other.pk, actor="test", now=NOW)
                connections.close_all()
            return found

    report = sync_registry(registry=Revoking(shelf.location.host), location=shelf.location, now=NOW)

    assert report.created == [first]
    assert [(each.reference, each.reason) for each in report.refused] == [
        (second, "The key that signed it was revoked.")
    ]
    assert Blueprint.objects.get(name=NAME).versions.count() == 1


def test_a_database_that_is_away_refuses_nobodys_bytes(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.trust()
    release(shelf, tmp_path, 0)

    def away(**_words: Any) -> None:
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(sync_registry_module, "register_versions", away)
    with pytest.raises(OperationalError):
        shelf.sync()
    assert not BlueprintVersion.objects.exists()

    monkeypatch.undo()
    assert len(shelf.sync().created) == 1
