"""``publish_blueprint`` and ``sync_registry`` against a real registry: what was signed arrives, unchanged, once."""

from pathlib import Path

import pytest

from marketplace.models import Blueprint, BlueprintVersion, Price
from marketplace.services.blueprint_folder import read_folder
from marketplace.services.oci.artifact import ArtifactRefused, read_manifest
from marketplace.services.oci.cosign import signature_tag
from marketplace.services.oci.trust import NobodyTrusted, fetch_signatures
from marketplace.services.publish_blueprint import VersionTaken, publish_blueprint
from marketplace.services.trusted_keys import revoke_key
from tests.marketplace.catalogue_rows import NOW
from tests.marketplace.oci_shelf import NAME, Shelf, make_folder, new_key, packed

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_is_published_arrives_in_the_catalogue(shelf: Shelf, tmp_path: Path) -> None:
    key = shelf.trust()
    folder = make_folder(tmp_path)

    published = shelf.publish(folder)
    report = shelf.sync()

    version = BlueprintVersion.objects.get()
    assert published.reference == f"{shelf.location}/{NAME}:1.0.0"
    assert (report.created, report.known, report.refused) == ([published.reference], 0, [])
    assert (version.digest, version.signer, version.reference) == (published.digest, key, f"{shelf.location}/{NAME}")
    assert version.files == read_folder(folder).files
    assert version.contract == read_folder(folder).contract.document
    blueprint = Blueprint.objects.get()
    assert (blueprint.name, blueprint.source, blueprint.state) == (NAME, "public", "now")
    assert Price.objects.get(reference=NAME).amount_minor == read_folder(folder).contract.monthly_minor


def test_second_sync_asks_for_nothing_and_writes_nothing(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    shelf.publish(make_folder(tmp_path))
    shelf.sync()

    report = shelf.sync()

    assert (report.created, report.known, report.refused) == ([], 1, [])
    assert BlueprintVersion.objects.count() == 1


def test_publishing_again_is_harmless_and_adds_no_second_signature(shelf: Shelf, tmp_path: Path) -> None:
    folder = make_folder(tmp_path)

    first, second = shelf.publish(folder), shelf.publish(folder)

    assert first == second
    assert len(fetch_signatures(shelf.registry, shelf.repository, first.digest)) == 1


def test_two_publishers_sign_the_same_bytes(shelf: Shelf, tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    digest = shelf.publish(folder).digest
    other = new_key()
    publish_blueprint(folder=folder, registry=shelf.registry, location=shelf.location, key=other)

    shelf.trust(other)

    assert len(fetch_signatures(shelf.registry, shelf.repository, digest)) == 2
    assert shelf.sync().refused == []


def test_the_same_files_have_the_same_digest_in_another_folder_at_another_time(tmp_path: Path) -> None:
    first = make_folder(tmp_path / "a")
    second = make_folder(tmp_path / "b")
    for file in second.rglob("*"):
        file.chmod(0o755)

    assert packed(first).manifest == packed(second).manifest
    assert packed(first).blobs == packed(second).blobs


def test_one_other_byte_has_another_digest(tmp_path: Path) -> None:
    first, second = make_folder(tmp_path / "a"), make_folder(tmp_path / "b")
    (second / "README.md").write_text((second / "README.md").read_text() + " ")

    assert packed(first).digest != packed(second).digest


def test_refuses_to_publish_other_bytes_under_a_version(shelf: Shelf, tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    digest = shelf.publish(folder).digest
    (folder / "README.md").write_text("Other words.\n")

    with pytest.raises(VersionTaken):
        shelf.publish(folder)

    manifest = shelf.registry.manifest(shelf.repository, "1.0.0")
    assert manifest is not None
    assert read_manifest(manifest).digest == digest
    assert sorted(shelf.registry.tags(shelf.repository)) == ["1.0.0", signature_tag(digest)]


def test_refuses_to_leave_a_file_behind(shelf: Shelf, tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    (folder / "card" / "shot.webp").write_bytes(b"RIFF")

    with pytest.raises(ArtifactRefused, match=r"card/shot\.webp"):
        shelf.publish(folder)

    assert shelf.registry.tags(shelf.repository) == []


def test_the_newest_release_writes_the_card(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    title = read_folder(make_folder(tmp_path)).contract.card.title
    titles = []
    for version, words in (("1.10.0-rc.1", "Trial"), ("1.10.0", "Newest"), ("1.9.0", "Older")):
        shelf.publish(make_folder(tmp_path, version=version, **{f"title: {title}": f"title: {words}"}))
        assert shelf.sync().refused == []
        titles.append(Blueprint.objects.get().title)

    assert titles == ["Trial", "Newest", "Newest"]
    assert BlueprintVersion.objects.count() == 3


def test_a_dependency_that_comes_later_in_the_alphabet_is_waited_for(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    depends = "depends: [{blueprint: bp-store, version: ^1.0, alias: db, sharing: shared}]\n  manifests:"
    store = make_folder(tmp_path, slug="store", shipped="postgres")
    notes = make_folder(tmp_path, slug="notes", **{"manifests:": depends})

    published = [shelf.publish(folder).reference for folder in (store, notes)]
    report = shelf.sync()

    assert (sorted(report.created), report.refused) == (sorted(published), [])


def test_nothing_is_taken_from_a_place_without_a_trusted_key(shelf: Shelf, tmp_path: Path) -> None:
    shelf.publish(make_folder(tmp_path))

    with pytest.raises(NobodyTrusted):
        shelf.sync()

    assert not BlueprintVersion.objects.exists()


def test_revoking_a_key_yanks_what_it_signed_and_admits_no_more(shelf: Shelf, tmp_path: Path) -> None:
    key = shelf.trust()
    shelf.publish(make_folder(tmp_path))
    shelf.sync()
    shelf.publish(make_folder(tmp_path, version="1.1.0"))

    assert revoke_key(key_id=key.pk, actor="test", now=NOW) == 1

    with pytest.raises(NobodyTrusted):
        shelf.sync()
    assert list(BlueprintVersion.objects.values_list("version", "yanked_at")) == [("1.0.0", NOW)]


def test_a_bill_of_materials_lies_in_the_signed_artifact(shelf: Shelf, tmp_path: Path) -> None:
    shelf.publish(make_folder(tmp_path))

    source = shelf.registry.manifest(shelf.repository, "1.0.0")
    assert source is not None
    bill = next(layer for layer in read_manifest(source).layers if layer.media_type == "application/vnd.cyclonedx+json")
    text = shelf.registry.blob(shelf.repository, bill.digest, size=bill.size).decode()

    assert '"bomFormat":"CycloneDX"' in text
    assert '"name":"bp-notes"' in text
    assert '"name":"docker.io/vaultwarden/server"' in text
