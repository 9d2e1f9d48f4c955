"""Hostile bytes are refused quickly, with a rule, and leave nothing behind: bombs, links, depth, odd characters."""

import gzip
import io
import json
import os
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from marketplace.models import Blueprint, BlueprintVersion, Plan
from marketplace.services.blueprint_contract import ContractRefused, Finding
from marketplace.services.blueprint_lint import is_refused, read_archive, read_tree
from marketplace.services.sync_catalog import sync_catalog
from tests.marketplace.lint_draft import Draft, good

#: Processor time of one refusal, in seconds.
LIMIT = 0.2
SHIPPED = Path(settings.ROOT) / "blueprints"
Pack = Callable[[tarfile.TarFile], object]


def member(name: str, content: bytes = b"x", **values: object) -> Pack:
    def add(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        for key, value in values.items():
            setattr(info, key, value)
        archive.addfile(info, io.BytesIO(content))

    return add


def archive(*packs: Pack) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for pack in packs:
            pack(packed)
    return buffer.getvalue()


def timed(judge: Callable[[], tuple[Finding, ...]]) -> tuple[tuple[Finding, ...], float]:
    start = time.process_time()
    findings = judge()
    return findings, time.process_time() - start


def read(packed: bytes) -> tuple[Finding, ...]:
    try:
        read_archive(packed)
    except ContractRefused as refusal:
        return refusal.findings
    return ()


ARCHIVES = {
    "not gzip": b"PK\x03\x04 zip",
    "cut short": archive(member("blueprint.yaml", os.urandom(9000)))[:-400],
    "not a tar": gzip.compress(b"x" * 5000),
    "bomb": gzip.compress(bytes(64 * 1024 * 1024)),
    "large file": archive(member("a.txt", bytes(5 * 1024 * 1024 + 1))),
    "many files": archive(*(member(f"f{number}") for number in range(201))),
    "parent": archive(member("../evil.yaml")),
    "inner parent": archive(member("a/../../evil.yaml")),
    "absolute": archive(member("/etc/passwd")),
    "backslash": archive(member("a\\b.yaml")),
    "hidden": archive(member(".git/config")),
    "unicode name": archive(member("blueprint\u202e.yaml")),
    "control name": archive(member("a\nb.yaml")),
    "case twins": archive(member("README.md"), member("readme.md")),
    "twice": archive(member("README.md"), member("README.md")),
    "symbolic link": archive(member("a", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")),
    "hard link": archive(member("a"), member("b", b"", type=tarfile.LNKTYPE, linkname="a")),
    "device": archive(member("a", b"", type=tarfile.CHRTYPE)),
    "pipe": archive(member("a", b"", type=tarfile.FIFOTYPE)),
    "deep folders": archive(member("a/" * 20 + "b")),
}


@pytest.mark.parametrize("packed", ARCHIVES.values(), ids=ARCHIVES.keys())
def test_refuses_an_archive(packed: bytes) -> None:
    findings, spent = timed(lambda: read(packed))

    assert {each.rule for each in findings} == {"BP-M06"}
    assert spent < LIMIT


def test_reads_a_plain_archive() -> None:
    packed = archive(member("card", b"", type=tarfile.DIRTYPE), member("card/icon.svg", b"<svg/>"), member("a.md"))

    assert read_archive(packed) == {"card/icon.svg": b"<svg/>", "a.md": b"x"}


DOCUMENTS = {
    "empty": b"",
    "alias bomb": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b, *b]\n",
    "merge": b"a: &a {b: 1}\nc: {<<: *a}\n",
    "tag": b"!!python/object/apply:os.system ['id']\n",
    "directive": b"%YAML 1.1\n---\na: 1\n",
    "two documents": b"a: 1\n---\nb: 2\n",
    "repeated key": b"kind: a\nkind: b\n",
    "deep list": b"a: " + b"[" * 5000 + b"]" * 5000,
    "deep mapping": b"{a: " * 3000 + b"1" + b"}" * 3000,
    "deep json": json.dumps({"a": json.loads("[" * 400 + "]" * 400)}).encode(),
    "many values": b"a: [" + b"1," * 32_000 + b"1]",
    "too long": b"a: " + b"x" * 70_000,
    "not text": b"\xff\xfe\x00",
    "null byte": b"a: \x00\n",
    "huge number": b"a: " + b"9" * 60_000,
    "octal": b"a: 0o777\n",
    "infinity": b"a: .inf\n",
    "key of a list": b"? [a]\n: b\n",
    "scalar": b"x",
    "lone surrogate": b'a: "\\ud800"\n',
}


@pytest.mark.parametrize("source", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_refuses_a_document(source: bytes) -> None:
    draft = good()
    draft.raw = source

    findings, spent = timed(draft.findings)

    assert "BP-N04" in {each.rule for each in findings}
    assert spent < LIMIT


#: Those that the YAML reader itself refuses; the others are no blueprint.yaml, but harmless beside one.
_UNREADABLE = {
    name: source
    for name, source in DOCUMENTS.items()
    if name not in {"empty", "scalar", "two documents", "many values", "too long"}
}


@pytest.mark.parametrize("source", _UNREADABLE.values(), ids=_UNREADABLE.keys())
def test_refuses_a_manifest(source: bytes) -> None:
    draft = good()
    draft.base("extra.yaml", "a: 1\n")
    draft.write("manifests/base/extra.yaml", source)

    findings, spent = timed(draft.findings)

    assert "BP-N04" in {each.rule for each in findings}
    assert spent < LIMIT


#: Many files, each of which alone would be harmless.
HEAPS = {
    "large manifests": b"a: [" + b"1," * 49_000 + b"1]\n",
    "middling manifests": b"a: [" + b"1," * 19_000 + b"1]\n",
    "broken manifests": b"a: [" + b"1," * 19_000 + b"*b]\n",
}


def heap_up(draft: Draft, content: bytes) -> None:
    for number in range(20):
        draft.write(f"manifests/base/extra{number}.yaml", content.replace(b"a", b"a%d" % number))


@pytest.mark.parametrize("content", HEAPS.values(), ids=HEAPS.keys())
def test_refuses_a_heap_of_manifests(content: bytes) -> None:
    draft = good()
    heap_up(draft, content)

    findings, spent = timed(draft.findings)

    assert "BP-N04" in {each.rule for each in findings}
    assert spent < LIMIT


def nested(levels: int) -> dict[str, object]:
    schema: dict[str, object] = {"type": "object"}
    for _level in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


SCHEMAS: dict[str, dict[str, object]] = {
    "remote reference": {"type": "object", "$ref": "https://169.254.169.254/latest"},
    "recursion": {"type": "object", "properties": {"a": {"$ref": "#"}}},
    "definitions": {"type": "object", "$defs": {"a": {}}},
    "exponential pattern": {"type": "string", "maxLength": 200, "pattern": "^(a+)+$"},
    "hidden exponential": {"type": "string", "maxLength": 200, "pattern": "^((a|aa)+)*$"},
    "polynomial pattern": {"type": "string", "maxLength": 200, "pattern": "a*a*a*a*a*b"},
    "pattern that compiles for long": {"type": "string", "maxLength": 9, "pattern": "((((a{999}){999}){999}){999})"},
    "deep": nested(4),
    "wide": {"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(61)}},
    "large": {"type": "string", "title": "x" * 33_000},
    "odd types": {"type": {"a": 1}, "properties": 7, "required": {"a": []}, "oneOf": "x"},
    "everything": {"type": "object", "additionalProperties": True, "patternProperties": {".*": {}}},
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_refuses_a_schema(schema: dict[str, object]) -> None:
    draft = good()
    draft.spec["configSchema"]["properties"]["extra"] = schema

    findings, spent = timed(draft.findings)

    assert "BP-S01" in {each.rule for each in findings}
    assert spent < LIMIT


TEXTS = {
    "condition": (lambda draft: draft.spec["depends"][0].update(when="(" * 290), "BP-D05"),
    "template": (lambda draft: draft.spec["depends"][0].update(values={"a": "{{ 7*7 }}"}), "BP-D05"),
    "range": (lambda draft: draft.spec["depends"][0].update(version="1.0.0 || " * 12 + "1.0.0"), "BP-D01"),
    "markdown": (lambda draft: draft.write("card/description.md", "[" * 60_000), "BP-C06"),
    "deep markdown": (
        lambda draft: draft.write("card/description.md", "> " * 9 + "<b>" + "\n" + "> " * 9_000),
        "BP-C06",
    ),
    "script link": (lambda draft: draft.write("card/description.md", "[a](<javascript:x>)\n<a>"), "BP-C06"),
    "icon entities": (
        lambda draft: draft.write("card/icon.svg", '<!DOCTYPE s [<!ENTITY a "b">]><svg>&a;</svg>'),
        "BP-C03",
    ),
    "deep icon": (lambda draft: draft.write("card/icon.svg", "<g>" * 1500), "BP-C03"),
    "long title": (lambda draft: draft.spec["card"].update(title="x" * 60_000), "BP-C01"),
    "random text": (lambda draft: draft.write("README.md", "ab://" * 50_000 + "x:secret@"), "BP-X03"),
}


@pytest.mark.parametrize(("edit", "rule"), TEXTS.values(), ids=TEXTS.keys())
def test_refuses_a_text(edit: Callable[[Draft], object], rule: str) -> None:
    draft = good()
    edit(draft)

    findings, spent = timed(draft.findings)

    assert rule in {each.rule for each in findings}
    assert is_refused(findings)
    assert spent < LIMIT


def test_refuses_links_and_odd_files_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "blueprint.yaml").write_text("a: 1\n")
    (tmp_path / "link.yaml").symlink_to("/etc/hostname")

    with pytest.raises(ContractRefused) as linked:
        read_tree(tmp_path)
    (tmp_path / "link.yaml").unlink()
    (tmp_path / "folder").symlink_to("/etc")
    with pytest.raises(ContractRefused) as linked_folder:
        read_tree(tmp_path)
    (tmp_path / "folder").unlink()
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ContractRefused) as piped:
        read_tree(tmp_path)

    rules = [each.value.findings[0].rule for each in (linked, linked_folder, piped)]
    assert rules == ["BP-M06"] * 3


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "content", "rule"),
    [
        ("blueprint.yaml", DOCUMENTS["alias bomb"], "BP-N04"),
        ("manifests/base/extra.yaml", b"kind: Secret\napiVersion: v1\nmetadata: {name: app-x}\n", "BP-X03"),
        ("README.md", "\u202e".encode(), "BP-N06"),
        ("tests/integration.yaml", b"cases: []\n", "BP-T01"),
    ],
)
def test_a_refused_folder_stores_nothing(tmp_path: Path, path: str, content: bytes, rule: str) -> None:
    root = tmp_path / "blueprints"
    shutil.copytree(SHIPPED, root)
    (root / "platform" / "umami" / path).write_bytes(content)

    with pytest.raises(ContractRefused) as refusal:
        sync_catalog(blueprints_root=root, now=timezone.now())

    assert {each.rule for each in refusal.value.findings} == {rule}
    assert not Plan.objects.exists()
    assert not Blueprint.objects.exists()
    assert not BlueprintVersion.objects.exists()
