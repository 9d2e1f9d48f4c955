"""What happens to an Organization happens to all its Environments: they pause when the staff suspend it, and resume.

One event makes one Change for each Environment. What its own subscription stopped stays stopped. Source: docs/jobs.md.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import structlog

from catalyst.core.outbox import Message
from marketplace.models import Change
from marketplace.services import subscription_news
from marketplace.services.event_place import is_unpaid
from tenancy.models import Environment, Organization

log = structlog.get_logger(__name__)

_KINDS: Final[Mapping[str, str]] = {
    "organization.suspended": Change.Kind.PAUSE,
    "organization.resumed": Change.Kind.RESUME,
}
_REASONS: Final[Mapping[str, str]] = {
    Change.Kind.PAUSE: "The Organization is suspended. Nothing runs; all data and addresses are kept.",
    Change.Kind.RESUME: "The Organization is resumed.",
}


def follow_organization(message: Message, *, owner: str, now: datetime) -> list[Change]:
    """Pause or resume every Environment of an Organization; return the Changes. Safe to repeat at any point."""
    kind = _KINDS[message.topic]
    organization = Organization.objects.get(pk=message.payload["organization_id"])
    if kind == Change.Kind.RESUME and organization.state != Organization.State.ACTIVE:
        return []  # stopped again meanwhile: a later event says so
    environments = Environment.objects.filter(organization=organization).order_by("pk")
    made = []
    for environment in environments.exclude(status=Environment.Status.DELETING).select_related("organization"):
        if kind == Change.Kind.RESUME and is_unpaid(environment, before=message.sequence):
            log.info("environment_stays_paused", environment=environment.name)
            continue
        news = _news(message, environment, kind)
        change = subscription_news.follow_subscription(news=news, owner=owner, now=now)
        made += [change] if change is not None else []
    return made


def _news(message: Message, environment: Environment, kind: str) -> subscription_news.SubscriptionNews:
    return subscription_news.SubscriptionNews(
        # One event, one Change for each Environment.
        cause=f"{message.key}:{environment.pk}",
        log_sequence=message.sequence,
        organization_id=environment.organization_id,
        env_type=environment.env_type,
        kind=kind,
        reason=_REASONS[kind],
    )
