"""The audit trail: one row per security or money mutation, in the transaction of the mutation, chained by hash.

Source: docs/security.md, "Audit".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from catalyst.core.database import fetch_one
from tenancy.models import Organization, User

#: The chain of what belongs to no Organization.
SOVEREIGN_STREAM = "sovereign"

_VERIFY = """
WITH chain AS (
  SELECT seq, hash, prev_hash, row_number() OVER (ORDER BY seq) AS position,
         coalesce(lag(hash) OVER (ORDER BY seq), sha256(convert_to(stream, 'UTF8'))) AS previous,
         audit_digest(prev_hash, stream, seq, at, actor, action, target, detail, request_id) AS digest
    FROM tenancy_auditentry WHERE stream = %(stream)s
)
SELECT (SELECT count(*) FROM chain),
       (SELECT min(position) FROM chain WHERE seq <> position OR prev_hash <> previous OR hash <> digest),
       (SELECT hash FROM chain ORDER BY seq DESC LIMIT 1),
       head.last_seq, head.last_hash
  FROM (VALUES (1)) AS one LEFT JOIN tenancy_audithead AS head ON head.stream = %(stream)s
"""


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """``broken_at`` is the first position that does not fit; the one after the last means that the end is missing."""

    entries: int
    broken_at: int | None

    @property
    def is_intact(self) -> bool:
        return self.broken_at is None


def organization_stream(organization: Organization) -> str:
    """Return the name of an Organization's audit chain and event stream."""
    return f"organization:{organization.pk}"


def actor_name(actor: User | str) -> str:
    """Return how the trail names who acted: a person by id, never by an address; a program by its own name."""
    return actor if isinstance(actor, str) else f"user:{actor.uuid}"


#: The statement of ``append_audit``, for a transaction that records itself together with other rows.
APPEND = """
SELECT append_audit(%(audit_stream)s, %(audit_actor)s, %(audit_action)s, %(audit_target)s, %(audit_detail)s::jsonb,
  %(audit_request)s)
"""


def append_audit(
    *,
    stream: str,
    actor: User | str,
    action: str,
    target: str,
    detail: Mapping[str, Any],
    request_id: str = "",
) -> int:
    """Append one row and return its number in the chain; call inside the transaction of what it records.

    ``detail`` holds before and after, never a secret. Without ``request_id`` the one of the log context is taken.
    """
    parameters = audit_parameters(
        stream=stream, actor=actor, action=action, target=target, detail=detail, request_id=request_id
    )
    row = fetch_one(APPEND, parameters, prepared=True)
    assert row is not None
    return int(row[0])


def audit_parameters(
    *,
    stream: str,
    actor: User | str,
    action: str,
    target: str,
    detail: Mapping[str, Any],
    request_id: str = "",
) -> dict[str, Any]:
    """Return what ``APPEND`` needs; the arguments are those of ``append_audit``."""
    return {
        "audit_stream": stream,
        "audit_actor": actor_name(actor),
        "audit_action": action,
        "audit_target": target,
        "audit_detail": json.dumps(dict(detail), cls=DjangoJSONEncoder),
        "audit_request": request_id or str(structlog.contextvars.get_contextvars().get("request_id", "")),
    }


def verify_chain(stream: str) -> ChainVerdict:
    """Recompute one chain from its first row and compare it with the stored hashes and the stored end."""
    with connection.cursor() as cursor:
        cursor.execute(_VERIFY, {"stream": stream})
        entries, broken_at, last_hash, head_seq, head_hash = cursor.fetchone()
    if broken_at is None and (head_seq or 0) != entries:
        broken_at = entries + 1
    if broken_at is None and entries and bytes(last_hash) != bytes(head_hash):
        broken_at = entries
    return ChainVerdict(entries=entries, broken_at=broken_at)
