"""Idempotency keys: the same command twice has one effect.

Source: the IETF draft "The Idempotency-Key HTTP Header Field", narrowed by docs/checkout.md, "Attempts".
"""

import hashlib
import json
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from catalyst.core.database import execute
from catalyst.core.errors import DomainError
from catalyst.core.models import IdempotencyKey


class IdempotencyKeyRequired(DomainError):
    code = "idempotency_key_required"
    status = HTTPStatus.BAD_REQUEST


class IdempotencyKeyReused(DomainError):
    code = "idempotency_key_reused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


#: The statement of ``claim``, for a transaction that binds its key together with other rows.
CLAIM = """
INSERT INTO core_idempotencykey (scope, key, fingerprint, subject, response_status, response_body)
VALUES (%(key_scope)s, %(key)s, %(key_fingerprint)s, %(key_subject)s, %(key_status)s, %(key_reply)s::jsonb)
ON CONFLICT (scope, key) DO UPDATE SET subject = excluded.subject,
  response_status = excluded.response_status, response_body = excluded.response_body
WHERE core_idempotencykey.subject = %(key_replaces)s AND core_idempotencykey.fingerprint = excluded.fingerprint
"""


def check_key(key: str | None) -> str:
    """Return a usable key.

    :raises IdempotencyKeyRequired: missing, or not 8 to 128 printable ASCII characters.
    """
    if not key or not 8 <= len(key) <= 128 or not key.isascii() or not key.isprintable():
        raise IdempotencyKeyRequired(_("Send an Idempotency-Key header of 8 to 128 characters, new for each purchase."))
    return key


def fingerprint(*, method: str, path: str, body: Any) -> bytes:
    """Return SHA-256 over method, path and the canonical form of the body."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(f"{method} {path}\n{canonical}".encode()).digest()


def find(*, scope: str, key: str, fingerprint: bytes) -> IdempotencyKey | None:
    """Return the stored key, or None when it is new.

    :raises IdempotencyKeyReused: the key was used for another request.
    """
    stored = IdempotencyKey.objects.filter(scope=scope, key=key).first()
    if stored is not None and bytes(stored.fingerprint) != fingerprint:
        raise IdempotencyKeyReused(_("This Idempotency-Key was used for another request. Use a new one."))
    return stored


def claim(
    *,
    scope: str,
    key: str,
    fingerprint: bytes,
    subject: str,
    replaces: str = "",
    reply: dict[str, Any] | None = None,
) -> bool:
    """Bind the key to ``subject``; call inside the transaction of the effect. Return whether it is ours now.

    A key whose subject came to nothing may be bound again: ``replaces`` names that earlier subject. ``reply`` is what a
    repeat is answered with, when the effect is complete in this transaction.
    """
    parameters = claim_parameters(
        scope=scope, key=key, fingerprint=fingerprint, subject=subject, replaces=replaces, reply=reply
    )
    return bool(execute(CLAIM, parameters, prepared=True))


def claim_parameters(
    *, scope: str, key: str, fingerprint: bytes, subject: str, replaces: str, reply: dict[str, Any] | None
) -> dict[str, Any]:
    """Return what ``CLAIM`` needs; the key is ours when it touched a row."""
    return {
        "key_scope": scope,
        "key": key,
        "key_fingerprint": fingerprint,
        "key_subject": subject,
        "key_status": HTTPStatus.CREATED if reply is not None else None,
        "key_reply": json.dumps(reply) if reply is not None else None,
        "key_replaces": replaces,
    }
