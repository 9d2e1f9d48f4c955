"""What rendering needs to know from a ``blueprint.yaml``; the full contract is checked when it is published."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.gitops import yaml
from marketplace.manifests.facts import BlueprintFiles, LockEntry, ManifestsRefused

_FOLDERS: Final = {"Kustomize": "manifests", "HelmChart": "chart"}

BlueprintSet = Mapping[tuple[str, str], BlueprintFiles]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """One Blueprint version: its files and the parts of its document that shape manifests."""

    files: BlueprintFiles
    config_schema: Mapping[str, Any]
    aliases: tuple[str, ...]
    port: int | None  # of its first endpoint
    manifests: str  # folder of the Kustomize base and overlays, or of the chart, without a slash at its end
    is_chart: bool
    overlays: Mapping[str, Any]  # of a chart: the values of each size, and its footprint


def find_blueprint(blueprints: BlueprintSet, entry: LockEntry) -> Blueprint:
    """Return the Blueprint version that a lock entry names.

    :raises ManifestsRefused: it was not handed in, has no manifests, or says it is another one.
    """
    files = blueprints.get((entry.blueprint, entry.version))
    if files is None or "blueprint.yaml" not in files:
        raise _refused(entry, _("its files are not available"))
    document = yaml.load(files["blueprint.yaml"])
    metadata, spec = _mapping(document, "metadata"), _mapping(document, "spec")
    if (metadata.get("name"), metadata.get("version")) != (entry.blueprint, entry.version):
        raise _refused(entry, _("its document names another Blueprint or version"))
    source = _mapping(_mapping(spec, "manifests"), "source")
    folder = source.get("path", _FOLDERS.get(source.get("kind", "")))
    if source.get("kind") not in _FOLDERS or not isinstance(folder, str):
        raise _refused(entry, _("only manifests of kind Kustomize or HelmChart can be rendered"))
    endpoints = _mapping(spec, "exposes").get("endpoints") or [{}]
    return Blueprint(
        files=files,
        config_schema=_mapping(spec, "configSchema"),
        aliases=tuple(str(edge.get("alias")) for edge in spec.get("depends") or ()),
        port=endpoints[0].get("port"),
        manifests=folder.rstrip("/"),
        is_chart=source["kind"] == "HelmChart",
        overlays=_mapping(_mapping(spec, "manifests"), "overlays"),
    )


def _mapping(parent: Any, key: str) -> Mapping[str, Any]:
    value = parent.get(key) if isinstance(parent, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _refused(entry: LockEntry, reason: str) -> ManifestsRefused:
    text = _("%(blueprint)s %(version)s cannot be used: %(reason)s.")
    return ManifestsRefused(text % {"blueprint": entry.blueprint, "version": entry.version, "reason": reason})
