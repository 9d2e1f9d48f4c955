"""A paid order in a test's own data folder, with the shipped catalogue and real Git repositories."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pygit2

from catalyst.core import outbox
from catalyst.core.database import execute
from catalyst.core.gitops.repository import BareRepository, Commit, open_repository
from catalyst.core.outbox import Message
from catalyst.core.projections import run_projectors
from marketplace.models import ApplicationStatus, Change
from marketplace.services.changes_repository import repository_path
from marketplace.services.changes_sweep import settle_changes
from marketplace.services.delivery import PaidOrder, deliver_order
from marketplace.services.flux_observe import process_messages
from marketplace.services.subscription_news import follow_subscription, read_news
from tenancy.models import Environment, Organization, User
from tests.marketplace.catalogue_rows import load_catalogue
from tests.marketplace.flux_words import say

NOW = datetime(2026, 11, 23, 12, 0, 0, 654321, tzinfo=UTC)
LATER = NOW + timedelta(minutes=3)


@dataclass
class Desk:
    """The place where orders of one Organization are delivered."""

    organization: Organization
    buyer: User

    def order(self, number: str = "OMN-2026-000001", *blueprints: str, **config: Any) -> PaidOrder:
        chosen = blueprints or ("bp-wordpress",)
        return PaidOrder(number, self.organization.pk, self.buyer.pk, "prod", chosen, config)

    def order_at(self, log_sequence: int, number: str = "OMN-2026-000001", *blueprints: str) -> PaidOrder:
        """Return an order whose event stands at this place of the log."""
        return replace(self.order(number, *blueprints), log_sequence=log_sequence)

    def deliver(self, order: PaidOrder | None = None, *, now: datetime = NOW, owner: str = "worker-1") -> Change:
        return deliver_order(order=order or self.order(), owner=owner, now=now)

    def tell(
        self, topic: str, sequence: int, *, now: datetime = LATER, owner: str = "worker-1", **said: Any
    ) -> Change | None:
        """Tell what happened to the subscription: ``subscription.<topic>`` at this place of the log."""
        news = read_news(self.event(topic, sequence, **said))
        assert news is not None
        return follow_subscription(news=news, owner=owner, now=now)

    def event(self, topic: str, sequence: int, **said: Any) -> Message:
        payload = {"subscription": 12, "organization": self.organization.pk, "env_type": "prod", "suspended": True}
        name = f"subscription.{topic}"
        return Message(sequence, name, f"{name}:12:{sequence}", "", {**payload, **said}, NOW, sequence)

    def tree(self) -> dict[str, bytes]:
        return self.repository().read_tree(self.environment().head_commit)

    def statuses(self) -> dict[str, str]:
        """Return what pages show of each Application."""
        publish_events()
        return dict(ApplicationStatus.objects.order_by("application").values_list("application", "status"))

    def cluster_says(self, commit: str, *slugs: str, **changes: Any) -> None:
        """Post Flux's word on these Applications at a commit, and follow it to its end."""
        for slug in slugs:
            say(self.environment(), slug, commit, **changes)
        process_messages()
        publish_events()
        settle_changes(now=LATER, environment_id=self.environment().pk)
        publish_events()

    def environment(self) -> Environment:
        return Environment.objects.select_related("organization").get(organization=self.organization, env_type="prod")

    def repository(self) -> BareRepository:
        return open_repository(repository_path(self.environment()))

    def history(self) -> list[Commit]:
        """Return the commits of main, oldest first."""
        repository = self.repository()
        head = repository.head()
        return list(repository.log_first_parent(head))[::-1] if head else []

    def commit_objects(self) -> list[str]:
        """Return every commit object there is, also those that no branch names."""
        raw = pygit2.Repository(str(self.repository().path))
        return sorted(str(sha) for sha in raw if isinstance(raw[sha], pygit2.Commit))


def open_desk(organization: Organization, buyer: User) -> Desk:
    load_catalogue()
    return Desk(organization, buyer)


def end_leases() -> None:
    """Let the time pass that leases and pauses last."""
    execute("UPDATE tenancy_environment SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL")
    execute("UPDATE marketplace_change SET next_action_at = now() - interval '1 second'")


def publish_events() -> None:
    """Give the events their place in the log and fold them."""
    outbox.relay_once()
    run_projectors()
