"""The parts of a change preview, in the form of the API: what moves, what the files become, what dies.

Pure: given the plan and both trees, nothing is read. Source: gitops.md §6 of the design.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from catalyst.core.gitops import yaml
from marketplace.manifests.release import objects_named
from marketplace.models import Application, ApplicationEdit
from marketplace.services.edits_config import schema_of
from marketplace.services.planner_request import ChangePlan

#: For how many days the data of a removed Application stays in the cluster.
DATA_KEPT_DAYS: Final = 14
_MOST_LINES = 200
_MOST_FILES = 300
_VOLUMES: Final = frozenset({"PersistentVolumeClaim"})


def lock_diff(plan: ChangePlan) -> list[dict[str, Any]]:
    """Return every Application whose entry of the lock changes, with the reason."""
    rows = [_lock_line(edit.application, edit, plan) for edit in plan.edits]
    rows += [_line(row.slug, row, "", "", plan, change="added") for row in plan.added]
    return sorted(rows, key=lambda each: each["application"])


def _lock_line(row: Application, edit: ApplicationEdit, plan: ChangePlan) -> dict[str, Any]:
    before = row.blueprint_version
    change = "removed" if edit.removes else "moved" if edit.blueprint_version_id != before.pk else "changed"
    return _line(row.slug, edit, before.version, before.digest, plan, change=change)


def _line(
    name: str, said: Application | ApplicationEdit, version: str, digest: str, plan: ChangePlan, *, change: str
) -> dict[str, Any]:
    after = said.blueprint_version
    is_gone = change == "removed"
    return {
        "application": name,
        "blueprint": after.blueprint.name,
        "source": after.blueprint.source,
        "change": change,
        "version_before": version,
        "version_after": "" if is_gone else after.version,
        "digest_before": digest,
        "digest_after": "" if is_gone else after.digest,
        "is_wish": not said.requested_by,
        "reason": plan.reasons.get(name, ""),
    }


def values_diff(plan: ChangePlan) -> list[dict[str, Any]]:
    """Return the settings whose default or meaning changes with a version: old default, new default, the own value."""
    lines = []
    for edit in plan.edits:
        row = edit.application
        if edit.removes or edit.blueprint_version_id == row.blueprint_version_id:
            continue
        old, new = (schema_of(version)["properties"] for version in (row.blueprint_version, edit.blueprint_version))
        for name in sorted({*old, *new}):
            before, after = (nodes.get(name, {}).get("default") for nodes in (old, new))
            if (name in old) != (name in new) or before != after:
                line = {"application": row.slug, "setting": name, "default_before": before, "default_after": after}
                lines.append({**line, "own": row.config.get(name), "is_known": name in new})
    return lines


def settings_diff(plan: ChangePlan) -> list[dict[str, Any]]:
    """Return what is set otherwise: ``part`` is ``config``, ``size`` or ``state``. Secrets are references."""
    lines = []
    for edit in plan.edits:
        row = edit.application
        if edit.removes:
            continue
        pairs = [("config", name, row.config.get(name), edit.config.get(name)) for name in {*row.config, *edit.config}]
        pairs += [("size", "", row.size, edit.size), ("state", "", row.state, edit.state or row.state)]
        lines += [
            {"application": row.slug, "part": part, "setting": name, "before": before, "after": after}
            for part, name, before, after in sorted(pairs, key=lambda each: each[:2])
            if before != after
        ]
    return lines


def manifest_diff(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what becomes of every file, and the objects that go, volumes in a list of their own."""
    touched = [path for path in sorted({*before, *after}) if before.get(path) != after.get(path)]
    gone = sorted(set(_objects(before)) - set(_objects(after)))
    return {
        "deleted_objects": [f"{kind} {space}/{name}" for kind, space, name in gone if kind not in _VOLUMES],
        "volumes": [f"{space}/{name}" for kind, space, name in gone if kind in _VOLUMES],
        "files": [_file(path, before.get(path), after.get(path)) for path in touched[:_MOST_FILES]],
        "more_files": max(0, len(touched) - _MOST_FILES),
    }


def _file(path: str, before: bytes | None, after: bytes | None) -> dict[str, Any]:
    change = "added" if before is None else "removed" if after is None else "modified"
    old, new = ((content or b"").decode(errors="replace").splitlines() for content in (before, after))
    lines = list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]
    return {"path": path, "change": change, "diff": lines[:_MOST_LINES], "more_lines": max(0, len(lines) - _MOST_LINES)}


def _objects(files: Mapping[str, bytes]) -> Iterator[tuple[str, str, str]]:
    for path, content in files.items():
        if path.startswith("apps/") and path.endswith(("/objects.yaml", "/secrets.yaml", "/release.yaml")):
            yield from objects_named(yaml.load(content))


def blast_radius(plan: ChangePlan, rows: Iterable[Application]) -> list[dict[str, Any]]:
    """Return who depends on what is changed or removed, each with the path down to it."""
    bound = {row.slug: set(row.bindings.values()) for row in rows}
    concerned = [edit.application.slug for edit in plan.edits]
    found = ({"application": name, "paths": _paths(name, bound)} for name in sorted(concerned))
    return [each for each in found if each["paths"]]


def _paths(name: str, bound: Mapping[str, set[str]]) -> list[str]:
    paths, pending = [], [[name]]
    while pending:
        path = pending.pop(0)
        for user in sorted(slug for slug, targets in bound.items() if path[0] in targets and slug not in path):
            paths.append(" → ".join([user, *path]))
            pending.append([user, *path])
    return paths


def data_lost(plan: ChangePlan) -> list[dict[str, Any]]:
    """Return what becomes of the data of each Application that goes."""
    text = _("Its data is kept for %(days)d days after it is gone, then it is deleted for good.")
    return [{"application": name, "text": text % {"days": DATA_KEPT_DAYS}} for name in plan.removed]
