"""A paid order in a test's own data folder, with the shipped catalogue and real Git repositories."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pygit2

from catalyst.core import outbox
from catalyst.core.database import execute
from catalyst.core.gitops.repository import BareRepository, Commit, open_repository
from catalyst.core.projections import run_projectors
from marketplace.models import Change
from marketplace.services.changes_repository import repository_path
from marketplace.services.delivery import PaidOrder, deliver_order
from tenancy.models import Environment, Organization, User
from tests.marketplace.catalogue_rows import load_catalogue

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

    def deliver(self, order: PaidOrder | None = None, *, now: datetime = NOW, owner: str = "worker-1") -> Change:
        return deliver_order(order=order or self.order(), owner=owner, now=now)

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
