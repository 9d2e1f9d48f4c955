"""A checked Blueprint folder as an artifact, and an artifact back as a checked folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext as _

from marketplace.services.blueprint_contract import Contract, parse_contract
from marketplace.services.blueprint_folder import BlueprintFolder, check_files, is_chart
from marketplace.services.oci import archive
from marketplace.services.oci.artifact import (
    CHART,
    CONFIG,
    CONTENT,
    CONTRACT,
    FOLDER,
    LAYERS,
    MAX_LAYERS,
    SBOM,
    ArtifactRefused,
    Descriptor,
    Manifest,
    build_manifest,
    digest_of,
)
from marketplace.services.oci.sbom import check_sbom, sbom_of

_CONTRACT_PATH = "blueprint.yaml"
_EMPTY_CONFIG = b"{}"


@dataclass(frozen=True, slots=True)
class Packed:
    """An artifact ready to be pushed: its manifest's bytes and digest, and the blobs that it names."""

    manifest: bytes
    digest: str
    blobs: tuple[bytes, ...]


def pack(folder: BlueprintFolder) -> Packed:
    """Pack a checked folder; the same files give the same digest, on every machine and at any time."""
    contract = folder.contract
    content = {path: text for path, text in folder.files.items() if _is_content(path, contract.manifests_path)}
    others = {path: text for path, text in folder.files.items() if path not in content and path != _CONTRACT_PATH}
    kind = CONTENT
    if is_chart(contract):
        kind, content = CHART, _moved(content, contract.manifests_path, contract.name)
    layers = [(CONTRACT, folder.files[_CONTRACT_PATH].encode())]
    layers += [(kind, archive.pack(files)) for kind, files in ((kind, content), (FOLDER, others)) if files]
    layers.append((SBOM, sbom_of(folder)))
    manifest = build_manifest(_EMPTY_CONFIG, layers)
    if sum(len(blob) for _kind, blob in layers) > MAX_LAYERS:
        raise ArtifactRefused(_("The Blueprint is larger than %(limit)d bytes.") % {"limit": MAX_LAYERS})
    return Packed(manifest, digest_of(manifest), (_EMPTY_CONFIG, *(blob for _kind, blob in layers)))


def check_packable(path: Path, folder: BlueprintFolder) -> None:
    """Check that nothing of the folder on disk would stay behind.

    :raises ArtifactRefused: a file is of a kind that artifacts do not carry yet, such as pictures and packed charts.
    """
    left = sorted(
        file.relative_to(path).as_posix()
        for file in path.rglob("*")
        if not file.is_dir() and file.relative_to(path).as_posix() not in folder.files
    )
    if left:
        words = {"path": ", ".join(left[:5])}
        raise ArtifactRefused(_("Artifacts carry texts only; remove what would stay behind: %(path)s.") % words)


def unpack(manifest: Manifest, *, name: str, version: str, fetch: Callable[[Descriptor], bytes]) -> BlueprintFolder:
    """Read a verified artifact and lint what is in it.

    ``fetch`` gives the bytes of a descriptor, of that digest and size; ``name`` and ``version`` are what the repository
    and the tag promise.

    :raises ArtifactRefused: other layers than a Blueprint has, too large, a bad archive, or another name or version.
    :raises ContractRefused: the Blueprint breaks the contract.
    """
    layers = _layers(manifest)
    bill = fetch(layers[SBOM])
    contract, files = _texts(layers, fetch)
    folder = check_files(name.removeprefix("bp-"), files, contract=contract)
    if folder.contract.version != version:
        words = {"version": folder.contract.version, "tag": version}
        raise ArtifactRefused(_("The tag says %(tag)s, and the Blueprint inside is %(version)s.") % words)
    check_sbom(bill, name=name, version=version)
    return folder


def _layers(manifest: Manifest) -> dict[str, Descriptor]:
    """Sort the layers by kind before a single one is fetched."""
    kinds = [layer.media_type for layer in manifest.layers]
    is_known = manifest.config.media_type == CONFIG and set(kinds) <= set(LAYERS) and len(set(kinds)) == len(kinds)
    if not is_known:
        raise ArtifactRefused(_("The artifact has other parts than a Blueprint has."))
    for kind, what in ((CONTRACT, "blueprint.yaml"), (SBOM, _("the SBOM"))):
        if kind not in kinds:
            raise ArtifactRefused(_("The artifact lacks %(what)s.") % {"what": what})
    if sum(layer.size for layer in manifest.layers) > MAX_LAYERS:
        raise ArtifactRefused(_("The Blueprint is larger than %(limit)d bytes.") % {"limit": MAX_LAYERS})
    return {layer.media_type: layer for layer in manifest.layers}


def _texts(layers: dict[str, Descriptor], fetch: Callable[[Descriptor], bytes]) -> tuple[Contract, dict[str, str]]:
    try:
        files = {_CONTRACT_PATH: fetch(layers[CONTRACT]).decode()}
    except UnicodeDecodeError:
        raise ArtifactRefused(_("blueprint.yaml is not UTF-8.")) from None
    contract = parse_contract(files[_CONTRACT_PATH].encode())
    wanted = CHART if is_chart(contract) else CONTENT
    for kind in (CONTENT, CHART, FOLDER):
        if kind not in layers:
            continue
        texts = archive.unpack(fetch(layers[kind]))
        texts = _moved(texts, contract.name, contract.manifests_path) if kind == CHART else texts
        # What Flux takes is the one layer of that kind: the manifests are there, and all of them.
        if kind != wanted and (kind != FOLDER or any(_is_content(path, contract.manifests_path) for path in texts)):
            raise ArtifactRefused(_("The manifests lie in another layer than this kind of Blueprint has them in."))
        taken = {path.casefold() for path in files}
        for path, text in texts.items():
            if path.casefold() in taken:
                raise ArtifactRefused(_("%(path)s stands in two layers.") % {"path": path})
            files[path] = text
    if len(files) > archive.MAX_FILES:
        raise ArtifactRefused(_("The archive holds more than %(limit)d files.") % {"limit": archive.MAX_FILES})
    return contract, files


def _moved(files: Mapping[str, str], old: str, new: str) -> dict[str, str]:
    """Return the files of one folder as those of another. In the archive of a chart that is the chart's name.

    :raises ArtifactRefused: something lies beside the folder, or it has no new name.
    """
    if not new or any(not path.startswith(f"{old}/") for path in files):
        raise ArtifactRefused(_("The chart layer holds more than the folder %(name)s.") % {"name": old})
    return {f"{new}/{path.removeprefix(f'{old}/')}": text for path, text in files.items()}


def _is_content(path: str, manifests_path: str) -> bool:
    return bool(manifests_path) and path.startswith(f"{manifests_path}/")
