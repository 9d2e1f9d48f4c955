"""A catalogue index is taken as its artifacts would have been, and only from whom may attest. On a real registry."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, InternalError, connection, connections

from marketplace.models import Blueprint, BlueprintVersion, CatalogueIndex
from marketplace.services import sync_index
from marketplace.services.blueprint_folder import read_folder
from marketplace.services.oci.pack import pack
from marketplace.services.sync_registry import sync_registry
from marketplace.services.trusted_keys import revoke_key
from tests.marketplace.catalogue_rows import NOW, add_blueprint
from tests.marketplace.index_shelf import (
    Counting,
    blobs_of,
    folders_of,
    forge_index,
    frame,
    publish_index,
    with_files,
)
from tests.marketplace.oci_shelf import NAME, Shelf, make_folder, new_key, packed

pytestmark = pytest.mark.django_db(transaction=True)

UNTRUSTED = "None of its signatures is one of this very artifact by a key that is trusted for it."
MALFORMED = "The catalogue index is malformed."
TOO_LARGE = "The catalogue index is larger than it may be."
NO_GZIP = "A layer is not compressed with gzip."
DIGEST = f"sha256:{'a' * 64}"


def reasons(shelf: Shelf) -> list[str]:
    """Sync and return why things were refused; nothing may have been taken."""
    report = shelf.sync()
    assert report.created == []
    assert not BlueprintVersion.objects.exists()
    return [each.reason for each in report.refused]


def test_the_whole_catalogue_costs_a_handful_of_requests_and_the_same_one_again_a_single_one(
    shelf: Shelf, tmp_path: Path
) -> None:
    key = shelf.trust(may_attest=True)
    folders = folders_of(tmp_path, 3)
    publish_index(shelf, folders)
    registry = Counting(shelf.location.host)

    report = sync_registry(registry=registry, location=shelf.location, now=NOW)

    reference = f"{shelf.location}/{NAME}"
    assert (report.created, report.refused) == ([f"{reference}:1.{minor}.0" for minor in range(3)], [])
    assert len(registry.asked) == 5  # the index, its signature's two parts, its configuration, one pack
    for row, folder in zip(BlueprintVersion.objects.order_by("minor"), folders, strict=True):
        assert (row.digest, row.files) == (pack(folder).digest, folder.files)
        assert (row.signer, row.reference, row.changelog) == (key, reference, "News.")
    again = Counting(shelf.location.host)
    assert sync_registry(registry=again, location=shelf.location, now=NOW).known == 3
    assert len(again.asked) == 1


def test_a_new_version_comes_with_the_next_index(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust(may_attest=True)
    folders = folders_of(tmp_path, 3)
    publish_index(shelf, folders[:2])
    shelf.sync()
    publish_index(shelf, folders, serial=2)

    report = shelf.sync()

    assert (report.created, report.known) == ([f"{shelf.location}/{NAME}:1.2.0"], 2)


def test_without_the_right_to_attest_the_index_is_not_even_asked_for(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    publish_index(shelf, folders_of(tmp_path))
    registry = Counting(shelf.location.host)

    report = sync_registry(registry=registry, location=shelf.location, now=NOW)

    assert (report.created, report.refused) == ([], [])
    assert len(registry.asked) == 1  # what there is


def test_signed_by_a_key_without_the_right(shelf: Shelf, tmp_path: Path) -> None:
    other = new_key()
    shelf.trust(may_attest=True)
    shelf.trust(other)
    publish_index(shelf, folders_of(tmp_path), key=other)

    assert reasons(shelf) == [UNTRUSTED]


def test_unsigned(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust(may_attest=True)
    forge_index(shelf, frame(NAME, [], []), is_signed=False)

    assert reasons(shelf) == ["It is not signed."]
    assert not CatalogueIndex.objects.exists()


def test_an_older_index_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust(may_attest=True)
    folders = folders_of(tmp_path, 3)
    publish_index(shelf, folders[:1], serial=5)
    shelf.sync()
    for serial, others in ((4, folders), (5, folders[:2])):
        publish_index(shelf, others, serial=serial)

        report = shelf.sync()

        words = f"The catalogue index has the number {serial}, and another one was seen here with 5."
        assert ([each.reason for each in report.refused], report.created) == ([words], [])
    assert CatalogueIndex.objects.get().serial == 5

    publish_index(shelf, folders, serial=6)  # the control: nothing but its number kept it out
    assert len(shelf.sync().created) == 2


def test_control_without_the_rule_the_older_index_would_be_taken(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.trust(may_attest=True)
    folders = folders_of(tmp_path)
    publish_index(shelf, folders[:1], serial=5)
    shelf.sync()
    publish_index(shelf, folders, serial=4)
    monkeypatch.setattr(sync_index, "note_index", lambda **_words: None)

    assert len(shelf.sync().created) == 1


@pytest.mark.parametrize("change", ["serial = 4", f"digest = '{DIGEST}'", "location = 'elsewhere'"])
def test_the_database_goes_forward_only(change: str) -> None:
    CatalogueIndex.objects.create(
        location="registry.example.om/catalog", serial=5, digest=f"sha256:{0:064}", versions=1
    )

    with pytest.raises((IntegrityError, InternalError), match="forward only"), connection.cursor() as cursor:
        cursor.execute(f"UPDATE marketplace_catalogueindex SET {change}")


def test_other_rules_mean_that_each_version_is_judged_here(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust(may_attest=True)
    publish_index(shelf, folders_of(tmp_path / "index"), rules=DIGEST)
    digest = shelf.push(packed(make_folder(tmp_path)))
    shelf.sign(digest)

    report = shelf.sync()

    assert report.created == [f"{shelf.location}/{NAME}:1.0.0"]
    assert report.notices == [
        "Another release judged the catalogue index: each new version is judged here. Publish it anew."
    ]


def lie_about_the_name(root: Path) -> bytes:
    blobs = blobs_of(folders_of(root, 1)[0])
    return frame("bp-ledger", [("1.0.0", blobs[0][0])], blobs)


def lie_about_the_version(root: Path) -> bytes:
    blobs = blobs_of(folders_of(root, 1)[0])
    return frame(NAME, [("1.0.1", blobs[0][0])], blobs)


def lie_about_the_digest(root: Path) -> bytes:
    blobs = blobs_of(folders_of(root, 1)[0])
    return frame(NAME, [("1.0.0", DIGEST)], [(DIGEST, *blobs[0][1:]), *blobs[1:]])


def other_bytes_in_a_blob(root: Path) -> bytes:
    blobs = blobs_of(folders_of(root, 1)[0])
    digest, size, content = blobs[-2]
    blobs[-2] = (digest, size, content.replace(b"Vaultwarden", b"Vaultwarten"))
    assert blobs[-2][2] != content
    return frame(NAME, [("1.0.0", blobs[0][0])], blobs)


def a_blob_is_missing(root: Path) -> bytes:
    blobs = blobs_of(folders_of(root, 1)[0])
    return frame(NAME, [("1.0.0", blobs[0][0])], blobs[:-1])


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (lie_about_the_name, "BP-N02 metadata.name: The folder has another name. Rename the folder to notes."),
        (lie_about_the_version, "The tag says 1.0.1, and the Blueprint inside is 1.0.0."),
        (lie_about_the_digest, "The catalogue index holds other bytes than their digest says."),
        (other_bytes_in_a_blob, "The catalogue index holds other bytes than their digest says."),
        (a_blob_is_missing, "The catalogue index lacks a part of the artifact."),
    ],
)
def test_an_entry_that_lies_is_refused_and_the_others_are_taken(
    lie: Any, reason: str, shelf: Shelf, tmp_path: Path
) -> None:
    shelf.trust(may_attest=True)
    make_folder(tmp_path / "other", slug="songs")
    honest = blobs_of(folders_of(tmp_path / "honest", 2)[1])
    forge_index(shelf, lie(tmp_path) + frame(NAME, [("1.1.0", honest[0][0])], honest))

    report = shelf.sync()

    assert ([each.reason for each in report.refused], len(report.created)) == ([reason], 1)
    assert not CatalogueIndex.objects.get().is_complete  # the next run looks again


@pytest.mark.parametrize(
    ("pack_of", "reason"),
    [
        (lambda: b"no gzip at all", NO_GZIP),
        (
            lambda: frame(NAME, [("1.0.0", DIGEST)], [(DIGEST, 5, b"short")])[:-9],
            "A layer is not compressed with gzip.",
        ),
        (lambda: frame(NAME, [("1.0.0", DIGEST)], [(DIGEST, 9, b"short")]), MALFORMED),
        (lambda: frame(NAME, [], []), MALFORMED),
        (lambda: frame(NAME, [("1.0.0", "sha256:1")], []), MALFORMED),
        (lambda: frame(NAME, [("1.0.0", DIGEST)], [(DIGEST, 1, b"x"), (DIGEST, 1, b"y")]), MALFORMED),
        (lambda: frame(NAME, [("1.0.0", DIGEST)], [(DIGEST, -1, b"")]), MALFORMED),
        (lambda: frame(NAME, [(f"1.0.{each}", DIGEST) for each in range(21)], []), MALFORMED),
        (lambda: frame(NAME, [("1.0.0", DIGEST)], [(DIGEST, 7 << 20, b"")]), MALFORMED),
        (
            lambda: frame(NAME, [("1.0.0", DIGEST)], [(f"sha256:{each:064}", 6 << 20, b"") for each in range(2)]),
            TOO_LARGE,
        ),
    ],
)
def test_a_malformed_or_oversized_pack(pack_of: Any, reason: str, shelf: Shelf) -> None:
    shelf.trust(may_attest=True)
    forge_index(shelf, pack_of())

    assert reasons(shelf) == [reason]


def test_a_bomb_ends_before_it_is_in_memory(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.trust(may_attest=True)
    monkeypatch.setattr("marketplace.services.oci.index._MAX_UNPACKED", 1 << 20)
    forge_index(shelf, frame(NAME, [("1.0.0", DIGEST)], [(DIGEST, 1 << 20, bytes(1 << 20))]))

    assert reasons(shelf) == [TOO_LARGE]


@pytest.mark.parametrize(
    "config",
    [b"[]", b'{"rules":"x","serial":1,"versions":1}', b'{"serial":1,"versions":1}', b'{"serial":true,"versions":1}'],
)
def test_a_configuration_that_says_something_else(config: bytes, shelf: Shelf) -> None:
    shelf.trust(may_attest=True)
    forge_index(shelf, frame(NAME, [], []), config=config)

    assert reasons(shelf) == [MALFORMED]


def test_all_rules_but_those_of_rendering_are_judged_here(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust(may_attest=True)
    first, second = folders_of(tmp_path)
    path = "manifests/base/service.yaml"
    outside = with_files(second, {path: lambda text: text.replace("metadata:", "metadata:\n  namespace: theirs")})
    publish_index(shelf, [first, outside])

    report = shelf.sync()

    assert [each.reason[:6] for each in report.refused] == ["BP-M11"]
    assert report.created == [f"{shelf.location}/{NAME}:1.0.0"]


def test_what_only_rendering_shows_is_believed_of_an_index_and_of_no_artifact(shelf: Shelf, tmp_path: Path) -> None:
    key = shelf.trust(may_attest=True)
    path = "manifests/base/deployment.yaml"
    folder = with_files(folders_of(tmp_path, 1)[0], {path: lambda text: text.replace("runAsNonRoot: true", "", 1)})
    digest = shelf.push(pack(folder))
    shelf.sign(digest)
    assert [each.reason[:6] for each in shelf.sync().refused] == ["BP-X04"]  # the control: no index yet

    publish_index(shelf, [folder])

    assert len(shelf.sync().created) == 1
    assert revoke_key(key_id=key.pk, actor="test", now=NOW) == 1


def test_two_at_the_same_time_take_each_version_once(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust(may_attest=True)
    folders = folders_of(tmp_path, 3)
    publish_index(shelf, folders)

    def run(_number: int) -> list[str]:
        try:
            report = shelf.sync()
            assert report.refused == []
            return report.created
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, range(2)))

    assert Blueprint.objects.get().versions.count() == 3
    assert CatalogueIndex.objects.get().is_complete


def test_a_dependency_that_stands_later_in_the_index_is_found(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust(may_attest=True)
    songs = read_folder(make_folder(tmp_path, slug="songs"))
    needs = "  depends:\n    - {blueprint: bp-songs, version: ^1.0, alias: songs}\n  observability:"
    [notes] = folders_of(tmp_path / "notes", 1, **{"title: Vaultwarden": "title: Notes", "  observability:": needs})
    publish_index(shelf, [notes, songs])

    report = shelf.sync()

    assert report.created == [f"{shelf.location}/bp-songs:1.0.0", f"{shelf.location}/{NAME}:1.0.0"]
    assert report.refused == []


def test_a_name_that_is_pushed_here_is_not_taken_over(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust(source="sovereign", may_attest=True)
    [folder] = folders_of(tmp_path, 1)
    notes = add_blueprint("notes", version="0.8.0-rc.1", source="sovereign", price=None)
    draft = {"version": "0.9.0", "major": 0, "minor": 9, "patch": 0, "digest": DIGEST, "contract": {}, "files": {}}
    BlueprintVersion.objects.create(blueprint=notes, state="draft", commit="c" * 40, **draft)
    shelf.sign(shelf.push(pack(folder)))
    words = f"{NAME} is pushed here with git, and comes from no other place. Publish it under another name."
    assert [each.reason for each in shelf.sync().refused] == [words]  # by its tag

    publish_index(shelf, [folder])

    assert [each.reason for each in shelf.sync().refused] == [words]
    assert set(notes.versions.values_list("version", flat=True)) == {"0.8.0-rc.1", "0.9.0"}
