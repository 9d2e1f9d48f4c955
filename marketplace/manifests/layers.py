"""The files that an Application is built from: a chart with its values, or a folder that kustomize builds.

Of the latter: the Blueprint's base, the overlay of the size, the real values; checked first.

kustomize fetches remote resources and follows paths, so nothing reaches it that was not looked at here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.gitops import yaml
from marketplace.manifests.blueprint import Blueprint
from marketplace.manifests.chart import chart_files, chart_values
from marketplace.manifests.facts import EnvironmentFacts, Intent, LockEntry, ManifestsRefused
from marketplace.manifests.values import VALUES_NAME, application_values, values_file

SIZES: Final = frozenset({"small", "medium", "large"})

_FILE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,60}[a-z0-9])?\.yaml")
_FIELDS: Final = frozenset({"apiVersion", "kind", "resources", "replacements", "patches"})
_KINDS: Final = {"base": "Kustomization", "overlay": "Component"}
_VALUES_SOURCE: Final = {"kind": "ConfigMap", "name": VALUES_NAME}
# "[name=app]" is an unanchored regular expression to kustomize and would also hit "my-app-cron".
_LOOSE_SELECTOR = re.compile(r"\[[^\]=]+=(?!\^[^\]]*\$\])")


@dataclass(frozen=True, slots=True)
class Layers:
    """The ``files`` to build, the host name that they were given, and ``values`` of a chart."""

    files: dict[str, bytes]
    hostname: str
    values: Mapping[str, Any]


def application_layers(
    *,
    environment: EnvironmentFacts,
    entry: LockEntry,
    intent: Intent,
    blueprint: Blueprint,
    ports: Mapping[str, int | None],
    versions: Mapping[str, str],
) -> Layers:
    """Return what one Application is built from; the linter, previews and commits all ask here.

    ``ports`` gives the first port and ``versions`` the version of each Application of the lock.

    :raises ManifestsRefused: the Blueprint's manifests or a value break the contract of docs/blueprint-manifests.md.
    :raises YamlRefused: a value that no file may hold, such as a float.
    """
    if intent.size not in SIZES:
        raise ManifestsRefused(_("%(size)s is not a size.") % {"size": intent.size[:40]})
    facts = application_values(environment=environment, entry=entry, intent=intent, blueprint=blueprint, ports=ports)
    namespace = environment.namespace(entry.application)
    values: dict[str, Any] = {}
    if blueprint.is_chart:
        values = chart_values(
            environment=environment, entry=entry, intent=intent, blueprint=blueprint, facts=facts, versions=versions
        )
        files = chart_files(blueprint=blueprint, entry=entry, namespace=namespace, values=values)
    else:
        files = kustomize_files(blueprint=blueprint, size=intent.size, namespace=namespace, values=values_file(facts))
    return Layers(files, facts["hostname"], values)


def kustomize_files(*, blueprint: Blueprint, size: str, namespace: str, values: bytes) -> dict[str, bytes]:
    """Return the files to build: a generated ``kustomization.yaml`` over ``base`` and ``overlay``.

    :raises ManifestsRefused: the Blueprint's manifests break the contract of docs/blueprint-manifests.md.
    """
    base = _folder(blueprint, "base")
    overlay = _folder(blueprint, f"overlays/{size}")
    if f"{VALUES_NAME}.yaml" not in base:
        raise _refused("base", _("%(name)s is missing") % {"name": f"{VALUES_NAME}.yaml"})
    base[f"{VALUES_NAME}.yaml"] = values
    _check_folder("base", base)
    has_overlay = _check_folder("overlay", overlay)
    top: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": ["base"],
    }
    if has_overlay:  # kustomize refuses a component that changes nothing
        top["components"] = ["overlay"]
    files = {f"base/{name}": content for name, content in base.items()}
    files |= {f"overlay/{name}": content for name, content in overlay.items()}
    return {"kustomization.yaml": yaml.dump_checked(top), **files}


def _folder(blueprint: Blueprint, name: str) -> dict[str, bytes]:
    prefix = f"{blueprint.manifests}/{name}/"
    return {path.removeprefix(prefix): data for path, data in blueprint.files.items() if path.startswith(prefix)}


def _check_folder(role: str, files: Mapping[str, bytes]) -> bool:
    """Check one folder; True when its kustomization does anything."""
    for name in files:
        if not _FILE_NAME.fullmatch(name):
            raise _refused(role, _("%(name)s is not a file name for manifests") % {"name": name[:80]})
    if "kustomization.yaml" not in files:
        raise _refused(role, _("%(name)s is missing") % {"name": "kustomization.yaml"})
    documents = {name: yaml.load_documents(content) for name, content in files.items()}
    top = documents["kustomization.yaml"][0] if documents["kustomization.yaml"] else None
    if not isinstance(top, Mapping) or top.get("kind") != _KINDS[role]:
        raise _refused(role, _("its kind must be %(kind)s") % {"kind": _KINDS[role]})
    if unknown := sorted(set(top) - _FIELDS):
        raise _refused(role, _("the field %(name)s is not allowed") % {"name": unknown[0][:80]})
    _check_names(role, top.get("resources") or (), files)
    patches = top.get("patches") or ()
    _check_fields(role, patches, frozenset({"path", "patch", "target"}))
    _check_names(role, (patch["path"] for patch in patches if "path" in patch), files)
    replacements = top.get("replacements") or ()
    _check_fields(role, replacements, frozenset({"path"}))
    _check_names(role, (item.get("path") for item in replacements), files)
    for item in replacements:
        for document in documents[item["path"]]:
            _check_replacements(role, document)
    return bool(top.get("resources") or patches or replacements)


def _check_names(role: str, names: Iterable[Any], files: Mapping[str, bytes]) -> None:
    for name in names:
        if not isinstance(name, str) or name not in files or name == "kustomization.yaml":
            raise _refused(role, _("%(name)s is not a file of this folder") % {"name": str(name)[:80]})


def _check_fields(role: str, items: Any, allowed: frozenset[str]) -> None:
    for item in items:
        if not isinstance(item, Mapping) or not set(item) <= allowed:
            raise _refused(role, _("an entry has fields that are not allowed: %(entry)s") % {"entry": str(item)[:80]})


def _check_replacements(role: str, document: Any) -> None:
    for item in document if isinstance(document, list) else [document]:
        source = item.get("source") if isinstance(item, Mapping) else None
        if not isinstance(source, Mapping) or {key: source.get(key) for key in _VALUES_SOURCE} != _VALUES_SOURCE:
            raise _refused(role, _("a replacement must read from the ConfigMap catalyst-values"))
        for target in item.get("targets") or ():
            if (target.get("options") or {}).get("create"):
                raise _refused(role, _("a replacement may not create its field, which loses the type"))
            loose = [path for path in target.get("fieldPaths") or () if _LOOSE_SELECTOR.search(str(path))]
            if loose:
                raise _refused(role, _("write %(path)s with [name=^…$]") % {"path": str(loose[0])[:120]})


def _refused(role: str, reason: str) -> ManifestsRefused:
    return ManifestsRefused(_("The manifests (%(role)s) are refused: %(reason)s.") % {"role": role, "reason": reason})
