"""Flux's word, as it comes in: the signature first, then one inbox row for each body. Looking at it comes later.

Source: docs/delivery.md; the Flux documentation on providers of type ``generic-hmac``.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _

from catalyst.core.errors import DomainError
from marketplace.models import FluxMessage
from marketplace.services.cluster_looks import hint
from tenancy.models import Environment
from tenancy.services.environments import environment_flux_key

#: An event that is older, or that far in the future, says nothing about now.
LATEST: Final = timedelta(minutes=15)
_DIGESTS: Final = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
#: Signs nothing: for an Environment that there is not, which must take as long to refuse.
NO_KEY: Final = "0" * 64
_LONGEST_TEXT: Final = 1_000


class SignatureRefused(DomainError):
    """Wrong signature or unknown Environment: both look the same."""

    code = "signature_invalid"
    status = HTTPStatus.UNAUTHORIZED


class EventRefused(DomainError):
    """Correctly signed and still no event of Flux."""

    code = "event_invalid"
    status = HTTPStatus.BAD_REQUEST


class EventTooOld(DomainError):
    """The event's time is more than 15 minutes from now."""

    code = "event_too_old"
    status = HTTPStatus.BAD_REQUEST


def receive_message(*, environment_uuid: UUID, body: bytes, signature: str, now: datetime) -> int | None:
    """Store one notification and return its id; None when the same body was stored before.

    ``signature`` is the header ``X-Signature``: ``sha256=<hex>`` over the raw body. Nothing is parsed before it holds.

    :raises SignatureRefused: not signed with this Environment's key, or there is no such Environment.
    :raises EventRefused: it is no event.
    :raises EventTooOld: its time is too far from now.
    """
    environment = Environment.objects.filter(uuid=environment_uuid).first()
    key = environment_flux_key(environment) if environment else NO_KEY
    if not is_signed(body, signature, key) or environment is None:
        raise SignatureRefused(_("The signature is not valid."))
    event = _parse(body)
    occurred_at = _time_of(event)
    if abs(now - occurred_at) > LATEST:
        raise EventTooOld(_("This event is too old, or a clock is wrong."))
    digest = hashlib.sha256(body).digest()
    # Two copies may arrive at once: the constraint lets one in.
    row, is_new = FluxMessage.objects.get_or_create(
        environment=environment, body_hash=digest, defaults={"payload": _kept(event), "occurred_at": occurred_at}
    )
    hint(environment_id=environment.pk)
    return row.pk if is_new else None


def is_signed(body: bytes, signature: str, key: str) -> bool:
    """Tell whether ``signature`` (``sha256=<hex>``, also sha384 and sha512) is that of the body, in constant time."""
    name, _equals, given = signature.partition("=")
    digest = _DIGESTS.get(name, hashlib.sha256)
    wanted = hmac.new(key.encode(), body, digest).hexdigest()
    is_equal = hmac.compare_digest(wanted.encode(), given.lower().encode(errors="replace"))
    return is_equal and name in _DIGESTS


def _parse(body: bytes) -> Mapping[str, Any]:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise EventRefused(_("The body is no JSON.")) from None
    if not isinstance(event, dict) or not isinstance(event.get("involvedObject"), dict):
        raise EventRefused(_("The body is no event."))
    return event


def _time_of(event: Mapping[str, Any]) -> datetime:
    try:
        moment = datetime.fromisoformat(str(event.get("timestamp")))
    except ValueError:
        raise EventRefused(_("The event has no time.")) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _kept(event: Mapping[str, Any]) -> dict[str, str]:
    """Return what is looked at later, as text that any column can hold."""
    involved = event["involvedObject"]
    metadata = event.get("metadata")
    given = metadata if isinstance(metadata, dict) else {}
    # Flux takes the prefix away before it sends; some releases and the event itself have it.
    revision = given.get("revision") or given.get("kustomize.toolkit.fluxcd.io/revision")
    return {
        "kind": _text(involved.get("kind")),
        "namespace": _text(involved.get("namespace")),
        "name": _text(involved.get("name")),
        "revision": _text(revision),
        "severity": _text(event.get("severity")),
        "reason": _text(event.get("reason")),
        "message": _text(event.get("message")),
    }


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return text[:_LONGEST_TEXT].replace("\x00", "").encode(errors="replace").decode()
