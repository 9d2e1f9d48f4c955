"""Incidents: what no program may decide alone. A difference is written down for a person instead of being guessed away.

One open row for each kind and subject; the same thing seen again counts up, so a bad night is one line, not hundreds.
"""

from django.utils.translation import gettext as _

from catalyst.core.database import execute, fetch_one
from catalyst.core.errors import NotFound

_LONGEST_DETAIL = 2000


def open_incident(*, kind: str, subject: str, detail: str = "") -> int:
    """Open an incident, or count one that is open already, and return its id.

    It joins the caller's transaction when there is one; what is rolled back was not seen.
    """
    row = fetch_one(
        "INSERT INTO core_incident (kind, subject, detail, resolved_by) VALUES (%s, %s, %s, '')"
        " ON CONFLICT (kind, subject) WHERE resolved_at IS NULL"
        " DO UPDATE SET count = core_incident.count + 1, seen_at = now(), detail = excluded.detail RETURNING id",
        [kind, subject, detail[:_LONGEST_DETAIL]],
    )
    assert row is not None
    return int(row[0])


def resolve_incident(*, incident_id: int, actor: str) -> None:
    """Close an incident: somebody looked and acted. Seen again, it opens a new one.

    :raises NotFound: there is no open incident with this id.
    """
    if not execute(
        "UPDATE core_incident SET resolved_at = now(), resolved_by = %s WHERE id = %s AND resolved_at IS NULL",
        [actor, incident_id],
    ):
        raise NotFound(_("There is no open incident with this number."))


def resolve_subject(*, kinds: list[str], subject: str) -> int:
    """Close the open incidents of these kinds about one subject: it has come right by itself. Return how many."""
    return execute(
        "UPDATE core_incident SET resolved_at = now(), resolved_by = 'system'"
        " WHERE kind = ANY (%s) AND subject = %s AND resolved_at IS NULL",
        [kinds, subject],
    )


def resolve_gone(*, kind: str, still: list[str]) -> int:
    """Close the open incidents of a kind whose subject a complete new look did not find again; return how many."""
    return execute(
        "UPDATE core_incident SET resolved_at = now(), resolved_by = 'system'"
        " WHERE kind = %s AND resolved_at IS NULL AND subject <> ALL (%s)",
        [kind, still],
    )
