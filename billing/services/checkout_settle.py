"""T5 and T6: what the processor's answer makes of a checkout that was handed over."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing.models import Checkout, Order
from billing.services.change_apply import apply_change, fits_still
from billing.services.change_rows import drop_change_of
from billing.services.checkout_sale import Sale, record_sale
from billing.services.checkout_steps import (
    AFTER_HANDOVER,
    end_holds,
    lock_account_of,
    lock_checkout,
    move,
    move_order,
)
from billing.services.ledger import LockedAccount
from billing.services.subscription_calls import intend_late_end
from catalyst.core.database import execute, use_case
from catalyst.core.failpoints import fp
from tenancy.models import Organization


@dataclass(frozen=True, slots=True)
class Payment:
    """A paid session, verified against the checkout. ``period`` is the first period of the processor's subscription."""

    session_id: str
    subscription_id: str
    payment_intent_id: str
    period: tuple[datetime, datetime] | None


@use_case
def settle(*, checkout_id: Any, payment: Payment, actor: str, now: datetime) -> bool:
    """T5: sell. Capture the holds, post the spend, pay the order, open the subscription, start delivery.

    Return whether this call did it; a checkout that is not waiting for payment is left alone.
    """
    checkout = lock_checkout(checkout_id)
    if checkout.state not in (*AFTER_HANDOVER, Checkout.State.NEEDS_REVIEW):
        return False
    # Under review after it was closed already: the money is late, and the rules of late money decide.
    if checkout.order.state != Order.State.PENDING_PAYMENT:
        return False
    account = lock_account_of(checkout)
    if not fits_still(checkout.change_id, now=now):
        # Paid too late for its period: closed here, and the rules of late money return it.
        _close_unsold(checkout, account, reason="change_outdated", actor=actor, now=now)
        return False
    held = end_holds(checkout, state="captured", now=now)
    order = move_order(checkout, "paid")
    sale = sale_of(checkout, order, payment=payment, actor=actor)
    record_sale(account=account, sale=sale, before=[], now=now, held_delta_minor=-held)
    apply_change(checkout.change_id, actor=actor, now=now)
    move(checkout, "completed", actor=actor)
    fp("checkout.T5.in_tx")
    return True


@use_case
def lapse(*, checkout_id: Any, reason: str, actor: str, now: datetime, psp_subscription_id: str = "") -> bool:
    """T6: the processor said that this session will never be paid. Holds end, the order is cancelled, credit stays.

    ``psp_subscription_id`` is what the processor opened meanwhile: it has to end too. Return whether this call did it.
    """
    checkout = lock_checkout(checkout_id)
    if checkout.state not in ("awaiting_payment", "expiring", "payment_processing"):
        return False
    _close_unsold(checkout, lock_account_of(checkout), reason=reason, actor=actor, now=now)
    if psp_subscription_id:
        intend_late_end(
            organization_id=checkout.organization_id, checkout_id=checkout.pk, subscription_id=psp_subscription_id
        )
    fp("checkout.T6.in_tx")
    return True


def _close_unsold(checkout: Checkout, account: LockedAccount, *, reason: str, actor: str, now: datetime) -> None:
    """End a handed-over checkout without a sale; call inside a transaction, under both locks."""
    held = end_holds(checkout, state="voided", now=now)
    if held:
        execute(
            "UPDATE billing_account SET held_minor = held_minor - %s WHERE organization_id = %s",
            [held, account.organization_id],
        )
    move_order(checkout, "cancelled")
    drop_change_of(checkout, now=now)
    if checkout.state == "awaiting_payment":
        move(checkout, "expiring", actor=actor, reason=reason)
    move(checkout, "lapsed", actor=actor, reason=reason)


@use_case
def note_state(*, checkout_id: Any, to: str, from_states: tuple[str, ...], actor: str, reason: str, wait: int) -> bool:
    """Move the state only: closing, payment in progress, under review. ``wait`` is seconds until the next look."""
    checkout = lock_checkout(checkout_id)
    if checkout.state not in from_states:
        return False
    move(checkout, to, actor=actor, reason=reason, next_in_seconds=wait)
    return True


@use_case
def look_again(*, checkout_id: Any, wait: int, error: str = "") -> None:
    """Set the moment of the next look without moving the state."""
    execute(
        "UPDATE billing_checkout SET next_action_at = now() + make_interval(secs => %s), last_error = %s,"
        " lease_owner = NULL, lease_until = NULL WHERE id = %s",
        [wait, error[:500], checkout_id],
    )


def sale_of(checkout: Checkout, order: Order, *, payment: Payment, actor: str) -> Sale:
    """Return what a card-paid checkout sells; everything was frozen when it was reserved."""
    return Sale(
        checkout_id=checkout.pk,
        order_id=order.pk,
        order_number=order.number,
        organization=Organization.objects.get(pk=checkout.organization_id),
        buyer_id=checkout.buyer_id,
        env_type=checkout.env_type,
        selection=checkout.selection,
        credit_minor=checkout.credit_minor,
        charge_minor=checkout.charge_minor,
        currency=checkout.currency_id,
        actor=actor,
        change_id=checkout.change_id,
        subscription_id=checkout.change.subscription_id if checkout.change else None,
        psp_subscription_id=payment.subscription_id,
        period=payment.period,
    )
