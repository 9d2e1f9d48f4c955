"""What is not clearly signed, whole and well-formed never becomes installable. One attack each, on a real registry.

Every malformed artifact is signed by the trusted key: the signature is not what keeps it out.
"""

import gzip
import json
import tarfile
from pathlib import Path

import pytest

from marketplace.models import BlueprintVersion
from marketplace.services.blueprint_folder import read_folder
from marketplace.services.oci import archive
from marketplace.services.oci.artifact import (
    CONFIG,
    CONTENT,
    CONTRACT,
    FOLDER,
    SBOM,
    build_manifest,
    canonical_json,
    digest_of,
    read_manifest,
)
from marketplace.services.oci.cosign import payload_of
from marketplace.services.oci.registry import Registry, RegistryUnavailable
from marketplace.services.oci.sbom import sbom_of
from marketplace.services.sync_registry import sync_registry
from tests.marketplace.catalogue_rows import NOW
from tests.marketplace.conftest import RegistryServer
from tests.marketplace.oci_archives import member, tar_of
from tests.marketplace.oci_shelf import NAME, Shelf, make_folder, new_key, packed

pytestmark = pytest.mark.django_db(transaction=True)

UNTRUSTED = "None of its signatures is one of this very artifact by a key that is trusted for it."


class MovingTag(Registry):
    """A registry whose tag is moved the moment after somebody read it."""

    def manifest(self, repository: str, reference: str) -> bytes | None:
        answer = super().manifest(repository, reference)
        if reference == "1.0.0":
            self.move()  # type: ignore[attr-defined]
        return answer


def layers_of(folder: Path) -> dict[str, bytes]:
    """Return the layers that an honest artifact of this folder has."""
    checked = read_folder(folder)
    files = dict(checked.files)
    contract = files.pop("blueprint.yaml").encode()
    content = {path: files.pop(path) for path in list(files) if path.startswith("manifests/")}
    return {
        CONTRACT: contract,
        CONTENT: archive.pack(content),
        FOLDER: archive.pack(files),
        SBOM: sbom_of(checked),
    }


def forge(shelf: Shelf, layers: dict[str, bytes], *, tag: str = "1.0.0") -> list[str]:
    """Push and sign an artifact of these layers; return why it was refused."""
    shelf.trust()
    manifest = build_manifest(b"{}", list(layers.items()))
    shelf.sign(shelf.push_parts(manifest, b"{}", *layers.values(), tag=tag))
    return shelf.reasons()


