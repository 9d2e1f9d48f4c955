"""Refuses the hostile corpus of the tests, each thing once, and prints the worst milliseconds of processor time."""

import contextlib
import gzip
import json
from collections.abc import Callable, Iterator
from time import process_time

from catalyst.core.errors import DomainError
from marketplace.services.oci import archive
from marketplace.services.oci.artifact import read_manifest
from marketplace.services.oci.index import read_frames
from tests.marketplace import test_lint_hostile_input as corpus
from tests.marketplace.index_shelf import frame
from tests.marketplace.lint_draft import Draft, good

_DIGEST = f"sha256:{0:064}"
_MIB = 1 << 20
_EXTRA = "manifests/base/extra.yaml"
#: What the tests put into a manifest, an archive's layer, or a pack of an index.
_MANIFESTS = {
    "deep": b'{"a":' * 20_000,
    "long": b"[" + b"1," * 40_000,
    "large": bytes(_MIB),
    "index": b'{"manifests":[]}',
}
_PACKS = {
    "bomb": frame("bp-a", [("1.0.0", _DIGEST)], [(_DIGEST, 6 * _MIB, b"")]) + gzip.compress(bytes(64 * _MIB)),
    "long line": gzip.compress(b'{"name":"' + b"x" * 64 * _MIB),
    "wide": gzip.compress(b'{"name":"bp-a","blobs":[' + b'["a",1],' * 7000 + b'["a",1]],"versions":[]}\n'),
    "nothing": gzip.compress(b"\n" * 8 * _MIB),
}


def main() -> None:
    """Print ``{"worst": ms, "name": which, "count": n}``."""
    good().findings()  # so that the first one does not pay for what is read once
    taken = {name: _timed(judge) for name, judge in _cases()}
    name = max(taken, key=lambda each: taken[each])
    print(json.dumps({"worst": taken[name], "name": name, "count": len(taken)}))


def _timed(judge: Callable[[], object]) -> float:
    started = process_time()
    with contextlib.suppress(DomainError):
        judge()
    return (process_time() - started) * 1000


def _cases() -> Iterator[tuple[str, Callable[[], object]]]:
    for name, packed in corpus.ARCHIVES.items():
        yield f"archive: {name}", lambda packed=packed: corpus.read(packed)  # type: ignore[misc]
        yield f"layer: {name}", lambda packed=packed: archive.unpack(packed)  # type: ignore[misc]
    for name, source in _MANIFESTS.items():
        yield f"artifact: {name}", lambda source=source: read_manifest(source)  # type: ignore[misc]
    for name, pack in _PACKS.items():
        yield f"index: {name}", lambda pack=pack: list(read_frames(pack, is_wanted=lambda *_: True))  # type: ignore[misc]
    for name, edit in _edits():
        draft = good()
        edit(draft)
        yield name, draft.findings


def _edits() -> Iterator[tuple[str, Callable[[Draft], object]]]:
    for name, source in corpus.DOCUMENTS.items():
        yield f"document: {name}", lambda draft, source=source: setattr(draft, "raw", source)  # type: ignore[misc]
    for name, source in corpus._UNREADABLE.items():
        yield f"manifest: {name}", lambda draft, source=source: draft.write(_EXTRA, source)  # type: ignore[misc]
    for name, source in corpus.HEAPS.items():
        yield f"heap: {name}", lambda draft, source=source: corpus.heap_up(draft, source)  # type: ignore[misc]
    for name, schema in corpus.SCHEMAS.items():
        yield f"schema: {name}", lambda draft, schema=schema: _properties(draft).update(extra=schema)  # type: ignore[misc]
    for name, (edit, _rule) in corpus.TEXTS.items():
        yield f"text: {name}", edit


def _properties(draft: Draft) -> dict[str, object]:
    properties: dict[str, object] = draft.spec["configSchema"]["properties"]
    return properties
