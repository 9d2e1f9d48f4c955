"""Catalogue indexes as a publisher writes them, and as somebody does who wants to be believed."""

import gzip
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from marketplace.services.blueprint_folder import BlueprintFolder, check_files, read_folder
from marketplace.services.catalogue_index import push_index
from marketplace.services.oci.artifact import build_manifest, canonical_json, digest_of
from marketplace.services.oci.index import CONFIG, INDEX, PACK, TAG, Artifact, Head, write_frames
from marketplace.services.oci.pack import pack
from marketplace.services.oci.registry import Registry
from marketplace.services.publish_blueprint import push_signature
from marketplace.services.ruleset import ruleset
from tests.marketplace.oci_shelf import Shelf, make_folder


class Counting(Registry):
    """Writes down what is asked for."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked: list[str] = []

    def _send(self, method: str, path: str, **words: Any) -> Any:
        self.asked.append(path)
        return super()._send(method, path, **words)


def folders_of(root: Path, versions: int = 2, **replaced: str) -> list[BlueprintFolder]:
    """Make releases of one Blueprint that may follow each other: another image, another changelog each."""
    made = []
    for minor in range(versions):
        upgrades = {"  observability:": f'  upgrades: {{from: ["1.{minor - 1}.x"]}}\n  observability:'} if minor else {}
        folder = read_folder(make_folder(root / str(minor), version=f"1.{minor}.0", **upgrades, **replaced))
        made.append(with_files(folder, {"CHANGELOG.md": f"## 1.{minor}.0\n\nNews.\n".__add__}))
    return made


def with_files(folder: BlueprintFolder, changes: Mapping[str, Callable[[str], str]]) -> BlueprintFolder:
    """Return a folder with other texts."""
    files = dict(folder.files)
    for path, change in changes.items():
        files[path] = change(files.get(path, ""))
    return check_files(folder.contract.name.removeprefix("bp-"), files)


def artifact_of(folder: BlueprintFolder) -> Artifact:
    made = pack(folder)
    return Artifact(folder.contract.version, made.manifest, {digest_of(blob): blob for blob in made.blobs})


def publish_index(
    shelf: Shelf,
    folders: Iterable[BlueprintFolder],
    *,
    serial: int = 1,
    rules: str = "",
    key: ec.EllipticCurvePrivateKey | None = None,
) -> str:
    """Publish an index that nobody judged; return its digest."""
    named: dict[str, list[Artifact]] = {}
    for folder in folders:
        named.setdefault(folder.contract.name, []).append(artifact_of(folder))
    frames = [frame for name in sorted(named) for frame in write_frames(name, named[name])]
    head = Head(serial, rules or ruleset(), sum(map(len, named.values())))
    return push_index(shelf.registry, shelf.location, head, frames, key=key or shelf.key)


def forge_index(shelf: Shelf, *packs: bytes, config: bytes = b"", is_signed: bool = True) -> str:
    """Publish any bytes as the packs of an index that the trusted key signed."""
    repository = shelf.location.repository(INDEX)
    config = config or canonical_json({"serial": 1, "rules": ruleset(), "versions": 1})
    manifest = build_manifest(config, [(PACK, each) for each in packs], config_type=CONFIG)
    for blob in (config, *packs):
        shelf.registry.push_blob(repository, blob)
    digest = digest_of(manifest)
    shelf.registry.push_manifest(repository, digest, manifest)
    if is_signed:
        push_signature(shelf.registry, repository, digest, key=shelf.key, reference=str(shelf.location))
    shelf.registry.push_manifest(repository, TAG, manifest)
    return digest


def frame(name: str, versions: Sequence[tuple[str, str]], blobs: Sequence[tuple[str, int, bytes]]) -> bytes:
    """Write one squeezed frame that says whatever it is told to."""
    header = {
        "name": name,
        "versions": [list(each) for each in versions],
        "blobs": [[digest, size] for digest, size, _content in blobs],
    }
    body = b"".join(content for _digest, _size, content in blobs)
    return gzip.compress(canonical_json(header) + b"\n" + body, mtime=0)


def blobs_of(folder: BlueprintFolder) -> list[tuple[str, int, bytes]]:
    """List the blobs of an honest frame with one version, its manifest first."""
    made = pack(folder)
    return [(digest_of(each), len(each), each) for each in dict.fromkeys((made.manifest, *made.blobs))]
