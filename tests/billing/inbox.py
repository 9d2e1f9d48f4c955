"""The processor's way in: a signed webhook, as it stands on the wire."""

from typing import Any

from django.test import Client


def post_event(body: bytes, headers: dict[str, str]) -> Any:
    """Post one webhook and return the answer."""
    client = Client(raise_request_exception=False)
    return client.post("/webhooks/stripe/", body, content_type=headers["Content-Type"], headers=headers)
