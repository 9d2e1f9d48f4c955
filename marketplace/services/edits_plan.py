"""From a Lock to edits: what becomes of each Application that stands, and which services come along.

Source: docs/delivery.md; blueprints.md §5 of the design.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from marketplace.models import Application, ApplicationEdit, BlueprintVersion
from marketplace.selectors.dependencies import Lock, LockEntry
from marketplace.services.delivery_plan import compatible_range, find_versions, ranges_of, version_key
from marketplace.services.edits import EditPlan
from tenancy.models import Environment


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants of one Application; empty means as it is."""

    range: str = ""
    size: str = ""
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    """What a plan makes of the Applications, before it has a summary."""

    edits: list[ApplicationEdit] = field(default_factory=list)
    added: list[Application] = field(default_factory=list)

    def with_summary(self, rows: Iterable[Application], summary: str) -> EditPlan:
        return EditPlan(self.edits, self.added, rows_after(rows, self), summary)


def edit_rows(environment: Environment, rows: Iterable[Application], lock: Lock, wishes: Mapping[str, Wish]) -> Edited:
    """Compare what runs with a Lock and with what a person wants. What the Lock does not hold any more stays."""
    known = {row.slug: row for row in rows}
    versions = find_versions([entry.candidate for entry in lock.entries if _is_other(entry, known)], environment)
    ranges = ranges_of(lock)
    edited = Edited()
    for entry in lock.entries:
        row = known.get(entry.application)
        version = versions[version_key(entry.candidate)] if _is_other(entry, known) else None
        if row is None:
            assert version is not None
            edited.added.append(_new_row(environment, entry, version, ranges, wishes.get(entry.application, Wish())))
        elif edit := _edit(row, entry, version, wishes.get(row.slug, Wish()), ranges):
            edited.edits.append(edit)
    return edited


def rows_after(rows: Iterable[Application], edited: Edited) -> list[Application]:
    """Return copies of all Applications as they would be, for what must be known before anything is written."""
    edits = {edit.application_id: edit for edit in edited.edits}
    leaving = {edit.application_id for edit in edited.edits if edit.removes}
    after = [_copy(row, edits.get(row.pk)) for row in rows if row.pk not in leaving]
    return [*after, *edited.added]


def named(row: Application) -> str:
    """Return a new Application as a commit's first line names it."""
    return f"{row.slug} ({row.blueprint_version.blueprint.name} {row.blueprint_version.version})"


def _copy(row: Application, edit: ApplicationEdit | None) -> Application:
    said = edit or row
    return Application(
        pk=row.pk,
        organization_id=row.organization_id,
        environment_id=row.environment_id,
        change=row.change,
        is_protected=row.is_protected,
        state=(edit.state if edit else "") or row.state,
        slug=row.slug,
        blueprint_version=said.blueprint_version,
        version_range=said.version_range,
        size=said.size,
        config=said.config,
        bindings=said.bindings,
        requested_by=said.requested_by,
    )


def _is_other(entry: LockEntry, known: Mapping[str, Application]) -> bool:
    row = known.get(entry.application)
    return row is None or row.blueprint_version.version != entry.candidate.version


def _new_row(
    environment: Environment, entry: LockEntry, version: BlueprintVersion, ranges: Mapping[str, str], wish: Wish
) -> Application:
    return Application(
        organization_id=environment.organization_id,
        environment=environment,
        slug=entry.application,
        blueprint_version=version,
        version_range=wish.range or ranges.get(entry.application) or compatible_range(version.version),
        size=wish.size or "small",
        config=dict(wish.config or {}),
        bindings=dict(entry.bindings),
        requested_by=list(entry.requested_by),
    )


def _edit(
    row: Application, entry: LockEntry, version: BlueprintVersion | None, wish: Wish, ranges: Mapping[str, str]
) -> ApplicationEdit | None:
    """Return the edit of one row, None when it stays as it is. That others need it too is no edit."""
    kept = row.version_range if not row.requested_by else ranges.get(row.slug, row.version_range)
    config = row.config if wish.config is None else dict(wish.config)
    edit = ApplicationEdit(
        organization_id=row.organization_id,
        application=row,
        blueprint_version=version or row.blueprint_version,
        version_range=wish.range if wish.range and not row.requested_by else kept if version else row.version_range,
        size=wish.size or row.size,
        config=_known(config, version) if version else config,
        bindings=dict(entry.bindings),
        requested_by=sorted({*row.requested_by, *entry.requested_by}),
    )
    is_same = all(
        getattr(edit, name) == getattr(row, name)
        for name in ("blueprint_version_id", "version_range", "size", "config", "bindings")
    )
    return None if is_same else edit


def _known(config: Mapping[str, Any], version: BlueprintVersion) -> dict[str, Any]:
    """Return what the new version still knows of a configuration: what it has given up means nothing to it."""
    schema = version.contract.get("spec", {}).get("configSchema") or {}
    names = {name for branch in (schema, *(schema.get("oneOf") or ())) for name in branch.get("properties") or ()}
    return {name: value for name, value in config.items() if name in names}
