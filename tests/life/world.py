"""The people of the world: what they do on a day, drawn from one seeded generator."""

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from django.utils import timezone

from billing.models import Account, Checkout, CreditGrant, Dispute, Invoice, Subscription
from billing.services.cards import start_card_change
from billing.services.checkout import cancel_checkout
from billing.services.checkout_types import Selection
from billing.services.credit_grants import decide_grant, request_grant
from billing.services.disputes import unfreeze_account
from billing.services.refunds import refund_invoice
from billing.services.subscription_changes import ChangeCommand, ChangeSelection, request_change
from billing.services.subscriptions import cancel_subscription, resume_subscription
from billing.services.wallet import redeem_to_balance
from catalyst.core.money import Money
from catalyst.local.sandbox_stripe.payment import NotOpen
from tenancy.models import User
from tests import factories
from tests.billing.shop import Shop
from tests.clock import MovableClock
from tests.life.chaos import Chaos, guarded
from tests.life.machinery import Machinery
from tests.stripe_standin import StripeStandIn

PLANS = {"s": 20_000, "m": 50_000, "l": 80_000}
_SMALL_VOUCHERS = (5_000, 10_000, 25_000)
_RETURNS = ("http://localhost/yes/", "http://localhost/no/")
#: A day in pieces: short ones while drafts of renewals are open, one long night.
DAY = (timedelta(minutes=20), timedelta(minutes=30), timedelta(hours=3), timedelta(hours=20, minutes=10))


@dataclass
class Customer:
    """One Organization, who buys for it, and the temper that decides what it does."""

    shop: Shop
    pays_by_card: bool
    starts_on: int

    @property
    def pk(self) -> int:
        return self.shop.organization.pk

    def subscription(self) -> Subscription | None:
        rows = Subscription.objects.exclude(state="canceled").select_related("order", "organization__organization")
        return rows.filter(organization_id=self.pk).first()


