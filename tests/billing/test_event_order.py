"""Events may be permuted, repeated and lost: with the sweep behind them the books always end the same.

One life of a customer is played again and again: bought with voucher and card, renewed with credit, declined and paid
later, partly refunded, disputed and won. What is told of it, in which order and how often, is Hypothesis' choice; every
copy of an event is an event of its own, so that nothing is spared by the inbox.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing.models import CreditNote, Dispute, Invoice, StripeEvent
from billing.services import card_renewals
from billing.services.invoices import issue_order_invoice
from billing.services.psp import Processor
from billing.services.refunds import refund_invoice
from billing.services.stripe_events import fetch_missed_events, process_event, store_event
from billing.services.subscriptions import lock_with_account, mark_past_due
from catalyst.core.database import use_case
from tests.billing.card_life import CardCustomer, incidents
from tests.billing.killed import make_due, make_purchase, sweep
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Shop
from tests.stripe_standin import StripeStandIn

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

CREDIT = 20_000
REFUND = 5_000
CARD_FIRST, CARD_SECOND = PLAN_MINOR - VOUCHER_MINOR, PLAN_MINOR - CREDIT

#: Which of the events emitted so far are told at the end of one phase: positions, counted from the newest one.
Told = list[list[int]]
PHASES = 4
orders = st.lists(st.lists(st.integers(0, 20), max_size=10), min_size=PHASES, max_size=PHASES)
_numbers = count()


@dataclass(frozen=True)
class FinalBooks:
    entries: list[tuple[str, int]]
    posted: int
    held: int
    invoices: list[tuple[str, int, int, int, int]]
    notes: list[tuple[str, int]]
    holds: list[tuple[str, int]]
    disputes: list[str]
    frozen: bool
    subscription: str
    is_period_paid: bool
    renewals_told: int


WANTED = FinalBooks(
    entries=[
        ("voucher_grant", VOUCHER_MINOR),
        ("order_spend", -VOUCHER_MINOR),
        ("voucher_grant", CREDIT),
        ("invoice_spend", -CREDIT),
    ],
    posted=0,
    held=0,
    invoices=[("paid", PLAN_MINOR, VOUCHER_MINOR, REFUND, 0), ("paid", PLAN_MINOR, CREDIT, 0, 0)],
    notes=[("settled", REFUND)],
    holds=[("captured", CREDIT)],
    disputes=["won"],
    frozen=False,
    subscription="active",
    is_period_paid=True,
    renewals_told=1,
)


class Life:
    """One customer from purchase to dispute, and what we are told of it."""

    def __init__(self, shop: Shop, standin: StripeStandIn) -> None:
        self.standin = standin
        self.purchase = make_purchase(shop, f"company-{next(_numbers)}")
        self.customer = CardCustomer(self.purchase)

    def play(self, told: Told) -> None:
        self.buy(told[0])
        self.draft(told[1])
        self.decline_then_pay(told[2])
        self.refund_and_dispute(told[3])
        self.end()

    def buy(self, told: list[int]) -> None:
        assert self.purchase.buy().status_code == 201
        self.standin.pay(str(self.purchase.checkouts()[0].psp_session_id))
        self.tell(told)
        sweep()
        issue_order_invoice(order_number=self.purchase.checkouts()[0].order.number, now=timezone.now())
        self.customer.add_credit(CREDIT)

    def draft(self, told: list[int]) -> None:
        """While the invoice is a draft the credit can go in: by any event, or by the sweep of that hour."""
        self.psp_invoice = str(self.customer.renew()["id"])
        self.tell(told)
        self.customer.sweep()

    def decline_then_pay(self, told: list[int]) -> None:
        half = len(told) // 2
        self.standin.collect(self.psp_invoice, succeeds=False)
        self.tell(told[:half])
        self.standin.collect(self.psp_invoice)
        self.tell(told[half:])

    def refund_and_dispute(self, told: list[int]) -> None:
        sold = Invoice.objects.get(organization_id=self.customer.organization_id, order__isnull=False)
        half = len(told) // 2
        refund_invoice(
            invoice_id=sold.pk,
            amount_minor=REFUND,
            reason="test",
            actor="test",
            now=timezone.now(),
            key="refund-by-staff",
        )
        (charge, _second) = self._charges()
        dispute = self.standin.dispute(charge)
        self.tell(told[:half])
        self.standin.close_dispute(dispute["id"], won=True)
        self.tell(told[half:])

    def end(self) -> None:
        """Let beat come round for what nobody told us, and the daily look for lost events."""
        self.customer.sweep(after=timedelta(hours=2))
        fetch_missed_events(now=timezone.now(), days=3, only_undelivered=False)
        for _ in range(2):
            make_due()
            for event_id in StripeEvent.objects.filter(state="pending").values_list("pk", flat=True):
                process_event(event_id=event_id, now=self.customer.now())
        sweep()

    def tell(self, positions: list[int]) -> None:
        events = self.standin.events()[::-1]
        for position in positions:
            event = events[position % len(events)]
            copy = {**event, "id": f"{event['id']}_{next(_numbers)}"}
            store_event(event=copy)
            make_due()
            process_event(event_id=copy["id"], now=self.customer.now())

    def _charges(self) -> list[str]:
        customer = str(self.customer.account.psp_customer_id)
        paid = self.standin.all("charge", customer=customer, paid=True)
        return [str(charge["id"]) for charge in paid]

    def books(self) -> FinalBooks:
        customer = self.customer
        mine = {"organization_id": customer.organization_id}
        invoices = Invoice.objects.filter(**mine).order_by("period")
        account, subscription = customer.account, customer.subscription
        return FinalBooks(
            entries=self.purchase.books().entries,
            posted=account.posted_minor,
            held=account.held_minor,
            invoices=list(
                invoices.values_list(
                    "state", "total_minor", "credit_minor", "card_refunded_minor", "card_disputed_minor"
                )
            ),
            notes=list(CreditNote.objects.filter(**mine).values_list("state", "card_minor")),
            holds=customer.holds(),
            disputes=list(Dispute.objects.filter(**mine).values_list("state", flat=True)),
            frozen=account.frozen_at is not None,
            subscription=subscription.state,
            is_period_paid=subscription.current_period == customer.invoice().period,
            renewals_told=customer.topics().count("subscription.renewed"),
        )

    def money(self) -> tuple[int, int]:
        """Return what the processor took and gave back for this customer."""
        customer = str(self.customer.account.psp_customer_id)
        charges = self.standin.all("charge", customer=customer)
        return sum(row["amount_captured"] for row in charges), sum(row["amount_refunded"] for row in charges)


@contextmanager
def life_of(shop: Shop) -> Iterator[Life]:
    """Lend a life and a processor of its own: its clock runs a month ahead of the next one's."""
    with StripeStandIn() as standin, override_settings(STRIPE_API_BASE=standin.url):
        yield Life(replace(shop, standin=standin), standin)
        assert standin.violations == []


