"""The background of the world: relay, consumers, sweeps and the processor's webhooks, as beat and workers run them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core import mail
from django.utils import timezone

from billing.models import StripeEvent
from billing.services.stripe_events import replay_event
from billing.tasks import cards, changes, checkouts, refunds, subscriptions
from catalyst.core import outbox
from catalyst.core.models import Delivery
from marketplace import tasks as deliveries
from tenancy.models import User
from tests.billing.inbox import post_event
from tests.life.chaos import Chaos
from tests.stripe_standin import StripeStandIn

_EVENTS_KEPT_SECONDS = 30 * 24 * 3600
MONEY_SWEEPS: tuple[Callable[[], Any], ...] = (
    checkouts.sweep_checkouts_task,
    checkouts.sweep_psp_calls_task,
    checkouts.sweep_stripe_events_task,
    subscriptions.sweep_subscriptions_task,
    cards.sweep_card_renewals_task,
    cards.sweep_card_calls_task,
    changes.sweep_change_calls_task,
    refunds.sweep_refunds_task,
    refunds.follow_pending_refunds_task,
)
SWEEPS: tuple[Callable[[], Any], ...] = (*MONEY_SWEEPS, deliveries.sweep_changes_task)


class Machinery:
    """Runs everything that runs by itself; each round may be cut by ``chaos``."""

    def __init__(self, standin: StripeStandIn, chaos: Chaos, operator: User) -> None:
        self.standin = standin
        self.operator = operator
        self.chaos = chaos
        self._told: set[str] = set()
        self._late: list[dict[str, Any]] = []

    def round(self) -> None:
        """Let webhooks arrive, then every sweep, the relay and the consumers once."""
        self.standin.clock.advance(0)
        self._webhooks()
        for sweep in SWEEPS:
            with self.chaos.trouble():
                sweep()
        with self.chaos.trouble():
            self._consume()
        mail.outbox.clear()

    def fetch(self) -> None:
        """Fetch what the webhooks lost, as beat does each hour. Stripe lists the events of the last 30 days."""
        self.standin.account.store.forget("event", created_before=self.standin.clock.now() - _EVENTS_KEPT_SECONDS)
        with self.chaos.trouble():
            checkouts.fetch_missed_stripe_events_task()

    def settle(
        self, advance: Callable[[timedelta], Any], *, rounds: int = 24, step: timedelta = timedelta(hours=1)
    ) -> None:
        """Let everything come to rest: no trouble, every event told, time for each pause, dead events replayed."""
        self.chaos.level = 0
        for _ in range(rounds):
            advance(step)
            self._replay_dead()
            self.round()
        for event in self.standin.events():
            self._tell(event)
        for _ in range(4):
            advance(timedelta(minutes=11))
            self.round()

    def _webhooks(self) -> None:
        """Tell new events: most at once, some twice, some in the next round, some never, and not in their order."""
        events = self.standin.events()
        new = [*self._late, *(event for event in events if event["id"] not in self._told)]
        self._told, self._late = {event["id"] for event in events}, []
        if self.chaos.happens(0.5):
            self.chaos.random.shuffle(new)
        for event in new:
            if self.chaos.happens(0.15):
                continue
            if self.chaos.happens(0.2):
                self._late.append(event)
                continue
            for _ in range(2 if self.chaos.happens(0.2) else 1):
                with self.chaos.trouble():
                    self._tell(event)

    def _tell(self, event: dict[str, Any]) -> None:
        post_event(*self.standin.signed(event))

    def _consume(self) -> None:
        outbox.relay_once()
        for delivery_id in outbox.due_deliveries(now=timezone.now(), limit=1000):
            outbox.run_delivery(delivery_id=delivery_id, owner="life")

    def _replay_dead(self) -> None:
        for event_id in StripeEvent.objects.filter(state="dead").values_list("pk", flat=True):
            replay_event(event_id=event_id, actor=self.operator)
        for delivery_id in Delivery.objects.filter(state="dead").values_list("pk", flat=True):
            outbox.replay_delivery(delivery_id=delivery_id)