def test_control_the_same_forgery_of_honest_layers_is_taken(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    layers = layers_of(make_folder(tmp_path))
    manifest = build_manifest(b"{}", list(layers.items()))
    shelf.sign(shelf.push_parts(manifest, b"{}", *layers.values()))

    assert shelf.sync().refused == []
    assert BlueprintVersion.objects.get().digest == digest_of(manifest)


def test_unsigned(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    shelf.push(packed(make_folder(tmp_path)))

    assert shelf.reasons() == ["It is not signed."]


def test_signed_by_an_unknown_key(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    shelf.sign(shelf.push(packed(make_folder(tmp_path))), key=new_key())

    assert shelf.reasons() == [UNTRUSTED]


def test_signed_by_a_key_that_is_trusted_for_another_place(shelf: Shelf, tmp_path: Path) -> None:
    elsewhere = Shelf(shelf.location.__class__(shelf.location.host, "elsewhere"), shelf.registry)
    elsewhere.trust()
    shelf.trust()
    shelf.sign(shelf.push(packed(make_folder(tmp_path))), key=elsewhere.key)

    assert shelf.reasons() == [UNTRUSTED]


def test_a_signature_of_another_artifact(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    signed = shelf.publish(make_folder(tmp_path / "a", version="0.9.0")).digest
    evil = shelf.push(packed(make_folder(tmp_path / "b", version="1.0.0")))
    shelf.sign(signed, beside=evil)

    report = shelf.sync()

    assert [(each.reference[-5:], each.reason) for each in report.refused] == [("1.0.0", UNTRUSTED)]
    assert list(BlueprintVersion.objects.values_list("version", flat=True)) == ["0.9.0"]


def test_a_signed_text_of_another_type(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    digest = shelf.push(packed(make_folder(tmp_path)))
    text = payload_of(digest, reference="anywhere")
    shelf.sign(digest, text=text.replace(b"cosign container image signature", b"atomic container signature"))

    assert shelf.reasons() == [UNTRUSTED]


def test_a_signature_that_was_changed(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    published = shelf.publish(make_folder(tmp_path))
    tag = f"{published.digest.replace(':', '-')}.sig"
    source = shelf.registry.manifest(shelf.repository, tag)
    assert source is not None
    data = json.loads(source)
    annotations = data["layers"][0]["annotations"]
    annotations["dev.cosignproject.cosign/signature"] = "MEUCIA" + annotations["dev.cosignproject.cosign/signature"][6:]
    shelf.registry.push_manifest(shelf.repository, tag, canonical_json(data))

    assert shelf.reasons() == [UNTRUSTED]


def test_a_tag_that_moves_after_it_was_read_changes_nothing(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    signed = shelf.publish(make_folder(tmp_path / "a")).digest
    folder = make_folder(tmp_path / "b")
    (folder / "README.md").write_text("Evil words.\n")
    evil = packed(folder)
    registry = MovingTag(shelf.location.host)
    registry.move = lambda: shelf.push(evil)  # type: ignore[attr-defined]

    report = sync_registry(registry=registry, location=shelf.location, now=NOW)

    version = BlueprintVersion.objects.get()
    assert report.refused == []
    assert (version.digest, "Evil" in version.files["README.md"]) == (signed, False)
    # The control: whoever reads the tag again gets the other bytes.
    assert shelf.registry.manifest(shelf.repository, "1.0.0") == evil.manifest


def test_a_tag_that_was_moved_to_unsigned_bytes(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    shelf.publish(make_folder(tmp_path / "a"))
    folder = make_folder(tmp_path / "b")
    (folder / "README.md").write_text("Evil words.\n")
    shelf.push(packed(folder))

    assert shelf.reasons() == ["It is not signed."]


def test_a_tag_that_was_moved_to_an_older_signed_version(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    folder = make_folder(tmp_path, version="0.9.0")
    shelf.sign(shelf.push(packed(folder), tag="1.0.0"))

    assert shelf.reasons() == ["The tag says 1.0.0, and the Blueprint inside is 0.9.0."]


def test_another_name_than_the_repository(shelf: Shelf, tmp_path: Path) -> None:
    reasons = forge(shelf, layers_of(make_folder(tmp_path, slug="diary")))

    assert reasons == ["BP-N02 metadata.name: The folder has another name. Rename the folder to diary."]


def test_a_tag_that_is_no_version(shelf: Shelf, tmp_path: Path) -> None:
    reasons = forge(shelf, layers_of(make_folder(tmp_path)), tag="latest")

    assert reasons == ["Its tag is not a version, like 1.2.3."]


def test_a_manifest_that_is_too_large(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    honest = packed(make_folder(tmp_path))
    large = canonical_json(json.loads(honest.manifest) | {"annotations": {"a": "x" * 65536}})
    shelf.sign(shelf.push_parts(large, *honest.blobs))

    assert shelf.reasons() == ["The registry sent more than 65536 bytes."]


def test_a_layer_that_is_too_large(shelf: Shelf, tmp_path: Path) -> None:
    layers = layers_of(make_folder(tmp_path))

    reasons = forge(shelf, layers | {FOLDER: b"\0" * (6 * 1024 * 1024 + 1)})

    assert reasons == ["A part of the artifact is larger than 6291456 bytes."]


def test_a_layer_that_is_larger_than_it_says(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    honest = packed(make_folder(tmp_path))
    data = json.loads(honest.manifest)
    data["layers"][1]["size"] -= 1
    shelf.sign(shelf.push_parts(canonical_json(data), *honest.blobs))

    assert shelf.reasons() == [f"The registry sent more than {data['layers'][1]['size']} bytes."]


def test_other_bytes_on_the_disk_of_the_registry(shelf: Shelf, tmp_path: Path, registry_server: RegistryServer) -> None:
    shelf.trust()
    folder = make_folder(tmp_path)
    (folder / "README.md").write_text("A registry keeps equal blobs once: this one is ours alone.\n")
    shelf.publish(folder)
    manifest = shelf.registry.manifest(shelf.repository, "1.0.0")
    assert manifest is not None
    layer = read_manifest(manifest).layers[2]
    registry_server.tamper(layer.digest, b"\0" * layer.size)

    assert shelf.reasons() == ["The registry sent other bytes than were asked for by digest."]


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (b"no gzip", "A layer is not compressed with gzip."),
        (gzip.compress(b"no tar" * 200), "A layer is not a tar archive of UTF-8 texts."),
        (gzip.compress(b"\0" * (5 * 1024 * 1024 + 1)), "A layer unpacks to more than 5242880 bytes."),
        (
            tar_of(member("a", tarfile.SYMTYPE, linkname="/etc/passwd")),
            "a is not a regular file: links, folders and devices are refused.",
        ),
        (tar_of(member("../a", size=4)), "../a is not a path inside the Blueprint."),
        (tar_of(member("blueprint.yaml", size=4)), "blueprint.yaml stands in two layers."),
    ],
    ids=["no-gzip", "no-tar", "bomb", "link", "traversal", "second-contract"],
)
def test_a_bad_archive(shelf: Shelf, tmp_path: Path, layer: bytes, reason: str) -> None:
    assert forge(shelf, layers_of(make_folder(tmp_path)) | {FOLDER: layer}) == [reason]


def test_no_blueprint_yaml(shelf: Shelf, tmp_path: Path) -> None:
    layers = layers_of(make_folder(tmp_path))
    del layers[CONTRACT]

    assert forge(shelf, layers) == ["The artifact lacks blueprint.yaml."]


def test_no_bill_of_materials(shelf: Shelf, tmp_path: Path) -> None:
    layers = layers_of(make_folder(tmp_path))
    del layers[SBOM]

    assert forge(shelf, layers) == ["The artifact lacks the SBOM."]


def test_the_bill_of_materials_of_another_blueprint(shelf: Shelf, tmp_path: Path) -> None:
    layers = layers_of(make_folder(tmp_path))

    reasons = forge(shelf, layers | {SBOM: layers[SBOM].replace(b"bp-notes", b"bp-other")})

    assert reasons == ["The SBOM is not one of bp-notes 1.0.0."]


def test_a_blueprint_that_breaks_the_contract(shelf: Shelf, tmp_path: Path) -> None:
    layers = layers_of(make_folder(tmp_path))

    reasons = forge(shelf, layers | {CONTRACT: layers[CONTRACT] + b"\nmore: 1\n"})

    assert [reason[:17] for reason in reasons] == ["BP-N04 more: This"]


def test_layers_with_foreign_addresses(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    honest = packed(make_folder(tmp_path))
    data = json.loads(honest.manifest)
    data["layers"][1]["urls"] = ["http://127.0.0.1:1/layer"]
    shelf.sign(shelf.push_parts(canonical_json(data), *honest.blobs))

    assert shelf.reasons() == ["A part of the manifest has fields that no Blueprint needs, such as urls."]


def test_another_kind_of_artifact(shelf: Shelf) -> None:
    shelf.trust()
    manifest = build_manifest(b"{}", [("application/vnd.oci.image.layer.v1.tar+gzip", b"x")], config_type=CONFIG)
    shelf.sign(shelf.push_parts(manifest, b"{}", b"x"))

    assert shelf.reasons() == ["The artifact has other parts than a Blueprint has."]


def test_one_refusal_does_not_keep_the_others_out(shelf: Shelf, tmp_path: Path) -> None:
    shelf.trust()
    shelf.push(packed(make_folder(tmp_path / "a", version="1.0.0")))
    good = shelf.publish(make_folder(tmp_path / "b", version="1.1.0"))

    report = shelf.sync()

    assert report.created == [good.reference]
    assert [each.reference for each in report.refused] == [f"{shelf.location}/{NAME}:1.0.0"]


def test_a_repository_without_a_list_or_a_name_does_not_keep_the_others_out(shelf: Shelf, tmp_path: Path) -> None:
    class Halting(Registry):
        def tags(self, repository: str) -> list[str]:
            if repository.endswith("/bp-diary"):
                raise RegistryUnavailable("It halts.")
            return super().tags(repository)

    shelf.trust()
    good = shelf.publish(make_folder(tmp_path / "a"))
    shelf.publish(make_folder(tmp_path / "b", slug="diary"))
    honest = packed(make_folder(tmp_path / "c"))
    for blob in honest.blobs:
        shelf.registry.push_blob(shelf.location.repository("nginx"), blob)
    shelf.registry.push_manifest(shelf.location.repository("nginx"), "1.0.0", honest.manifest)

    report = sync_registry(registry=Halting(shelf.location.host), location=shelf.location, now=NOW)

    assert report.created == [good.reference]
    assert [(each.reference, each.reason) for each in report.refused] == [
        (f"{shelf.location}/bp-diary", "It halts."),
        (f"{shelf.location}/nginx", "Its name is not that of a Blueprint, like bp-wiki."),
    ]