def check(life: Life) -> None:
    assert life.books() == WANTED
    assert life.money() == (CARD_FIRST + CARD_SECOND, REFUND)
    # Every dispute calls a person; nothing else does.
    assert set(incidents()) == {"dispute"}
    stuck = StripeEvent.objects.exclude(state__in=["done", "ignored"])
    assert list(stuck.values_list("type", "state", "last_error")) == []


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(told=orders)
def test_any_order_of_the_events_gives_the_same_books(shop: Shop, told: Told) -> None:
    with life_of(shop) as life:
        life.play(told)
        check(life)


@pytest.mark.parametrize("positions", [[], list(range(12)) * 2], ids=["no event", "every event twice, newest first"])
def test_the_extremes(shop: Shop, positions: list[int]) -> None:
    with life_of(shop) as life:
        life.play([positions] * PHASES)
        check(life)


def tell_the_failure_late(life: Life) -> None:
    """Tell of the declined payment when the invoice has been paid, and that is known."""
    life.buy([])
    life.draft([])
    life.decline_then_pay([])
    life.customer.sweep(after=timedelta(hours=2))
    types = [event["type"] for event in life.standin.events()[::-1]]
    life.tell([types.index("invoice.payment_failed")])
    life.refund_and_dispute([])
    life.end()


def test_a_failure_told_late_changes_nothing(shop: Shop) -> None:
    with life_of(shop) as life:
        tell_the_failure_late(life)
        check(life)


def test_the_control_that_trusts_what_it_is_told_depends_on_the_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that believes the payload and compares no states: what the tests above would catch."""
    believe_the_payload(monkeypatch)

    with life_of(shop) as life:
        tell_the_failure_late(life)

    assert life.books() == replace(WANTED, subscription="past_due")


def believe_the_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, dict[str, Any]] = {}
    retrieve, process = Processor.retrieve_invoice, process_event

    def payload_of(self: Processor, invoice_id: str) -> dict[str, Any]:
        return told.pop(invoice_id, None) or retrieve(self, invoice_id)

    def remember(*, event_id: str, now: Any) -> None:
        thing = StripeEvent.objects.get(pk=event_id).payload["data"]["object"]
        told[str(thing.get("id"))] = thing
        process(event_id=event_id, now=now)

    @use_case
    def last_word_wins(*, subscription_id: int, bill: Any, actor: str, now: Any) -> None:
        _account, subscription = lock_with_account(subscription_id)
        mark_past_due(subscription, actor=actor, reason=bill.id, now=now)

    monkeypatch.setattr(Processor, "retrieve_invoice", payload_of)
    monkeypatch.setattr(f"{__name__}.process_event", remember)
    monkeypatch.setattr(card_renewals, "_note_failure", last_word_wins)
