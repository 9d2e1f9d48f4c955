"""A small world for the money machine: two customers, one clock, and trouble that Hypothesis chooses."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core import mail
from django.db.models import Q
from django.utils import timezone

from billing.models import Account, Checkout, Invoice, PspCall, StripeEvent, Subscription, SubscriptionChange
from catalyst.core import outbox
from catalyst.core.errors import DomainError
from catalyst.core.failpoints import Crash
from catalyst.core.models import Delivery
from tenancy.models import Membership
from tests import factories
from tests.billing.inbox import post_event
from tests.billing.shop import Shop, open_shop
from tests.clock import MovableClock
from tests.life.chaos import doomed
from tests.life.machinery import MONEY_SWEEPS
from tests.life.model import Customer
from tests.life.world import PLANS
from tests.stripe_standin import Fault, StripeStandIn

_OPEN = ("reserved", "session_requested", "awaiting_payment", "payment_processing", "expiring", "late_payment")
#: Git has machines of its own.
_OURS = Q(consumer__startswith="billing.")
_PAUSE = timedelta(minutes=6)
_ROUNDS = 8


@dataclass(frozen=True)
class Weather:
    """What goes wrong during one act: nothing, a death at the nth named point, or a call that fails."""

    nth: int = 0
    fault: Fault | None = None
    skip: int = 0
    #: Whether it hits the machinery that comes round afterwards, not the act itself.
    is_late: bool = False

    @property
    def is_calm(self) -> bool:
        return not self.nth and self.fault is None


CALM = Weather()
#: How the processor's events arrive.
POST = ("in order", "backwards", "twice", "late")


@dataclass
class Bench:
    """One shop on an empty database, with a processor of its own."""

    clock: MovableClock
    standin: StripeStandIn
    shops: dict[str, Shop]
    exits: ExitStack
    told: int = 0
    late: list[dict[str, Any]] = field(default_factory=list)
    refusal: DomainError | None = None

    def close(self) -> None:
        self.exits.close()

    # --- acts and trouble -------------------------------------------------------------------------------------------
    def attempt(self, act: Callable[[], object], weather: Weather) -> bool:
        """Let somebody act; return whether it went through as far as they can tell."""
        went, self.refusal = False, None
        with self._trouble(CALM if weather.is_late else weather):
            try:
                act()
                went = True
            except DomainError as error:
                self.refusal = error
        return went

    def settle(self, weather: Weather, post: str) -> None:
        """Let the machinery come round once; after trouble again and again, until nothing waits for an answer."""
        with self._trouble(weather if weather.is_late else CALM):
            self._round(post)
        if weather.is_calm and post != "late" and not self._waits():
            return
        for number in range(_ROUNDS):
            self.clock.advance(_PAUSE)
            self._round("late" if post == "late" and number < 1 else "in order")
            if number > 1 and not self._waits():
                break
        mail.outbox.clear()

    @contextmanager
    def _trouble(self, weather: Weather) -> Iterator[None]:
        if weather.fault is not None:
            self.standin.script("*", weather.fault, times=1, skip=weather.skip)
        try:
            with doomed(nth=weather.nth) if weather.nth else ExitStack():
                yield
        except Crash:
            pass
        finally:
            self.standin.clear_faults()

    def _round(self, post: str) -> None:
        self.standin.clock.advance(0)
        self._tell(post)
        for sweep in MONEY_SWEEPS:
            sweep()
        outbox.relay_once()
        due = outbox.due_deliveries(now=timezone.now(), limit=1000)
        for delivery_id in Delivery.objects.filter(_OURS, pk__in=due).order_by("pk").values_list("pk", flat=True):
            outbox.run_delivery(delivery_id=delivery_id, owner="life")

    def _tell(self, post: str) -> None:
        events = self.standin.events()
        new = [*self.late, *events[self.told :]]
        self.told, self.late = len(events), []
        if post == "late":
            self.late = new
            return
        if post == "backwards":
            new.reverse()
        # Kept until all are told: a death on the way loses none.
        self.late = list(new)
        for event in new:
            for _ in range(2 if post == "twice" else 1):
                post_event(*self.standin.signed(event))
        self.late = []

    def _waits(self) -> bool:
        calls = PspCall.objects.filter(state__in=["requested", "unknown"]).exists()
        # One that matches nothing waits for days: nobody waits for it.
        events = StripeEvent.objects.filter(state="pending", attempts__lt=3).exists()
        return calls or events or Delivery.objects.filter(_OURS, state="pending").exists()

    # --- what is ----------------------------------------------------------------------------------------------------
    def subscription(self, who: str) -> Subscription | None:
        rows = Subscription.objects.exclude(state="canceled").select_related("order", "organization__organization")
        return rows.filter(organization_id=self.shops[who].organization.pk).first()

    def live(self, who: str) -> Subscription:
        """Return the subscription of a customer who has one."""
        found = self.subscription(who)
        assert found is not None
        return found

    def page(self, who: str) -> Checkout | None:
        rows = Checkout.objects.filter(state__in=_OPEN, organization_id=self.shops[who].organization.pk)
        return rows.select_related("order").first()

    def paid_invoices(self, who: str) -> list[Invoice]:
        rows = Invoice.objects.filter(organization_id=self.shops[who].organization.pk, state="paid")
        return list(rows.order_by("id"))

    def customer_id(self, who: str) -> str:
        return Account.objects.get(pk=self.shops[who].organization.pk).psp_customer_id or ""

    def facts(self, who: str) -> dict[str, object]:
        """Return what the model foretells, as database and processor have it."""
        owner = self.shops[who].organization.pk
        account = Account.objects.get(pk=owner)
        charges = self.standin.all("charge", customer=account.psp_customer_id) if account.psp_customer_id else []
        rows = Invoice.objects.filter(organization_id=owner).exclude(state="void")
        columns = ("state", "total_minor", "credit_minor", "credit_refunded_minor", "card_refunded_minor")
        page, right = self.page(who), self.subscription(who)
        later = SubscriptionChange.objects.filter(subscription=right, state="scheduled").first() if right else None
        return {
            "posted": account.posted_minor,
            "held": account.held_minor,
            "captured": sum(charge["amount_captured"] for charge in charges),
            "refunded": sum(charge["amount_refunded"] for charge in charges),
            "bills": sorted(rows.values_list(*columns)),
            "page": page and (page.charge_minor, page.credit_minor),
            "right": right
            and (
                right.plan,
                right.monthly_minor,
                right.state,
                right.cancel_at_period_end,
                right.collection == "card",
                later and (later.plan, later.monthly_minor),
            ),
        }

    def learn(self, who: str, customer: Customer) -> None:
        """Take the exact moments over, which the model knows to the minute only."""
        page, right = self.page(who), self.subscription(who)
        if page is not None and customer.page is not None and page.psp_session_expires_at is not None:
            customer.page.expires = _close(page.psp_session_expires_at, customer.page.expires)
        if right is None or customer.right is None:
            return
        known, start, end = customer.right, right.current_period.lower, right.current_period.upper
        for bill in customer.bills:
            if bill.sold_by == known.number and bill.until == known.end:
                bill.until = end
        if known.billed_until == known.end:
            known.billed_until = end
        known.start, known.end = _close(start, known.start), _close(end, known.end)
        if known.owes_since is not None and right.past_due_since is not None:
            known.owes_since = _close(right.past_due_since, known.owes_since)
        if known.paused_since is not None and right.suspended_at is not None:
            known.paused_since = _close(right.suspended_at, known.paused_since)


def _close(moment: datetime, expected: datetime) -> datetime:
    """Return a moment of the world that is the expected one, give or take what a recovery lasts."""
    assert abs(moment - expected) < timedelta(hours=1), (moment, expected)
    return moment


def open_bench(
    *,
    empty: Callable[[], None],
    enter_clock: Callable[[StripeStandIn], AbstractContextManager[MovableClock]],
    use_processor: Callable[[str], None],
) -> Bench:
    """Empty the database and open a shop with the customers A and B in it."""
    exits = ExitStack()
    empty()
    standin = exits.enter_context(StripeStandIn())
    clock = exits.enter_context(enter_clock(standin))
    use_processor(standin.url)
    sovereign = factories.SovereignFactory.create()
    first = factories.MembershipFactory.create(organization__slug="acme", role=Membership.Role.ADMIN)
    shop = open_shop(sovereign, first.organization, first.user)
    shop.standin = standin
    shop.configure_processor()
    for slug, amount in PLANS.items():
        if slug != "m":
            factories.PlanFactory.create(slug=slug, title_en=slug.upper(), title_ar=slug.upper(), memory_mib=16_384)
            factories.PriceFactory.create(kind="plan", reference=slug, amount_minor=amount)
    return Bench(clock, standin, {"A": shop, "B": shop.with_customer("globex")}, exits)
