"""What Flux's notification-controller posts, signed with an Environment's key."""

import hashlib
import hmac
import json
from datetime import datetime, timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from tenancy.models import Environment
from tenancy.services.environments import environment_flux_key


def event(environment: Environment, application: str, commit: str, **changes: Any) -> dict[str, Any]:
    """Return the event of an Application that is ready at ``commit``; keywords replace members."""
    parts: dict[str, Any] = {
        "involvedObject": {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "name": application,
            "namespace": f"env-{environment.name}",
        },
        "severity": "info",
        "timestamp": timezone.now().isoformat(),
        "message": "Reconciliation finished",
        "reason": "ReconciliationSucceeded",
        "metadata": {"kustomize.toolkit.fluxcd.io/revision": f"main@sha1:{commit}"},
        "reportingController": "kustomize-controller",
        "reportingInstance": "kustomize-controller-0",
    }
    return parts | changes


def post(environment: Environment, body: bytes, *, key: str = "", digest: str = "sha256", uuid: Any = None) -> Any:
    """Post a body, signed with the Environment's key or another one."""
    secret = key or environment_flux_key(environment)
    signature = hmac.new(secret.encode(), body, getattr(hashlib, digest)).hexdigest()
    return Client().post(
        f"/webhooks/flux/{uuid or environment.uuid}/",
        body,
        content_type="application/json",
        headers={"X-Signature": f"{digest}={signature}"},
    )


def say(environment: Environment, application: str, commit: str, *, ago: float = 0, **changes: Any) -> None:
    """Post one event, ``ago`` seconds old, and expect that it is taken."""
    moment: datetime = timezone.now() - timedelta(seconds=ago)
    body = json.dumps(event(environment, application, commit, timestamp=moment.isoformat(), **changes)).encode()
    assert post(environment, body).status_code == 202