@dataclass
class World:
    """A Sovereign with customers, staff, a processor and trouble."""

    shop: Shop
    standin: StripeStandIn
    clock: MovableClock
    chaos: Chaos
    #: How many times as much people do as on an ordinary day.
    haste: float = 1.0
    customers: list[Customer] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.machinery = Machinery(self.standin, self.chaos, self.shop.staff)
        self.second = factories.UserFactory.create(email="second@example.com", staff_role=User.StaffRole.ADMIN)

    @property
    def random(self) -> Random:
        return self.chaos.random

    def settle_in(self, count: int, *, within_days: int) -> None:
        """Let customers of all kinds come in the first days."""
        for number in range(count):
            place = self.shop.with_customer(f"org-{number:03d}")
            by_card = self.random.random() < 0.6
            self.customers.append(Customer(place, by_card, self.random.randrange(within_days)))

    def day(self, number: int) -> None:
        """One day: everybody may do something, then time passes in pieces, with the machinery behind each."""
        for customer in self.customers:
            if number >= customer.starts_on:
                self._act(customer)
        for piece in DAY:
            self.clock.advance(piece)
            self.machinery.round()
        self.machinery.fetch()

    def quiet(self) -> None:
        """Let everything come to rest."""
        self.machinery.settle(self.clock.advance)

    # --- what people do ---------------------------------------------------------------------------------------------
    def _act(self, customer: Customer) -> None:
        self._pay_open_page(customer)
        subscription = customer.subscription()
        if subscription is None:
            self._attempt("buy", customer, self._buy)
            # The page lives for minutes, not until tomorrow.
            self._pay_open_page(customer)
            return
        if subscription.state != "active":
            if self.random.random() < 0.15:
                self._attempt("pay the debt", customer, self._top_up)
            return
        draw = self.random.random()
        for share, name, action in self._habits(subscription):
            if draw < share * self.haste:
                self._attempt(name, customer, action)
                return
            draw -= share * self.haste

    def _habits(self, subscription: Subscription) -> list[tuple[float, str, Callable[[Customer], object]]]:
        """What happens on an ordinary day, with its chance."""
        return [
            (0.015, "redeem", self._top_up),
            (0.006, "change the plan", self._change),
            (0.004, "cancel", self._cancel),
            (0.004, "save a card", self._save_card),
            (0.003, "refund", self._refund),
            (0.003, "grant", self._grant),
            (0.002, "dispute", self._dispute),
            (0.004, "lose the card", self._decline),
            (0.008, "find the card", self._accept),
        ]

    def _attempt(self, name: str, customer: Customer, action: Callable[[Customer], object]) -> None:
        """Let somebody try; they may be refused, and the process may die on the way."""
        went = False
        with self.chaos.trouble():
            went = guarded(lambda: action(customer))
        self.done[f"{name}{'' if went else ', in vain'}"] += 1

    def _buy(self, customer: Customer) -> None:
        plan = self.random.choice(sorted(PLANS))
        code = ""
        if not customer.pays_by_card:
            code = self._code(customer, PLANS[plan] * self.random.randint(1, 4))
        elif self.random.random() < 0.5:
            code = self._code(customer, self.random.choice(_SMALL_VOUCHERS))
        selection = Selection(plan=plan, blueprints=("bp-wordpress",))
        customer.shop.buy(selection=selection, voucher_code=code, key=uuid.uuid4().hex)

    def _pay_open_page(self, customer: Customer) -> None:
        """Most people pay the page they got, some leave it, some come back from it."""
        mine = Checkout.objects.filter(organization_id=customer.pk, state="awaiting_payment")
        for checkout in mine.select_related("order"):
            draw = self.random.random()
            try:
                if draw < 0.8:
                    self.standin.pay(str(checkout.psp_session_id))
                elif draw < 0.9:
                    self.standin.expire(str(checkout.psp_session_id))
                else:
                    self._attempt("leave the page", customer, lambda _who, row=checkout: self._leave(row))  # type: ignore[misc]
            except NotOpen:
                continue

    def _leave(self, checkout: Checkout) -> None:
        cancel_checkout(checkout=checkout, actor="customer", now=timezone.now())

    def _top_up(self, customer: Customer) -> None:
        amount = self.random.choice((*_SMALL_VOUCHERS, 120_000))
        redeem_to_balance(
            code=self._code(customer, amount),
            organization=customer.shop.organization,
            sovereign=self.shop.sovereign,
            actor=customer.shop.buyer,
            address="192.0.2.1",
            now=timezone.now(),
        )

    def _change(self, customer: Customer) -> None:
        subscription = customer.subscription()
        assert subscription is not None
        others = [plan for plan in sorted(PLANS) if plan != subscription.plan]
        selection = ChangeSelection(plan=self.random.choice(others))
        request = customer.shop.request(selection=None, key=uuid.uuid4().hex, fingerprint=b"\0" * 32)
        command = ChangeCommand(subscription=subscription, selection=selection, checkout=request)
        request_change(command=command, now=timezone.now())

    def _cancel(self, customer: Customer) -> None:
        subscription = customer.subscription()
        assert subscription is not None
        now, actor = timezone.now(), customer.shop.buyer
        if subscription.cancel_at_period_end:
            resume_subscription(subscription_id=subscription.pk, actor=actor, now=now)
        else:
            at_once = self.random.random() < 0.1
            who = self.shop.staff if at_once else actor
            cancel_subscription(
                subscription_id=subscription.pk, at_once=at_once, actor=who, reason="moves away", now=now
            )

    def _save_card(self, customer: Customer) -> None:
        start_card_change(
            organization=customer.shop.organization,
            sovereign=self.shop.sovereign,
            actor=customer.shop.buyer,
            returns=_RETURNS,
        )
        account = Account.objects.get(pk=customer.pk)
        for session in self.standin.sessions(status="open", mode="setup", customer=account.psp_customer_id):
            self.standin.add_card(session["id"])

    def _refund(self, customer: Customer) -> None:
        paid = Invoice.objects.filter(organization_id=customer.pk, state="paid", total_minor__gt=0).order_by("-id")
        invoice = paid.first()
        if invoice is not None:
            amount = None if self.random.random() < 0.4 else self.random.randint(1, 40) * 100
            refund_invoice(
                invoice_id=invoice.pk,
                amount_minor=amount,
                reason="goodwill",
                actor=self.shop.staff,
                now=timezone.now(),
                key=uuid.uuid4().hex,
            )

    def _grant(self, customer: Customer) -> None:
        amount = Money(self.random.choice((3_000, 60_000)), "OMR")
        grant: Any = request_grant(
            organization=customer.shop.organization,
            amount=amount,
            reason="sorry",
            actor=self.shop.staff,
            now=timezone.now(),
            key=uuid.uuid4().hex,
        )
        if grant.state == CreditGrant.State.REQUESTED:
            decide_grant(grant_id=grant.pk, approve=True, actor=self.second, now=timezone.now())

    def _dispute(self, customer: Customer) -> None:
        account = Account.objects.get(pk=customer.pk)
        charges = [
            charge
            for charge in self.standin.all("charge", customer=account.psp_customer_id)
            if not charge["disputed"] and charge["amount_captured"] > charge["amount_refunded"]
        ]
        if account.psp_customer_id and charges:
            dispute = self.standin.dispute(charges[-1]["id"])
            self.standin.close_dispute(dispute["id"], won=self.random.random() < 0.6)
        elif Dispute.objects.filter(organization_id=customer.pk, state="lost").exists():
            unfreeze_account(organization_id=customer.pk, reason="settled", actor=self.shop.staff, now=timezone.now())

    def _decline(self, customer: Customer) -> None:
        if customer_id := Account.objects.get(pk=customer.pk).psp_customer_id:
            self.standin.decline(customer_id)

    def _accept(self, customer: Customer) -> None:
        if customer_id := Account.objects.get(pk=customer.pk).psp_customer_id:
            self.standin.accept(customer_id)

    def _code(self, customer: Customer, amount_minor: int) -> str:
        """Issue a voucher as staff does, in a process that does not die."""
        return customer.shop.code(customer.shop.voucher(amount_minor))
