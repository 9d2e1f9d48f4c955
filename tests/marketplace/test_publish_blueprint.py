"""``publish_blueprint`` and ``sync_registry`` against a real registry: what was signed arrives, unchanged, once."""

from pathlib import Path

import pytest

from marketplace.models import Blueprint, BlueprintVersion, Price
from marketplace.services.blueprint_folder import read_folder
from marketplace.services.oci.artifact import ArtifactRefused, read_manifest
from marketplace.services.oci.cosign import signature_tag
from marketplace.services.oci.registry import Location
from marketplace.services.oci.trust import NobodyTrusted, fetch_signatures
from marketplace.services.publish_blueprint import VersionTaken, publish_blueprint
from marketplace.services.trusted_keys import revoke_key
from tests.marketplace.catalogue_rows import NOW, load_catalogue
from tests.marketplace.oci_shelf import NAME, Shelf, make_folder, new_key, packed

pytestmark = pytest.mark.django_db(transaction=True)


def blocks(version: str) -> dict[str, str]:
    """Say in blueprint.yaml that nothing older moves to this version."""
    price = "pricing: {monthlyBaisa: 0}"
    return {price: f"{price}\n  upgrades: {{blocks: [<{version}]}}"}


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


def test_an_older_release_of_ours_leaves_the_card_of_a_newer_version_alone(shelf: Shelf, tmp_path: Path) -> None:
    load_catalogue()
    shelf.trust()
    newer = {"title: Vaultwarden": "title: Vaultwarden Next"} | blocks("9.0.0")
    shelf.publish(make_folder(tmp_path, version="9.0.0", slug="vaultwarden", **newer))
    report = shelf.sync()
    assert (len(report.created), report.refused) == (1, [])
    before = Blueprint.objects.filter(name="bp-vaultwarden").values().get()
    assert before["title"] == "Vaultwarden Next"
    Blueprint.objects.filter(name="bp-vaultwarden").update(popular=not before["popular"])

    again = load_catalogue()

    # What the price list says of it, and no folder does, is followed all the same.
    assert again.updated == ["blueprint vaultwarden"]
    assert Blueprint.objects.filter(name="bp-vaultwarden").values().get() == before


def test_a_name_is_not_taken_over_from_another_place(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    first = shelf.publish(make_folder(tmp_path))
    assert shelf.sync().created == [first.reference]
    before = Blueprint.objects.values().get()
    other = Shelf(Location(shelf.location.host, f"{shelf.location.path}-other"), shelf.registry)
    other.trust()
    taken = other.publish(
        make_folder(tmp_path, version="2.0.0", **{"title: Vaultwarden": "title: Taken"} | blocks("2.0.0"))
    )

    report = other.sync()

    assert report.created == []
    reason = f"bp-notes comes from {shelf.location}, and from no other place. Publish it under another name."
    assert [(each.reference, each.reason) for each in report.refused] == [(taken.reference, reason)]
    assert Blueprint.objects.values().get() == before
    assert list(BlueprintVersion.objects.values_list("version", flat=True)) == ["1.0.0"]
    next_one = shelf.publish(make_folder(tmp_path, version="1.1.0", **blocks("1.1.0")))
    assert shelf.sync().created == [next_one.reference]


def test_a_name_that_looks_like_one_on_the_shelf_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    first = shelf.publish(make_folder(tmp_path, slug="notes-lab"))
    assert shelf.sync().created == [first.reference]
    shelf.publish(make_folder(tmp_path / "away", slug="notes-1ab", **{"title: Vaultwarden": "title: Other"}))

    report = shelf.sync()

    assert report.created == []
    assert [refusal.reason[:20] for refusal in report.refused] == ["BP-N06 metadata.name"]
    assert list(Blueprint.objects.values_list("name", flat=True)) == ["bp-notes-lab"]


def test_a_circle_over_three_blueprints_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()

    def put(slug: str, version: str, needs: str = "") -> str:
        words = {"title: PostgreSQL": f"title: Store {slug}"} | (blocks(version) if version != "1.0.0" else {})
        if needs:
            edge = f"{{blueprint: bp-{needs}, version: '>=1.0.0 <3', alias: other, sharing: shared}}"
            words["manifests:"] = f"depends: [{edge}]\n  manifests:"
        folder = make_folder(tmp_path / slug / version, version=version, slug=slug, shipped="postgres", **words)
        put_beside(folder, needs)
        return shelf.publish(folder).reference

    def put_beside(folder: Path, needs: str) -> None:
        if needs:
            words = {"title: PostgreSQL": f"title: Store {needs}"}
            make_folder(folder.parent, slug=needs, shipped="postgres", **words)

    created = [put("aa", "1.0.0"), put("bb", "1.0.0", "aa"), put("cc", "1.0.0", "bb")]
    report = shelf.sync()
    assert (sorted(report.created), report.refused) == (sorted(created), [])

    # Beside its own folder nothing leads back; on the shelf bb needs aa, and cc needs bb.
    put("aa", "1.1.0", "cc")
    report = shelf.sync()

    assert report.created == []
    assert [refusal.reason[:19] for refusal in report.refused] == ["BP-D04 spec.depends"]
    assert "bp-aa → bp-cc → bp-bb → bp-aa" in report.refused[0].reason
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
