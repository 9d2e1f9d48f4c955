"""The software bill of materials of a Blueprint: what it runs, as CycloneDX.

No time and no serial number stands in it, so that the same Blueprint has the same bill.

Source: CycloneDX 1.5 JSON; package URLs of type ``oci`` (purl specification).
"""

from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _

from catalyst.core.gitops.build import build
from catalyst.core.gitops.yaml import YamlRefused, load_documents
from marketplace.services.blueprint_folder import BlueprintFolder, is_chart
from marketplace.services.blueprint_lint.rendering import render_sample, sample_values
from marketplace.services.oci.artifact import ArtifactRefused, canonical_json, read_json

MAX_SBOM = 512 * 1024


def sbom_of(folder: BlueprintFolder) -> bytes:
    """Write the bill of one Blueprint: itself, its license, and each container image of its manifests."""
    contract = folder.contract
    root = f"{contract.name}@{contract.version}"
    components = [_component(image) for image in dict.fromkeys(sorted(_images_of(folder)))]
    return canonical_json(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {
                "component": {
                    "type": "application",
                    "bom-ref": root,
                    "name": contract.name,
                    "version": contract.version,
                    "licenses": [{"license": {"name": contract.card.license}}],
                }
            },
            "components": components,
            "dependencies": [{"ref": root, "dependsOn": [component["bom-ref"] for component in components]}],
        }
    )


def check_sbom(source: bytes, *, name: str, version: str) -> None:
    """Check that these bytes are a bill of exactly this Blueprint.

    :raises ArtifactRefused: not CycloneDX, or of something else.
    """
    bill = read_json(source, limit=MAX_SBOM)
    bill = bill if isinstance(bill, dict) else {}
    metadata = bill.get("metadata")
    subject = metadata.get("component") if isinstance(metadata, dict) else None
    subject = subject if isinstance(subject, dict) else {}
    found = (bill.get("bomFormat"), subject.get("name"), subject.get("version"))
    if found != ("CycloneDX", name, version):
        raise ArtifactRefused(_("The SBOM is not one of %(name)s %(version)s.") % {"name": name, "version": version})


def _images_of(folder: BlueprintFolder) -> list[str]:
    """Return the images that the manifests name; those of a chart only its objects name, and each size has the same."""
    contract = folder.contract
    if is_chart(contract):
        files = {path: text.encode() for path, text in folder.files.items()}
        config = sample_values(contract.config_schema)
        return _images_in(list(render_sample(contract, files, size="small", config=config, kustomize=build)))
    return [
        image
        for path, text in folder.files.items()
        if contract.manifests_path and path.startswith(f"{contract.manifests_path}/") and path.endswith(".yaml")
        for image in _images(text)
    ]


def _images(text: str) -> list[str]:
    try:
        documents = load_documents(text)
    except YamlRefused:
        return []  # a patch in another dialect runs no image of its own
    return [image for document in documents for image in _images_in(document)]


def _images_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        here = [each for key, each in value.items() if key == "image" and isinstance(each, str)]
        return here + [image for each in value.values() for image in _images_in(each)]
    if isinstance(value, list):
        return [image for each in value for image in _images_in(each)]
    return []


def _component(image: str) -> dict[str, Any]:
    reference, _at, digest = image.partition("@")
    repository, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:  # the colon belongs to a port
        repository, tag = reference, ""
    name = repository.rsplit("/", maxsplit=1)[-1]
    location = f"repository_url={quote(repository, safe='')}" + (f"&tag={quote(tag, safe='')}" if tag else "")
    version = f"@{quote(digest, safe='')}" if digest else ""
    component = {
        "type": "container",
        "bom-ref": image,
        "name": repository,
        "purl": f"pkg:oci/{name}{version}?{location}",
    }
    if tag or digest:
        component["version"] = tag or digest
    return component
