"""Give the audit trail of an Organization away, whole: with its hashes, so that whoever has it can check the chain.

The export is itself a row of the trail. Source: surfaces.md §12 of the design ("the export itself audited").
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from catalyst.core.csv_text import write_csv
from catalyst.core.database import use_case
from tenancy.models import AuditEntry, Membership, Organization, User
from tenancy.services.audit import append_audit, organization_stream

#: The columns of the CSV and the members of each JSON entry. ``name`` is empty for who never belonged here.
COLUMNS: Final = ("seq", "at", "actor", "name", "action", "target", "detail", "request_id", "prev_hash", "hash")
_CHUNK: Final = 500
_MARK: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class AuditExport:
    """One export: everything up to ``until``, the row that says that it was made."""

    organization: Organization
    until: int


@use_case
def begin_audit_export(*, organization: Organization, actor: User, form: str) -> AuditExport:
    """Note in the trail who takes it away, and return what is taken; ``form`` is ``csv`` or ``json``."""
    until = append_audit(
        stream=organization_stream(organization),
        actor=actor,
        action="audit.exported",
        target=f"organization:{organization.pk}",
        detail={"format": form},
    )
    return AuditExport(organization, until)


def write_audit_csv(export: AuditExport) -> Iterator[str]:
    """Return the trail as CSV, oldest first, in parts of some hundred rows; text that is a formula is quoted."""
    yield write_csv([COLUMNS])
    for rows in _chunks(export):
        lines = ([row[name] if name != "detail" else _json(row[name]) for name in COLUMNS] for row in rows)
        yield write_csv(lines).removeprefix(_MARK)


def write_audit_json(export: AuditExport) -> Iterator[str]:
    """Return the trail as ``{"entries": […]}``, oldest first, in parts of some hundred entries."""
    yield '{"entries": ['
    is_first = True
    for rows in _chunks(export):
        yield ("" if is_first else ", ") + ", ".join(map(_json, rows))
        is_first = False
    yield "]}"


def _chunks(export: AuditExport) -> Iterator[list[dict[str, Any]]]:
    """Read by key, so that no statement is long and no transaction stays open while somebody downloads."""
    entries = AuditEntry.objects.filter(stream=organization_stream(export.organization), seq__lte=export.until)
    members = Membership.objects.filter(organization=export.organization).select_related("user")
    names = {f"user:{each.user.uuid}": each.user.display_name for each in members}
    last = 0
    while chunk := list(entries.filter(seq__gt=last).order_by("seq")[:_CHUNK]):
        yield [_entry(row, names) for row in chunk]
        last = chunk[-1].seq


def _entry(row: AuditEntry, names: dict[str, str]) -> dict[str, Any]:
    return {
        "seq": row.seq,
        "at": row.at.isoformat(),
        "actor": row.actor,
        "name": names.get(row.actor, ""),
        "action": row.action,
        "target": row.target,
        "detail": row.detail,
        "request_id": row.request_id,
        "prev_hash": bytes(row.prev_hash).hex(),
        "hash": bytes(row.hash).hex(),
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
