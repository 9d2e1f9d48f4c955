"""A customer who bought from credit, and time that passes for their subscription."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from billing.models import Account, Invoice, LedgerEntry, Subscription, SubscriptionEvent
from billing.services import subscription_sweep
from billing.services.subscriptions import lock_with_account, mark_past_due, move
from billing.services.wallet import redeem_to_balance
from catalyst.core import outbox
from catalyst.core.database import execute
from catalyst.core.models import Delivery, Outbox
from tests.billing.shop import PLAN_MINOR, Shop

DAY = timedelta(days=1)


@dataclass
class Customer:
    """One Organization with one subscription that is paid from credit."""

    shop: Shop
    subscription: Subscription

    @property
    def ends(self) -> datetime:
        """When the paid period ends."""
        self.subscription.refresh_from_db()
        ends: datetime = self.subscription.current_period.upper
        return ends

    @property
    def state(self) -> str:
        self.subscription.refresh_from_db()
        return self.subscription.state

    def sweep(self, now: datetime) -> None:
        """Let the clock show ``now`` and beat come round."""
        subscription_sweep.sweep_subscriptions(now=now)

    def redeem(self, amount_minor: int) -> None:
        """Put more credit into the balance."""
        add_credit(self.shop, amount_minor)

    def available(self) -> int:
        account = Account.objects.get(pk=self.shop.organization.pk)
        return account.posted_minor - account.held_minor

    def invoices(self) -> list[tuple[str, int]]:
        rows = Invoice.objects.filter(subscription=self.subscription, order=None).order_by("period")
        return list(rows.values_list("state", "total_minor"))

    def spends(self) -> list[int]:
        mine = LedgerEntry.objects.filter(organization_id=self.shop.organization.pk, kind="invoice_spend")
        return list(mine.order_by("seq").values_list("amount_minor", flat=True))

    def history(self) -> list[str]:
        rows = SubscriptionEvent.objects.filter(subscription=self.subscription).order_by("seq")
        return [f"{row.from_state} > {row.to_state}" for row in rows]

    def events(self, topic: str) -> list[dict[str, Any]]:
        mine = Outbox.objects.filter(topic=topic, payload__subscription=self.subscription.pk)
        return list(mine.order_by("id").values_list("payload", flat=True))

    def told(self) -> tuple[Any, ...]:
        """Return everything that a step which is refused, or lost, may not change."""
        return self.state, self.available(), self.invoices(), self.spends(), self.history(), self.ends


def add_credit(shop: Shop, amount_minor: int) -> None:
    """Redeem a new code of this amount into the balance of the shop's customer."""
    redeem_to_balance(
        code=shop.code(shop.voucher(amount_minor)),
        organization=shop.organization,
        sovereign=shop.sovereign,
        actor=shop.buyer,
        address="192.0.2.1",
        now=timezone.now(),
    )


def subscribe(shop: Shop, slug: str, *, credit_minor: int = 0, env_type: str = "prod") -> Customer:
    """Sell the Plan from credit to a new customer, who keeps ``credit_minor``."""
    place = shop.with_customer(slug)
    add_credit(place, PLAN_MINOR + credit_minor)
    return buy_again(place, env_type=env_type)


def buy_again(place: Shop, *, env_type: str = "prod") -> Customer:
    """Sell the Plan from credit to the shop's customer."""
    place.buy(env_type=env_type, cart_id=uuid.uuid4())
    live = Subscription.objects.exclude(state="canceled")
    return Customer(place, live.get(organization_id=place.organization.pk, env_type=env_type))


def deliver(consumer: str) -> None:
    """Run the deliveries that wait for one consumer."""
    outbox.relay_once()
    waiting = Delivery.objects.filter(consumer=consumer, state="pending").order_by("id")
    for delivery_id in waiting.values_list("pk", flat=True):
        assert outbox.run_delivery(delivery_id=delivery_id, owner="test")


def end_period(customer: Customer) -> None:
    """Let the paid period have ended a second ago by the database's own clock, for sweeps of another process."""
    execute(
        "UPDATE billing_subscription SET current_period ="
        " tstzrange(now() - interval '1 month 1 second', now() - interval '1 second') WHERE id = %s",
        [customer.subscription.pk],
    )
    make_due()


def owe_for(customer: Customer, days: int) -> None:
    """Let a debt be that old by the database's own clock."""
    execute(
        "UPDATE billing_subscription SET past_due_since = now() - make_interval(days => %s) WHERE id = %s",
        [days, customer.subscription.pk],
    )
    make_due()


def let_owe(subscription: Subscription, *, since: datetime) -> None:
    """Let a payment have failed at that moment."""
    with transaction.atomic(durable=True):
        _account, locked = lock_with_account(subscription.pk)
        mark_past_due(locked, actor="test", reason="card_declined", now=since)


def let_contain(subscription: Subscription, items: list[dict[str, Any]]) -> None:
    """Let the next period consist of these items."""
    with transaction.atomic(durable=True):
        _account, locked = lock_with_account(subscription.pk)
        move(locked, "active", actor="test", now=timezone.now(), items=items)


def make_due() -> None:
    """Let the time pass after which a claimed row is looked at again."""
    execute("UPDATE billing_subscription SET next_action_at = now() - interval '1 second'")


def assert_paid_for(customer: Customer) -> None:
    """Assert that every renewal was paid once and bought its period: what the credit lost, time gained."""
    paid = Invoice.objects.filter(subscription=customer.subscription, order=None, state="paid").order_by("period")
    assert customer.spends() == [-row.credit_minor for row in paid]
    assert len(customer.events("subscription.renewed")) == len(paid)
    last = paid.last()
    assert last is None or last.period is None or last.period.upper == customer.ends
