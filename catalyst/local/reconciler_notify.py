"""What Flux's notification-controller does: post an event, signed with the Environment's key."""

import hashlib
import hmac
import http.client
import json
from datetime import UTC, datetime
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 10.0


class EventNotTaken(Exception):
    """The event did not arrive; the whole Environment is reported again."""


def kustomization_event(
    *, application: str, environment: str, commit: str, severity: str, reason: str, message: str
) -> dict[str, object]:
    """Return the event of a Flux Kustomization, in the members that the notification-controller sends."""
    return {
        "involvedObject": {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "name": application,
            "namespace": f"env-{environment}",
        },
        "severity": severity,
        "timestamp": datetime.now(UTC).isoformat(),
        "message": message,
        "reason": reason,
        "metadata": {"kustomize.toolkit.fluxcd.io/revision": f"main@sha1:{commit}"},
        "reportingController": "kustomize-controller",
        "reportingInstance": "sandbox",
    }


def post_event(url: str, *, key: str, event: dict[str, object]) -> None:
    """Send one event as a provider of type ``generic-hmac`` does.

    :raises EventNotTaken: any answer but a good one.
    """
    body = json.dumps(event).encode()
    signature = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Signature": f"sha256={signature}"}
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("POST", parts.path, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise EventNotTaken(str(error)) from error
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise EventNotTaken(f"{url} answered {status}.")
