"""The intent of each call to the processor, committed before the request leaves, and its outcome.

Source: docs/checkout.md, "Recovery": an intent without an outcome is ended only by a look-up, never by a guess.
"""

import hashlib
import json
from typing import Any

from billing.models import PspCall
from catalyst.core.database import execute


def record_intent(
    *,
    organization_id: int,
    op: str,
    key: str,
    params: dict[str, Any],
    checkout_id: Any = None,
    invoice_id: int | None = None,
    credit_note_id: int | None = None,
) -> PspCall:
    """Write the intent of one call; a step, call inside a transaction. The same key twice is the same intent."""
    canonical = json.dumps(params, sort_keys=True, separators=(",", ":")).encode()
    execute(
        "INSERT INTO billing_pspcall (organization_id, checkout_id, invoice_id, credit_note_id, op, idempotency_key,"
        " params, params_sha256, state, first_sent_at, next_action_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s, 'requested', now(), now() + interval '90 seconds')"
        " ON CONFLICT (idempotency_key) DO NOTHING",
        [
            organization_id,
            checkout_id,
            invoice_id,
            credit_note_id,
            op,
            key,
            json.dumps(params),
            hashlib.sha256(canonical).digest(),
        ],
    )
    return PspCall.objects.get(idempotency_key=key)


def resolve(*, key: str, state: str, object_id: str | None = None, http_status: int | None = None) -> bool:
    """Record a definite outcome of a call, once; return whether this call changed anything."""
    return bool(
        execute(
            "UPDATE billing_pspcall SET state = %s, object_id = coalesce(object_id, %s), http_status = %s,"
            " resolved_at = now() WHERE idempotency_key = %s AND state IN ('requested', 'unknown')",
            [state, object_id, http_status, key],
        )
    )


def mark_unknown(*, key: str, next_in_seconds: int = 10) -> None:
    """Record that the call may or may not have happened; the cleaner looks it up."""
    execute(
        "UPDATE billing_pspcall SET state = 'unknown', next_action_at = now() + make_interval(secs => %s)"
        " WHERE idempotency_key = %s AND state IN ('requested', 'unknown')",
        [next_in_seconds, key],
    )


def postpone(*, key: str, seconds: float) -> None:
    """Look again later."""
    execute(
        "UPDATE billing_pspcall SET next_action_at = now() + make_interval(secs => %s) WHERE idempotency_key = %s",
        [seconds, key],
    )
