"""Applications as a Change that edits them leaves them, before it is committed and after.

Source: docs/delivery.md.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from marketplace.models import Application, ApplicationEdit, Change
from marketplace.selectors.installed import EDITS, current_applications
from marketplace.selectors.version_ranges import is_allowed

#: What an edit says of its Application. Who needs it follows from the bindings, see ``newly_needed``.
FIELDS: Final = ("blueprint_version", "version_range", "size", "config", "bindings")


def edits_of(change: Change) -> list[ApplicationEdit]:
    """Return the edits of one Change in the order of their names."""
    rows = ApplicationEdit.objects.filter(change=change)
    return list(rows.select_related("application", "blueprint_version__blueprint").order_by("application__slug"))


def apply_edits(rows: Iterable[Application], edits: Iterable[ApplicationEdit]) -> set[str]:
    """Let the rows, in memory, be what the edits say; return the names of those that changed in any way."""
    known = {row.pk: row for row in rows}
    changed = set()
    for edit in edits:
        row = known.get(edit.application_id)
        if row is None or edit.removes:
            continue
        if edit.state and edit.state != row.state:
            changed.add(row.slug)
            row.state = edit.state
        if any(getattr(row, name) != getattr(edit, name) for name in FIELDS):
            changed.add(row.slug)
        for name in FIELDS:
            setattr(row, name, getattr(edit, name))
    return changed


def planned_applications(environment_id: int) -> list[Application]:
    """Return the Applications that are to stay, by name, as they are once every waiting Change is committed."""
    rows = list(current_applications(environment_id))
    waiting = Change.objects.filter(environment_id=environment_id, kind__in=EDITS, state=Change.State.COMMITTING)
    for change in waiting.order_by("log_sequence", "created_at", "pk"):
        edits = edits_of(change)
        leaving = {edit.application_id for edit in edits if edit.removes}
        rows = [row for row in rows if row.pk not in leaving]
        apply_edits(rows, edits)
        needed = newly_needed(rows, [edit.application.slug for edit in edits])
        for row in rows:
            row.requested_by = sorted({*row.requested_by, *needed.get(row.slug, ())})
    return rows


def newly_needed(rows: Iterable[Application], slugs: Iterable[str]) -> Mapping[str, set[str]]:
    """Return which Applications are bound to by these ones without knowing it: names by name.

    Whoever needs one no more stays noted there, so that a service and its data go with the Application it came for.
    """
    known = {row.slug: row for row in rows}
    needed: dict[str, set[str]] = {}
    for slug in slugs:
        for bound in known[slug].bindings.values() if slug in known else ():
            if bound in known and slug not in known[bound].requested_by:
                needed.setdefault(bound, set()).add(slug)
    return needed


def find_broken(
    rows: Mapping[str, Application], changed: Iterable[str], before: Mapping[str, tuple[int, Mapping[str, str]]]
) -> tuple[Application, str, Application] | None:
    """Return an Application, the range it asks for, and the one it is bound to whose version is not in it.

    Judged is only what changes: ``before`` holds version and bindings of what stands on ``main``. What binds two that
    both stay is as it was.
    """
    touched = set(changed)
    for slug, row in sorted(rows.items()):
        version, bindings = before.get(slug, (0, {}))
        has_moved = row.blueprint_version_id != version
        for edge in row.blueprint_version.contract.get("spec", {}).get("depends") or ():
            target = rows.get(row.bindings.get(edge["alias"], ""))
            if target is None or not touched & {slug, target.slug}:
                continue
            is_new = has_moved or bindings.get(edge["alias"]) != target.slug
            is_judged = is_new or before.get(target.slug, (0, {}))[0] != target.blueprint_version_id
            if is_judged and not is_allowed(target.blueprint_version.version, edge["version"]):
                return row, f"{edge['blueprint']} {edge['version']}", target
    return None
