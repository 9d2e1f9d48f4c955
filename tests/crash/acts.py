"""What people and the world do in the flows of the crash matrix, by the real services and the real API.

An act of a person must be safe to press again: its key is fixed, and what it acts on is looked up each time.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from django.utils import timezone

from billing.models import Checkout, CreditGrant, Redemption
from billing.services.cards import open_portal, start_card_change
from billing.services.credit_grants import decide_grant, request_grant
from billing.services.credit_reversals import reverse_grant, reverse_redemption
from billing.services.refunds import refund_invoice
from billing.services.subscription_changes import ChangeSelection, drop_change
from billing.services.subscriptions import cancel_subscription, resume_subscription
from catalyst.core.money import Money
from tests.billing.api.calls import SELECTION
from tests.billing.changing import change
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR
from tests.crash.stage import Refused, Stage
from tests.stripe_standin import Fault

Prepare = Callable[[Stage], object]

_RETURNS = ("http://localhost/yes/", "http://localhost/no/")
_CREDIT = 20_000
UP, DOWN = ChangeSelection(plan="l"), ChangeSelection(plan="s")


# --- what people do ---------------------------------------------------------------------------------------------------
def buy(stage: Stage) -> None:
    stage.post("checkouts/", {**SELECTION, "voucher_code": stage.code("sale", 0)}, "buy")


def redeem(stage: Stage) -> None:
    stage.post("vouchers/redeem/", {"code": stage.code("wallet", 0)}, "redeem")


def take_back(stage: Stage) -> None:
    redemption = Redemption.objects.get(organization_id=stage.organization_id)
    reverse_redemption(redemption_id=redemption.pk, reason="By mistake", actor=stage.shop.staff, now=timezone.now())


def refund(stage: Stage, amount_minor: int | None = None) -> None:
    refund_invoice(
        invoice_id=stage.invoice.pk,
        amount_minor=amount_minor,
        reason="Not what they needed",
        actor=stage.shop.staff,
        now=timezone.now(),
        key="refund-once",
    )


def end(stage: Stage, *, at_once: bool) -> None:
    actor = stage.shop.staff if at_once else stage.shop.buyer
    cancel_subscription(
        subscription_id=stage.subscription.pk, at_once=at_once, actor=actor, reason="moves away", now=timezone.now()
    )


def stay(stage: Stage) -> None:
    resume_subscription(subscription_id=stage.subscription.pk, actor=stage.shop.buyer, now=timezone.now())


def ask(stage: Stage, selection: ChangeSelection, key: str) -> None:
    change(stage.shop, stage.subscription, selection, now=_tenth_day(stage), key=key)


def forget(stage: Stage) -> None:
    drop_change(subscription=stage.subscription, actor=stage.shop.buyer, now=_tenth_day(stage))


def open_card_page(stage: Stage) -> None:
    start_card_change(
        organization=stage.shop.organization, sovereign=stage.shop.sovereign, actor=stage.shop.buyer, returns=_RETURNS
    )


def look_at_receipts(stage: Stage) -> None:
    open_portal(organization=stage.shop.organization, return_url=_RETURNS[0])


def grant(stage: Stage) -> None:
    request_grant(
        organization=stage.shop.organization,
        amount=Money(60_000, "OMR"),
        reason="The outage",
        actor=stage.shop.staff,
        now=timezone.now(),
        key="grant-once",
    )


def agree(stage: Stage) -> None:
    wanted = CreditGrant.objects.get(organization_id=stage.organization_id)
    decide_grant(grant_id=wanted.pk, approve=True, actor=stage.second, now=timezone.now())


def take_grant_back(stage: Stage) -> None:
    given = CreditGrant.objects.get(organization_id=stage.organization_id)
    reverse_grant(grant_id=given.pk, reason="Wrong customer", actor=stage.shop.staff, now=timezone.now())


# --- what the world does ----------------------------------------------------------------------------------------------
def pay(stage: Stage) -> None:
    """Pay the page that the customer was shown."""
    for checkout in Checkout.objects.filter(state="awaiting_payment"):
        stage.standin.pay(str(checkout.psp_session_id))


def pay_stray(stage: Stage) -> None:
    """Pay a page that nobody was shown, if there is one."""
    for session in stage.standin.sessions(status="open"):
        stage.standin.pay(session["id"])


def expire(stage: Stage) -> None:
    for checkout in Checkout.objects.filter(state="awaiting_payment"):
        stage.standin.expire(str(checkout.psp_session_id))


def add_card(stage: Stage) -> None:
    for session in stage.standin.sessions(status="open", mode="setup"):
        stage.standin.add_card(session["id"])


def later(stage: Stage, **step: int) -> None:
    stage.advance(timedelta(**step))


def void_bill(stage: Stage) -> None:
    stage.standin.void(_draft(stage))


def refuse_lines(stage: Stage) -> None:
    stage.standin.script("invoiceitems.create", Fault.ERROR_400, times=None)
    stage.pass_period()


def find_card(stage: Stage) -> None:
    stage.standin.accept(str(stage.account.psp_customer_id))
    stage.advance(timedelta(hours=25))


def complain(stage: Stage) -> None:
    stage.standin.dispute(stage.standin.all("charge")[0]["id"])


def lose_dispute(stage: Stage) -> None:
    stage.standin.close_dispute(stage.standin.all("dispute")[0]["id"], won=False)


def _draft(stage: Stage) -> str:
    return str(stage.standin.get("subscription", str(stage.subscription.psp_subscription_id))["latest_invoice"])


# --- how it begins ----------------------------------------------------------------------------------------------------
def with_code(stage: Stage, amount_minor: int = VOUCHER_MINOR) -> None:
    stage.code("sale", amount_minor)


def with_wallet_code(stage: Stage) -> None:
    stage.code("wallet", VOUCHER_MINOR)


def with_lost_session(stage: Stage) -> None:
    with_code(stage)
    stage.standin.script("checkout.sessions.create", Fault.DROP_AFTER, times=2)


def with_stray_page(stage: Stage) -> None:
    with_lost_session(stage)
    with suppress(Refused):
        buy(stage)


def at_the_page(stage: Stage) -> None:
    with_code(stage)
    buy(stage)


def sold_by_card(stage: Stage) -> None:
    at_the_page(stage)
    pay(stage)
    _work(stage)


def sold_from_credit(stage: Stage, left_minor: int = 0) -> None:
    with_code(stage, PLAN_MINOR + left_minor)
    stage.code("wallet", PLAN_MINOR)
    buy(stage)
    _work(stage)


def card_and_credit(stage: Stage) -> None:
    sold_by_card(stage)
    stage.code("wallet", _CREDIT)
    redeem(stage)
    _work(stage)


def with_draft(stage: Stage) -> None:
    card_and_credit(stage)
    stage.pass_period()
    _work(stage)


def with_draft_and_lost_card(stage: Stage) -> None:
    with_draft(stage)
    stage.standin.decline(str(stage.account.psp_customer_id))


def sold_and_no_money_to_return(stage: Stage) -> None:
    sold_by_card(stage)
    stage.standin.script("refunds.create", Fault.ERROR_402, times=None)


def in_mid_period(stage: Stage, *, by_card: bool, left_minor: int = 0) -> None:
    if by_card:
        sold_by_card(stage)
    else:
        sold_from_credit(stage, left_minor)
    stage.clock.advance_to(_tenth_day(stage))
    stage.advance(timedelta())


def _tenth_day(stage: Stage) -> datetime:
    """A fixed moment: the price of a change depends on what is left of the period."""
    begins: datetime = stage.subscription.current_period.lower
    return begins + timedelta(days=10)


def _work(stage: Stage) -> None:
    for _ in range(2):
        stage.collect_news()
        stage.round()
