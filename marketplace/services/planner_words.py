"""The first line of a commit that does several things at once. Always English: it stands in Git."""

from collections.abc import Iterable

from marketplace.models import Application, ApplicationEdit
from marketplace.services.edits_config import changed_settings, schema_of
from marketplace.services.edits_plan import named
from marketplace.services.planner_request import ChangePlan, ChangeRequest


def summary_of(plan: ChangePlan, request: ChangeRequest) -> str:
    """Return what a plan does: what was asked first, then what comes or moves with it."""
    parts = [
        _part("install", map(named, sorted(plan.added, key=lambda row: (bool(row.requested_by), row.slug)))),
        _part("upgrade", [_step(edit) for edit in plan.edits if _moves(edit)]),
        *(_settings(edit) for edit in plan.edits if _is_set_anew(edit)),
        _part("pause", [edit.application.slug for edit in plan.edits if edit.state == "paused"]),
        _part("resume", [edit.application.slug for edit in plan.edits if edit.state == "active"]),
        _part("remove", [named(edit.application) for edit in plan.edits if edit.removes]),
        "edit the texts for people" if request.readme is not None or request.code_owners is not None else "",
    ]
    return "; ".join(part for part in parts if part) or "change nothing"


def _part(verb: str, names: Iterable[str]) -> str:
    listed = ", ".join(names)
    return f"{verb} {listed}" if listed else ""


def _moves(edit: ApplicationEdit) -> bool:
    return not edit.removes and edit.blueprint_version_id != edit.application.blueprint_version_id


def _step(edit: ApplicationEdit) -> str:
    before, after = edit.application.blueprint_version, edit.blueprint_version
    return f"{edit.application.slug} ({after.blueprint.name} {before.version} → {after.version})"


def _is_set_anew(edit: ApplicationEdit) -> bool:
    row: Application = edit.application
    said = (edit.config, edit.size, edit.bindings, edit.version_range)
    has_changed = said != (row.config, row.size, row.bindings, row.version_range)
    return not edit.removes and has_changed and not _moves(edit)


def _settings(edit: ApplicationEdit) -> str:
    row: Application = edit.application
    names = changed_settings(schema_of(row.blueprint_version), row.config, edit.config)
    names += [name for name in ("size", "version_range") if getattr(row, name) != getattr(edit, name)]
    return f"configure {row.slug}: {', '.join(names) or 'what it needs'}"
