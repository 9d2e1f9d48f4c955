"""Read back what an Environment repository says: each Application's intent and its entry of the lock.

The reverse of ``documents``: what was rendered reads as what it was rendered from. Source: gitops.md §2 of the design.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.gitops import yaml
from marketplace.manifests.documents import API_VERSION
from marketplace.manifests.facts import ManifestsRefused
from marketplace.manifests.paths import APPLICATION

LOCK_PATH: Final = ".catalyst/lock.yaml"
#: The files that say what was asked for and what it came to; everything else follows from them.
STATED_PATHS: Final = re.compile(rf"\.catalyst/lock\.yaml|apps/{APPLICATION.pattern}/application\.yaml")

_SPEC: Final = frozenset({"blueprint", "constraint", "size", "config", "bindings", "state", "placement"})
_SIZES: Final = ("small", "medium", "large")
_STATES: Final = ("active", "paused")


@dataclass(frozen=True, slots=True)
class StatedIntent:
    """What ``application.yaml`` asks for. An empty ``size`` or ``state`` was left out."""

    application: str
    blueprint: str
    constraint: str
    size: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    bindings: Mapping[str, str] = field(default_factory=dict)
    state: str = ""


@dataclass(frozen=True, slots=True)
class Stated:
    """One Application as a commit has it: the intent, and the exact version that it resolved to."""

    intent: StatedIntent
    version: str
    source: str
    digest: str
    requested_by: tuple[str, ...]
    bindings: Mapping[str, str]


def read_stated(files: Mapping[str, bytes]) -> dict[str, Stated]:
    """Return every Application of a tree by name; files other than those of ``STATED_PATHS`` are not looked at.

    :raises ManifestsRefused: lock and intents disagree, or one of them is not what the platform writes.
    """
    if LOCK_PATH not in files:
        return {}
    entries = {entry["application"]: entry for entry in _spec(files[LOCK_PATH], "Lock")["applications"]}
    stated = {}
    for name, entry in entries.items():
        path = f"apps/{name}/application.yaml"
        if path not in files:
            raise ManifestsRefused(_("Lock and intent of %(name)s disagree.") % {"name": name})
        stated[name] = Stated(
            intent=read_intent(name, files[path]),
            version=entry["version"],
            source=entry["source"],
            digest=entry["digest"],
            requested_by=tuple(entry.get("requestedBy") or ()),
            bindings=_bound(entry.get("bindings") or {}),
        )
    return stated


def read_intent(application: str, content: bytes) -> StatedIntent:
    """Return what one ``application.yaml`` asks for.

    :raises YamlRefused: it is not YAML of the safe subset; with the line.
    :raises ManifestsRefused: it is not the intent of this Application; with a pointer.
    """
    document = yaml.load(content)
    if not isinstance(document, dict) or document.get("metadata") != {"name": application}:
        raise _wrong(_("metadata.name must be %(name)s, like the folder.") % {"name": application}, "/metadata/name")
    spec = _document_spec(document, "Application")
    if unknown := sorted(set(spec) - _SPEC):
        raise _wrong(_("There is no field %(name)s.") % {"name": unknown[0][:60]}, f"/spec/{unknown[0][:60]}")
    for name in ("blueprint", "constraint"):
        if not isinstance(spec.get(name), str) or not spec[name]:
            raise _wrong(_("%(name)s is missing.") % {"name": name}, f"/spec/{name}")
    _one_of(spec, "size", _SIZES)
    _one_of(spec, "state", _STATES)
    for name in ("config", "bindings"):
        if not isinstance(spec.get(name, {}), dict):
            raise _wrong(_("%(name)s must be a mapping.") % {"name": name}, f"/spec/{name}")
    return StatedIntent(
        application=application,
        blueprint=spec["blueprint"],
        constraint=spec["constraint"],
        size=spec.get("size", ""),
        config=spec.get("config", {}),
        bindings=_bound(spec.get("bindings", {})),
        state=spec.get("state", ""),
    )


def _spec(content: bytes, kind: str) -> dict[str, Any]:
    document = yaml.load(content)
    if not isinstance(document, dict):
        raise _wrong(_("This must be a mapping."), "")
    return _document_spec(document, kind)


def _document_spec(document: Mapping[str, Any], kind: str) -> dict[str, Any]:
    if document.get("apiVersion") != API_VERSION or document.get("kind") != kind:
        raise _wrong(_("This must be a %(kind)s of %(version)s.") % {"kind": kind, "version": API_VERSION}, "/kind")
    spec = document.get("spec")
    if not isinstance(spec, dict) or set(document) != {"apiVersion", "kind", "metadata", "spec"}:
        raise _wrong(_("Exactly apiVersion, kind, metadata and spec are expected."), "/spec")
    return spec


def _one_of(spec: Mapping[str, Any], name: str, known: tuple[str, ...]) -> None:
    if name in spec and spec[name] not in known:
        raise _wrong(
            _("%(name)s must be one of: %(known)s.") % {"name": name, "known": ", ".join(known)}, f"/spec/{name}"
        )


def _bound(bindings: Mapping[str, Any]) -> dict[str, str]:
    bound = {}
    for alias, target in bindings.items():
        if not isinstance(target, dict) or set(target) != {"application"} or not isinstance(target["application"], str):
            raise _wrong(_("A binding names an Application: {application: name}."), f"/spec/bindings/{alias[:60]}")
        bound[alias] = target["application"]
    return bound


def _wrong(message: str, pointer: str) -> ManifestsRefused:
    return ManifestsRefused(message, pointer=pointer)
