"""``archive``: texts go in and come out, the bytes are the same everywhere, and hostile archives stay shut."""

import gzip
import hashlib
import io
import tarfile
import time

import pytest

from marketplace.services.oci.archive import pack, unpack
from marketplace.services.oci.artifact import ArtifactRefused, build_manifest, canonical_json, read_json, read_manifest
from tests.marketplace.oci_archives import member, tar_of

IRREGULAR = "is not a regular file: links, folders and devices are refused."
OUTSIDE = "is not a path inside the Blueprint."


def test_gives_back_what_was_packed() -> None:
    files = {"README.md": "Words.\n", "card/description.ar.md": "كلمات\n", "empty.txt": ""}

    assert unpack(pack(files)) == files


def test_has_known_bytes() -> None:
    blob = pack({"b.txt": "2", "a.txt": "1"})

    assert hashlib.sha256(blob).hexdigest() == "524a1034ad3177be8f896470af3019eecd163388eea325fd43cfde95b88e0068"


def test_other_programs_can_read_it() -> None:
    files = {f"f{number}": "x" * 1000 for number in range(150)}

    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(pack(files)))) as archive:
        found = archive.getmembers()

    assert {(entry.mode, entry.mtime, entry.uid, entry.gid, entry.uname) for entry in found} == {(0o644, 0, 0, 0, "")}
    assert [entry.name for entry in found] == sorted(files)


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (b"", "A layer is cut short, or goes on after its end."),
        (b"no gzip", "A layer is not compressed with gzip."),
        (gzip.compress(b"no tar" * 200), "A layer is not a tar archive of UTF-8 texts."),
        (gzip.compress(b""), "A layer is not a tar archive of UTF-8 texts."),
        (tar_of(member("a", size=4))[:-9], "A layer is cut short, or goes on after its end."),
        (tar_of(member("a", size=4)) + b"more", "A layer is cut short, or goes on after its end."),
        (tar_of(member("a", size=4)) * 2, "A layer is cut short, or goes on after its end."),
        (
            gzip.compress(gzip.decompress(tar_of(member("a", size=4))) + b"hidden"),
            "A layer goes on after the end of its archive.",
        ),
        (gzip.compress(b"\0" * (5 * 1024 * 1024 + 1)), "A layer unpacks to more than 5242880 bytes."),
        (tar_of(member("a", tarfile.SYMTYPE, linkname="/etc/passwd")), f"a {IRREGULAR}"),
        (tar_of(member("a", tarfile.LNKTYPE, linkname="blueprint.yaml")), f"a {IRREGULAR}"),
        (tar_of(member("a", tarfile.CHRTYPE)), f"a {IRREGULAR}"),
        (tar_of(member("a", tarfile.FIFOTYPE)), f"a {IRREGULAR}"),
        (tar_of(member("a", tarfile.DIRTYPE)), f"a {IRREGULAR}"),
        (tar_of(member("a", tarfile.CONTTYPE)), f"a {IRREGULAR}"),
        (tar_of(member("a", pax_headers={"GNU.sparse.major": "0", "GNU.sparse.size": "9"})), f"a {IRREGULAR}"),
        (tar_of(member("../a", size=4)), f"../a {OUTSIDE}"),
        (tar_of(member("/etc/a", size=4)), f"/etc/a {OUTSIDE}"),
        (tar_of(member("a/../b", size=4)), f"a/../b {OUTSIDE}"),
        (tar_of(member("a//b", size=4)), f"a//b {OUTSIDE}"),
        (tar_of(member("a\\b", size=4)), f"a\\b {OUTSIDE}"),
        (tar_of(member("a\n", size=4)), f"a\n {OUTSIDE}"),
        (tar_of(member(".git/hooks", size=4)), f".git/hooks {OUTSIDE}"),
        (tar_of(member("a", size=4), member("a", size=4)), "a stands twice in the archive."),
        (tar_of(member("a", size=4), member("A", size=4)), "A stands twice in the archive."),
        (tar_of(member("a", size=4), member("a/b", size=4)), "a/b stands twice in the archive."),
        (tar_of(member("a/b", size=4), member("a", size=4)), "a stands twice in the archive."),
        (tar_of(*(member(f"f{n}", size=1) for n in range(201))), "The archive holds more than 200 files."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses(blob: bytes, reason: str) -> None:
    started = time.process_time()

    with pytest.raises(ArtifactRefused) as refused:
        unpack(blob)

    assert refused.value.message == reason
    assert time.process_time() - started < 0.2


def test_refuses_headers_that_lead_to_headers_without_end() -> None:
    longer = tarfile.TarInfo("././@LongLink")
    longer.type, longer.size = tarfile.GNUTYPE_LONGNAME, 1
    header = longer.tobuf(tarfile.GNU_FORMAT) + b"a".ljust(512, b"\0")

    with pytest.raises(ArtifactRefused, match="not a tar archive of UTF-8 texts"):
        unpack(gzip.compress(header * 4000))


def test_refuses_texts_that_are_not_utf_8() -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as writer:
        writer.addfile(member("a", size=1), io.BytesIO(b"\xff"))

    with pytest.raises(ArtifactRefused, match="not a tar archive of UTF-8 texts"):
        unpack(gzip.compress(plain.getvalue()))


@pytest.mark.parametrize(
    "change",
    [
        {"manifests": []},
        {"schemaVersion": 1},
        {"subject": {}},
        {"mediaType": "application/vnd.oci.image.index.v1+json"},
        {"layers": []},
        {"layers": {}},
    ],
    ids=str,
)
def test_refuses_a_manifest_that_two_readers_may_read_differently(change: dict[str, object]) -> None:
    honest = read_json(build_manifest(b"{}", [("text/plain", b"x")]), limit=1000)

    with pytest.raises(ArtifactRefused, match="The manifest is not one OCI image manifest"):
        read_manifest(canonical_json(honest | change))


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "md5:d41d8cd98f00b204e9800998ecf8427e"},
        {"digest": "sha256:" + "A" * 64},
        {"digest": None},
        {"size": -1},
        {"size": True},
        {"size": "1"},
        {"size": 2**40},
        {"mediaType": 1},
        {"urls": []},
        {"annotations": {"a": 1}},
    ],
    ids=str,
)
def test_refuses_a_part_that_is_not_clearly_described(change: dict[str, object]) -> None:
    honest = read_json(build_manifest(b"{}", [("text/plain", b"x")]), limit=1000)

    with pytest.raises(ArtifactRefused, match="A part of the"):
        read_manifest(canonical_json(honest | {"layers": [honest["layers"][0] | change]}))


@pytest.mark.parametrize(
    "source",
    [b'{"a":1,"a":1}', b"[" * 60000, b"NaN", b"\xff", b"", b'{"a":1}x'],
    ids=["twice", "deep", "constant", "bytes", "empty", "more"],
)
def test_refuses_json_that_readers_disagree_on(source: bytes) -> None:
    with pytest.raises(ArtifactRefused, match="The document is not JSON"):
        read_json(source, limit=65536)
