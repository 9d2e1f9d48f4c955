"""A second process proves a large index: what is taken and what is refused is the same, whatever becomes of it."""

import signal
from pathlib import Path
from typing import Any, Final

import pytest

from marketplace.models import BlueprintVersion
from marketplace.services import sync_child, sync_index
from marketplace.services.oci.index import Frame
from marketplace.services.oci.pack import pack
from marketplace.services.sync_prove import Proven, prove_frame
from tests.marketplace.index_shelf import blobs_of, folders_of, forge_index, frame, publish_index, with_files
from tests.marketplace.oci_shelf import NAME, Shelf

pytestmark = pytest.mark.django_db(transaction=True)

SECRET: Final = {"manifests/base/extra.yaml": lambda _text: "kind: Secret\napiVersion: v1\nmetadata: {name: app-x}\n"}
#: What fails instead of being a child: it ends at once, says nothing, or says that more follows than may.
DEAD: Final = "raise SystemExit(1)"
MUTE: Final = "import time; time.sleep(600)"
ENDLESS: Final = "import sys; sys.stdin.buffer.read(9); sys.stdout.buffer.write(b'\\xff' * 8)"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let everything count as large, and note what this process proves itself."""
    proven: list[str] = []

    def noted(each: Frame, *words: Any) -> list[Proven]:
        proven.append(each.name)
        return prove_frame(each, *words)

    monkeypatch.setattr(sync_index, "_MANY", 1)
    monkeypatch.setattr(sync_index, "prove_frame", noted)
    return proven


@pytest.mark.parametrize("way", ["child", "in this process", "dead", "mute", "endless"])
def test_each_way_writes_the_same_rows(
    way: str, shelf: Shelf, tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = shelf.trust(may_attest=True)
    folders = folders_of(tmp_path, 3)
    publish_index(shelf, folders)
    if way == "in this process":
        monkeypatch.setattr(sync_index, "_MANY", 1000)
    elif way != "child":
        monkeypatch.setattr(sync_child, "_START", {"dead": DEAD, "mute": MUTE, "endless": ENDLESS}[way])
        monkeypatch.setattr(sync_child, "_DEADLINE", 0.5)

    report = shelf.sync()

    reference = f"{shelf.location}/{NAME}"
    assert (report.created, report.refused) == ([f"{reference}:1.{minor}.0" for minor in range(3)], [])
    assert here == ([] if way == "child" else [NAME])
    for row, folder in zip(BlueprintVersion.objects.order_by("minor"), folders, strict=True):
        assert (row.digest, row.files) == (pack(folder).digest, folder.files)
        assert (row.contract, row.signer, row.reference) == (folder.contract.document, key, reference)
        assert (row.changelog, row.is_security, row.state) == ("News.", False, "published")


def test_what_the_child_finds_unsound_is_judged_and_refused_here_alone(
    shelf: Shelf, tmp_path: Path, here: list[str]
) -> None:
    shelf.trust(may_attest=True)
    first, second, third = folders_of(tmp_path, 3)
    publish_index(shelf, [first, second, with_files(third, SECRET)])

    report = shelf.sync()

    assert here == []
    assert [each.rpartition(":")[2] for each in report.created] == ["1.0.0", "1.1.0"]
    (refusal,) = report.refused
    assert refusal.reference == f"{shelf.location}/{NAME}:1.2.0"
    assert refusal.reason.startswith("BP-X03 manifests/base/extra.yaml kind, line 1: ")


def test_what_the_child_cannot_read_is_refused_in_our_words(shelf: Shelf, tmp_path: Path, here: list[str]) -> None:
    shelf.trust(may_attest=True)
    first, second, _third = folders_of(tmp_path, 3)
    other = [(digest, size, bytes(size)) for digest, size, _content in blobs_of(second)]
    packed = (
        frame(NAME, [("1.0.0", pack(first).digest)], blobs_of(first)),
        frame(NAME, [("1.1.0", pack(second).digest)], other),
    )
    forge_index(shelf, b"".join(packed))

    report = shelf.sync()

    assert here == [NAME]  # one frame of the two
    assert report.created == [f"{shelf.location}/{NAME}:1.0.0"]
    assert [(each.reference, each.reason) for each in report.refused] == [
        (f"{shelf.location}/{NAME}:1.1.0", "The catalogue index holds other bytes than their digest says.")
    ]


def test_a_pack_that_breaks_off_keeps_what_came_before_once(shelf: Shelf, tmp_path: Path, here: list[str]) -> None:
    shelf.trust(may_attest=True)
    (first,) = folders_of(tmp_path, 1)
    forge_index(shelf, frame(NAME, [("1.0.0", pack(first).digest)], blobs_of(first)) + b"no frame")

    report = shelf.sync()

    assert here == []  # the frame that came from the child is not proven a second time
    assert [each.reference for each in report.refused] == [f"{shelf.location}/catalogue-index:latest"]
    assert BlueprintVersion.objects.count() == 1


def test_a_child_that_is_stopped_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_child, "_START", MUTE)
    child = sync_child.Child("public", frozenset())

    child.stop()

    assert child._process.returncode == -signal.SIGKILL
