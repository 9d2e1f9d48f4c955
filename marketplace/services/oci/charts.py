"""The chart of an artifact by its digest, as Flux fetches it: from the registry, or from what was registered of it."""

from django.utils.translation import gettext as _

from marketplace.models import BlueprintVersion
from marketplace.services.oci import archive
from marketplace.services.oci.artifact import CHART, ArtifactRefused, read_manifest
from marketplace.services.oci.registry import Registry, RegistryUnavailable


def fetch_chart(repository: str, digest: str) -> dict[str, bytes]:
    """Return the files of a chart by their path in it. A registry that is away loses nothing that came from it before.

    ``repository`` has its host: ``registry.example.om/catalog/bp-wiki``.

    :raises ArtifactRefused: the registry has no such chart, or other bytes.
    :raises RegistryUnavailable: it does not answer, and the chart was never registered.
    """
    host, _slash, path = repository.partition("/")
    try:
        texts = _from_registry(Registry(host), path, digest)
    except RegistryUnavailable:
        version = BlueprintVersion.objects.filter(reference=repository, digest=digest).first()
        if version is None:
            raise
        folder = f"{version.contract['spec']['manifests']['source'].get('path', 'chart').rstrip('/')}/"
        texts = {path.removeprefix(folder): text for path, text in version.files.items() if path.startswith(folder)}
    return {path: text.encode() for path, text in texts.items()}


def _from_registry(registry: Registry, path: str, digest: str) -> dict[str, str]:
    source = registry.manifest(path, digest)
    layers = read_manifest(source).layers if source is not None else ()
    layer = next((each for each in layers if each.media_type == CHART), None)
    if layer is None:
        raise ArtifactRefused(_("The registry has no chart with this digest."))
    texts = archive.unpack(registry.blob(path, layer.digest, size=layer.size))
    return {name.partition("/")[2]: text for name, text in texts.items()}
