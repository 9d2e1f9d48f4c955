"""The world of one case of the crash matrix: a shop with one customer, their time, and everything that runs by itself.

What an act has to remember stands in the database or at the processor: the process that runs it may die.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from django.core import mail
from django.db import connection
from django.db.models import QuerySet
from django.test import TransactionTestCase, override_settings
from django.utils import timezone

from billing.models import Account, Invoice, PspCall, StripeEvent, Subscription
from catalyst.core import outbox
from catalyst.core.models import Delivery, Outbox
from tenancy.models import Membership, User
from tests import factories
from tests.billing.changing import stock
from tests.billing.inbox import post_event
from tests.billing.shop import Shop, open_shop
from tests.clock import MovableClock
from tests.conftest import owner_connection
from tests.crash import snapshot
from tests.crash.snapshot import Snapshot
from tests.life.machinery import MONEY_SWEEPS
from tests.stripe_standin import StripeStandIn

#: What is delivered into Git has a crash matrix of its own, and would cost most of a round's time.
_GIT = "marketplace."


class Refused(Exception):
    """A person was told that it did not work, and to try again."""


@dataclass
class Stage:
    """One customer of a shop with a processor; ``second`` is another member of the staff."""

    shop: Shop
    standin: StripeStandIn
    clock: MovableClock
    second: User
    owner: "psycopg.Connection[Any]"
    #: What the processor has to tell at the beginning of a round, signed.
    news: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    _codes: dict[str, str] = field(default_factory=dict)

    @property
    def organization_id(self) -> int:
        return self.shop.organization.pk

    @property
    def subscription(self) -> Subscription:
        """The customer's newest subscription."""
        rows = Subscription.objects.select_related("order", "organization__organization")
        return rows.filter(organization_id=self.organization_id).latest("id")

    @property
    def account(self) -> Account:
        return Account.objects.get(pk=self.organization_id)

    @property
    def invoice(self) -> Invoice:
        """The invoice of the first sale."""
        return Invoice.objects.get(organization_id=self.organization_id, order__isnull=False)

    def code(self, name: str, amount_minor: int) -> str:
        """Return a code that is issued once by this name; call it while preparing."""
        if name not in self._codes:
            self._codes[name] = self.shop.code(self.shop.voucher(amount_minor))
        return self._codes[name]

    def post(self, path: str, body: Any, key: str) -> Any:
        """Press a button of the API.

        :raises Refused: the answer was a server's error, or that the same is being done right now.
        """
        headers = {"Idempotency-Key": uuid.uuid5(uuid.NAMESPACE_URL, key).hex}
        answer = self.shop.calls().post(path, body, **headers)
        if answer.status_code >= 500 or answer.json().get("code") == "checkout_in_progress":
            raise Refused(answer.content.decode())
        return answer

    def advance(self, step: timedelta) -> None:
        """Let time pass for everybody; the processor does what became due."""
        self.clock.advance(step)
        self.standin.clock.advance(0)

    def pass_period(self) -> None:
        """Let the paid period end, a minute ago."""
        ends: datetime = self.subscription.current_period.upper
        self.advance(max(ends - datetime.now(UTC), timedelta()) + timedelta(minutes=1))

    def remember(self) -> Snapshot:
        """Remember this moment."""
        return snapshot.take(self.owner, self.standin, self.clock)

    def restore(self, then: Snapshot) -> None:
        """Come back to a moment."""
        connection.close()
        snapshot.restore(then, self.owner, self.standin, self.clock)

    def collect_news(self) -> None:
        """Take along what the processor has to tell and never could."""
        known = set(StripeEvent.objects.values_list("pk", flat=True))
        self.news = [self.standin.signed(event) for event in self.standin.events() if event["id"] not in known]

    def round(self) -> None:
        """Let the webhooks arrive, every sweep come round, the relay and the consumers work."""
        for body, headers in self.news:
            post_event(body, headers)
        for sweep in MONEY_SWEEPS:
            sweep()
        outbox.relay_once()
        mine = set(_deliveries().values_list("pk", flat=True))
        for delivery_id in outbox.due_deliveries(now=timezone.now(), limit=1000):
            if delivery_id in mine:
                outbox.run_delivery(delivery_id=delivery_id, owner="worker")
        mail.outbox.clear()

    def is_quiet(self) -> bool:
        """Answer whether nothing waits for a worker."""
        return not (
            PspCall.objects.filter(state__in=["requested", "unknown"]).exists()
            or StripeEvent.objects.filter(state="pending").exists()
            or Outbox.objects.filter(sent_at=None).exists()
            or _deliveries().exists()
        )


def _deliveries() -> QuerySet[Delivery]:
    """Return what waits for a consumer of money."""
    return Delivery.objects.filter(state="pending").exclude(consumer__startswith=_GIT)


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Make an empty world: no row of an earlier case, a processor without memory, the real time."""
    TransactionTestCase()._fixture_teardown()  # type: ignore[attr-defined]
    with (
        StripeStandIn(validate=False) as standin,
        override_settings(STRIPE_API_BASE=standin.url),
        owner_connection() as owner,
        MovableClock(owner) as clock,
    ):
        shop = _open_shop(standin)
        second = factories.UserFactory.create(email="second@example.com", staff_role=User.StaffRole.ADMIN)
        yield Stage(shop.with_customer("company"), standin, clock, second, owner)


def _open_shop(standin: StripeStandIn) -> Shop:
    organization = factories.OrganizationFactory.create(slug="acme", name="Acme")
    admin = factories.MembershipFactory.create(organization=organization, role=Membership.Role.ADMIN).user
    shop = open_shop(factories.SovereignFactory.create(), organization, admin)
    shop.standin = standin
    stock(shop)
    shop.configure_processor()
    return shop
