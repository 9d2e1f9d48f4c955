"""A registry full of signed Blueprints: so many, with so many versions each, made out of one that ships.

Each Blueprint has a name, a title and manifests of its own. Each version has another changelog, and another image where
``images`` says so: then no two of all the manifests are equal, as when every release packs a newer upstream.

``index`` puts them into a catalogue index. It is written without judging them, which the publisher's own command does
and takes hours for: the corpus is made of what ships, and the Sovereign's side is what is measured.
"""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from catalyst.local.embedded import spawn
from catalyst.local.ports import free_port
from marketplace.services.blueprint_folder import BlueprintFolder, check_files, read_folder
from marketplace.services.catalogue_index import push_index
from marketplace.services.oci.artifact import digest_of
from marketplace.services.oci.cosign import build_signatures, payload_of, sign, signature_tag
from marketplace.services.oci.index import Artifact, Head, write_frames
from marketplace.services.oci.keys import public_pem
from marketplace.services.oci.pack import pack
from marketplace.services.oci.registry import Location, Registry
from marketplace.services.ruleset import ruleset

_MODEL = Path(__file__).resolve().parent.parent / "blueprints" / "platform" / "vaultwarden"
_CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}, maintenance: {{uploadpurging: {{enabled: false}}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
#: None looks like another one.
_LETTERS = "abcdefghjk"


@dataclass(frozen=True, slots=True)
class World:
    """What lies in the registry. ``key`` signed all of it."""

    blueprints: int
    versions: int
    images: bool
    key: ec.EllipticCurvePrivateKey

    def public_key(self) -> bytes:
        return public_pem(self.key.public_key()).encode()

    def fill(self, registry: Registry, location: Location) -> None:
        """Publish everything, as quickly as a registry takes it."""
        with ThreadPoolExecutor(4) as pool:
            for _done in pool.map(lambda number: self._publish(registry, location, number), range(self.blueprints)):
                pass

    def index(self, registry: Registry, location: Location, *, serial: int) -> None:
        """Publish all versions as one catalogue index, and no artifact of its own for each."""
        frames = (frame for number in range(self.blueprints) for frame in self._frames(number))
        head = Head(serial, ruleset(), self.blueprints * self.versions)
        push_index(registry, location, head, frames, key=self.key)

    def _frames(self, number: int) -> Iterator[bytes]:
        folders = [self._folder(number, version) for version in range(self.versions)]
        return write_frames(folders[0].contract.name, map(_artifact, folders))

    def _publish(self, registry: Registry, location: Location, number: int) -> None:
        for version in range(self.versions):
            folder = self._folder(number, version)
            packed, repository = pack(folder), location.repository(folder.contract.name)
            text = payload_of(packed.digest, reference=str(location))
            signature, config = build_signatures([(text, sign(text, self.key))])
            for blob in (*packed.blobs, text, config):
                registry.push_blob(repository, blob)
            registry.push_manifest(repository, signature_tag(packed.digest), signature)
            registry.push_manifest(repository, folder.contract.version, packed.manifest)

    def _folder(self, number: int, version: int) -> BlueprintFolder:
        word = ("i" if self.images else "s") + "".join(_LETTERS[int(digit)] for digit in f"{number:05d}")
        model = _model()
        files = dict(model.files)
        upgrades = f'  upgrades: {{from: ["1.{version - 1}.x"]}}\n' if version else ""
        files["blueprint.yaml"] = (
            files["blueprint.yaml"]
            .replace(f"name: {model.contract.name}", f"name: bp-{word}")
            .replace(f"version: {model.contract.version}", f"version: 1.{version}.0")
            .replace(f"title: {model.contract.card.title}", f"title: {word}", 1)
            .replace("  observability:", f"{upgrades}  observability:")
        )
        releases = [f"## [1.{each}.0] - 2026-11-24\n\nUpdates {word} to {each}.\n" for each in range(version + 1)]
        files["CHANGELOG.md"] = "\n".join(reversed(releases))
        path = "manifests/base/deployment.yaml"
        files[path] = f"# {word}\n" + (_other_image(files[path], version) if self.images else files[path])
        if version:
            cases = files["tests/integration.yaml"]
            files["tests/upgrade.yaml"] = cases.replace("  - name:", f"  - from: 1.{version - 1}.x\n    name:")
        return check_files(word, files)


@cache
def _model() -> BlueprintFolder:
    return read_folder(_MODEL)


def _artifact(folder: BlueprintFolder) -> Artifact:
    packed = pack(folder)
    return Artifact(folder.contract.version, packed.manifest, {digest_of(blob): blob for blob in packed.blobs})


@contextmanager
def running_registry(home: Path) -> Iterator[str]:
    """Run Debian's ``docker-registry`` with an empty store and lend its address.

    :raises RuntimeError: it is not installed, or does not start.
    """
    program = shutil.which("docker-registry") or ""
    if not program:
        raise RuntimeError("Install docker-registry first: sh catalyst/local/install.sh registry")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    port = free_port()
    (home / "config.yml").write_text(_CONFIG.format(root=home / "data", port=port))
    process = spawn(
        [program, "serve", home / "config.yml"], log=home / "log", environment={}, death_signal=signal.SIGTERM
    )
    try:
        _wait(process, port)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)
        shutil.rmtree(home, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("docker-registry did not start.")


def _other_image(text: str, version: int) -> str:
    lines = [f"{line}{version}" if line.strip().startswith("image:") else line for line in text.splitlines()]
    return "\n".join(lines) + "\n"
