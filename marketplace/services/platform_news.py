"""Which Environments a piece of news is about, and what the platform's repository then says of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog

from catalyst.core.errors import DomainError, Unavailable
from marketplace.services.platform_repository import sync_environment
from tenancy.models import Environment

log = structlog.get_logger(__name__)


def follow_platform(*, payload: Mapping[str, Any], now: datetime) -> None:
    """Bring the repository up to what the rows say by now; an order that makes its Environment finds none yet.

    A refusal is an incident already and heals with the sweep, so the news is not told again.

    :raises Unavailable: the repository cannot be written at the moment; the same news again may succeed.
    """
    for environment in Environment.objects.filter(**_wanted(payload)):
        try:
            sync_environment(environment, now=now)
        except Unavailable:
            raise
        except DomainError as error:
            log.warning("platform_not_followed", environment=environment.name, reason=error.code)


def _wanted(payload: Mapping[str, Any]) -> dict[str, Any]:
    if "environment_id" in payload:
        return {"pk": payload["environment_id"]}
    return {"organization_id": payload["organization"], "env_type": payload["env_type"]}
