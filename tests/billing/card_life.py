"""A subscription that is billed by card, and the ways in which we hear about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from billing.models import Account, CreditHold, Invoice, LedgerEntry, StripeEvent, Subscription
from billing.services.card_calls import sweep_card_calls
from billing.services.card_sweep import sweep_card_renewals
from billing.services.stripe_events import store_event, sweep_events
from billing.services.subscription_sweep import sweep_subscriptions
from catalyst.core.models import Incident, Outbox
from tests.billing.killed import Purchase, make_due, make_purchase, sweep
from tests.billing.shop import PLAN_MINOR, Shop
from tests.stripe_standin import StripeStandIn


@dataclass
class CardCustomer:
    """A customer whose Plan the processor bills."""

    purchase: Purchase

    @property
    def shop(self) -> Shop:
        return self.purchase.shop

    @property
    def standin(self) -> StripeStandIn:
        assert self.shop.standin is not None
        return self.shop.standin

    @property
    def organization_id(self) -> int:
        return self.shop.organization.pk

    @property
    def subscription(self) -> Subscription:
        return Subscription.objects.get(organization_id=self.organization_id)

    @property
    def theirs(self) -> str:
        return str(self.subscription.psp_subscription_id)

    @property
    def account(self) -> Account:
        return Account.objects.get(pk=self.organization_id)

    def now(self) -> datetime:
        """Return the processor's clock: the month that a test lets pass, passes for both."""
        return datetime.fromtimestamp(self.standin.clock.now(), tz=UTC)

    def add_credit(self, amount_minor: int) -> None:
        """Redeem a Voucher to the balance."""
        answer = self.purchase.calls.post("vouchers/redeem/", {"code": self.shop.code(self.shop.voucher(amount_minor))})
        assert answer.status_code == 201

    def person(self) -> Client:
        """Return the browser of the one who bought."""
        client = Client()
        client.force_login(self.shop.buyer)
        return client

    def renew(self) -> dict[str, Any]:
        """Let the period end at the processor; return its draft."""
        return self.standin.renew(self.theirs)

    def invoices(self) -> list[Invoice]:
        """Return the renewals' invoices, oldest period first."""
        mine = Invoice.objects.filter(organization_id=self.organization_id, order=None)
        return list(mine.order_by("period", "id"))

    def invoice(self) -> Invoice:
        (invoice,) = self.invoices()
        return invoice

    def holds(self) -> list[tuple[str, int]]:
        mine = CreditHold.objects.filter(organization_id=self.organization_id, source="renewal")
        return list(mine.order_by("id").values_list("state", "amount_minor"))

    def spends(self) -> list[int]:
        mine = LedgerEntry.objects.filter(organization_id=self.organization_id, kind="invoice_spend")
        return list(mine.order_by("seq").values_list("amount_minor", flat=True))

    def topics(self) -> list[str]:
        told = Outbox.objects.filter(
            stream=f"organization:{self.organization_id}", topic__startswith="subscription."
        ).exclude(topic="subscription.started")
        return list(told.order_by("id").values_list("topic", flat=True))

    def tell(self, *types: str) -> None:
        """Deliver every event so far (of the given types), and let the worker come round."""
        deliver(self.standin.events(*types), now=self.now())
        self.drive_calls()

    def drive_calls(self) -> None:
        """Let beat come round for what got no answer: a busy machine loses some."""
        make_due()
        sweep_card_calls(now=self.now())

    def tell_only(self, event: dict[str, Any]) -> None:
        """Deliver one event."""
        deliver([event], now=self.now())

    def sweep(self, *, after: timedelta = timedelta(minutes=11)) -> None:
        """Let beat come round some time later, without any event."""
        make_due()
        sweep_card_renewals(now=self.now() + after)
        sweep_card_calls(now=self.now() + after)


def deliver(events: Iterable[dict[str, Any]], *, now: datetime) -> None:
    """Put events into the inbox and follow them, twice: what waits for another one has its turn."""
    for event in events:
        store_event(event=event)
    for _ in range(2):
        make_due()
        # The inbox keeps real time, which the processor's clock may be a second behind.
        sweep_events(now=max(now, timezone.now()))


def card_customer(shop: Shop, slug: str = "company") -> CardCustomer:
    """Return a customer who has bought the Plan with a voucher and a card."""
    purchase = make_purchase(shop, slug)
    assert purchase.buy().status_code == 201
    customer = CardCustomer(purchase)
    customer.standin.pay(str(purchase.checkouts()[0].psp_session_id))
    sweep()
    assert customer.subscription.collection == "card"
    return customer


def credit_customer(shop: Shop, slug: str = "company", *, left_minor: int = 0) -> CardCustomer:
    """Return a customer who has bought the Plan from credit alone; ``left_minor`` stays in the balance."""
    purchase = make_purchase(shop, slug, PLAN_MINOR + left_minor)
    assert purchase.buy().status_code == 201
    customer = CardCustomer(purchase)
    assert customer.subscription.collection == "credit"
    return customer


def press(customer: CardCustomer, client: Client | None = None) -> Any:
    """Press "change card" on the billing page."""
    return (client or customer.person()).post(f"/console/{customer.shop.organization.slug}/billing/card/")


def open_session(customer: CardCustomer) -> str:
    """Return the setup page that the person was sent to."""
    answer = press(customer)
    (session,) = customer.standin.sessions(mode="setup", status="open")
    assert (answer.status_code, answer.url) == (303, session["url"])
    return str(session["id"])


def save_card(customer: CardCustomer) -> str:
    """Save a card as the person, and return its id; nobody has told us yet."""
    session = customer.standin.add_card(open_session(customer))
    return str(customer.standin.get("setup_intent", session["setup_intent"])["payment_method"])


def let_credit_run_out(customer: CardCustomer) -> None:
    """Let the period pass for a customer without credit."""
    ends = customer.subscription.current_period.upper
    customer.standin.clock.advance(int((ends - customer.now()).total_seconds()) + 60)
    sweep_subscriptions(now=customer.now())
    assert (customer.subscription.state, customer.invoice().state) == ("past_due", "open")


def incidents() -> list[str]:
    return list(Incident.objects.filter(resolved_at=None).order_by("id").values_list("kind", flat=True))


def pending_events() -> int:
    return StripeEvent.objects.filter(state="pending").count()
