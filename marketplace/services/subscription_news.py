"""What happens to a subscription happens to its Environment: everything pauses, resumes or goes, by one commit each.

One event makes one Change, however often it arrives, and news that is older than the last word changes nothing.
Source: docs/delivery.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from catalyst.core.database import use_case
from catalyst.core.outbox import Message
from marketplace.models import Application, Change
from marketplace.selectors.installed import current_applications, has_newer_standing
from marketplace.selectors.removal import find_removal
from marketplace.services import changes
from marketplace.services.changes_commit import commit_changes
from tenancy.models import Environment, Organization
from tenancy.services.environments import ensure_environment

log = structlog.get_logger(__name__)

Kind = Change.Kind
_ACTOR: Final = "platform"
_DATA: Final = (
    "Volumes stay in the cluster, and with them databases and files, until the days are over for which removed data is"
    " kept. Everything else is deleted, the copies of its secrets included."
)
#: Why, in the commit. Git speaks English whatever a reader's language is.
_REASONS: Final[Mapping[str, str]] = {
    Kind.PAUSE: "The subscription is suspended because it was not paid. Nothing runs; all data and addresses are kept.",
    Kind.RESUME: "The subscription is paid again.",
    Kind.REMOVE: f"Taken out of the subscription. {_DATA}",
    Kind.OFFBOARD: f"The subscription has ended. {_DATA}",
}


@dataclass(frozen=True, slots=True)
class SubscriptionNews:
    """``cause`` is the event's key, ``log_sequence`` its place in the log, ``remove`` names that go."""

    cause: str
    log_sequence: int
    organization_id: int
    env_type: str
    kind: str
    remove: tuple[str, ...] = ()
    #: Why, in the commit; empty: as the kind says.
    reason: str = ""


def read_news(message: Message) -> SubscriptionNews | None:
    """Return what an event about a subscription asks of its Environment; None when that is nothing."""
    said = message.payload
    remove = tuple(said.get("remove") or ())
    asked = {
        "subscription.suspended": Kind.PAUSE,
        "subscription.resumed": Kind.RESUME if said.get("suspended") else None,
        "subscription.canceled": Kind.OFFBOARD,
        "subscription.changed": Kind.REMOVE if remove else None,
    }[message.topic]
    if asked is None:
        return None
    return SubscriptionNews(message.key, message.sequence, said["organization"], said["env_type"], asked, remove)


def follow_subscription(*, news: SubscriptionNews, owner: str, now: datetime) -> Change | None:
    """Do to the Environment what the news asks, as one commit; None when something newer has replaced it.

    Safe to repeat at any point. When another writer holds the Environment, that one writes this Change too.
    """
    change = plan_change(news=news, now=now)
    if change is None:
        log.info("subscription_news_outdated", cause=news.cause)
        return None
    commit_changes(environment_id=change.environment_id, owner=owner, now=now)
    change.refresh_from_db()
    return change


@use_case
def plan_change(*, news: SubscriptionNews, now: datetime) -> Change | None:
    """Plan the Change that the news asks for; a repetition finds it. None: it is outdated, or comes too late."""
    organization = Organization.objects.get(pk=news.organization_id)
    if _is_over(organization, news):
        return None
    # Also when nothing was installed yet: an order that is delivered late must find what was decided meanwhile.
    ensured = ensure_environment(organization=organization, env_type=news.env_type, actor=_ACTOR, now=now)
    # Plans of one Environment follow each other, installations too.
    environments = Environment.objects.select_related("organization").select_for_update(of=("self",), no_key=True)
    environment = environments.get(pk=ensured.pk)
    planned = Change.objects.filter(cause=news.cause).first()
    if planned is not None:
        return planned
    if news.kind in {Kind.PAUSE, Kind.RESUME}:
        return None if has_newer_standing(environment.pk, news.log_sequence) else _plan(environment, news, [], now=now)
    return _plan_removal(environment, news, now=now)


def _is_over(organization: Organization, news: SubscriptionNews) -> bool:
    """Tell whether the news comes too late, or to an Organization that the staff have stopped.

    What was deleted is not made again for the end of its subscription. A suspended Organization stays paused; when it
    is resumed, what its subscriptions said last counts.
    """
    if news.kind == Kind.RESUME and organization.state != Organization.State.ACTIVE and not news.reason:
        return True
    environments = Environment.every.filter(organization=organization, env_type=news.env_type)
    live = environments.exclude(status=Environment.Status.DELETED)
    return not live.exists() and (environments.exists() or organization.state == Organization.State.DELETED)


def _plan_removal(environment: Environment, news: SubscriptionNews, *, now: datetime) -> Change:
    """Plan what goes. What was ordered after the news, in a later subscription, is not touched by it."""
    rows = list(current_applications(environment.pk))
    of_then = [row.slug for row in rows if row.change.log_sequence <= news.log_sequence]
    wanted = of_then if news.kind == Kind.OFFBOARD else [slug for slug in news.remove if slug in of_then]
    removal = find_removal({row.slug: frozenset(row.requested_by) for row in rows}, wanted)
    if removal.needed and news.kind == Kind.REMOVE:
        log.error("application_still_needed", cause=news.cause, needed=dict(removal.needed), alarm=True)
    gone = [row for row in rows if row.slug in removal.removed]
    change = _plan(environment, news, gone, now=now)
    for row in gone:
        row.removed_by = change
    Application.objects.bulk_update(gone, ["removed_by"])
    released = _released(rows, frozenset(removal.removed))
    Application.objects.bulk_update(released, ["requested_by"])
    return change


def _released(rows: list[Application], gone: frozenset[str]) -> list[Application]:
    """Return the Applications that stay and are needed by fewer now."""
    changed = [row for row in rows if row.slug not in gone and gone & set(row.requested_by)]
    for row in changed:
        row.requested_by = [name for name in row.requested_by if name not in gone]
    return changed


def _plan(environment: Environment, news: SubscriptionNews, gone: list[Application], *, now: datetime) -> Change:
    slugs = sorted(row.slug for row in gone)
    change = Change.objects.create(
        organization=environment.organization,
        environment=environment,
        kind=news.kind,
        cause=news.cause,
        log_sequence=news.log_sequence,
        summary=_summary(news.kind, slugs),
        reason=news.reason or _REASONS[news.kind],
        deadline_at=now + changes.DEADLINE,
    )
    changes.publish(change, "change.created", applications=slugs, summary=change.summary)
    return change


def _summary(kind: str, slugs: list[str]) -> str:
    if kind in {Kind.PAUSE, Kind.RESUME}:
        return f"{kind} all Applications"
    return f"remove {', '.join(slugs)}" if slugs else "remove nothing"
