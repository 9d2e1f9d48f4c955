"""The bricks of the checkout saga: one compare-and-swap of the state, and the rows that go with it.

All functions are steps: call inside a transaction. Lock order, always: checkout → account → order, subscription →
voucher (hot rows last). Amounts are minor units.
"""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from billing.models import Checkout, CreditHold, Order, Redemption
from billing.services.ledger import LockedAccount, lock_account
from catalyst.core.database import execute, fetch_one
from catalyst.core.errors import InvalidTransition

#: How long a request may be away before somebody else finishes what it began.
LEASE_SECONDS = 60
BEFORE_HANDOVER = ("reserved", "session_requested")
AFTER_HANDOVER = ("awaiting_payment", "payment_processing", "expiring")


def lock_checkout(checkout_id: Any) -> Checkout:
    """Lock the checkout's row and return it; the first lock of every step."""
    return Checkout.objects.select_for_update(of=("self",), no_key=True).get(pk=checkout_id)


def move(checkout: Checkout, to: str, *, actor: str, reason: str = "", next_in_seconds: int = 0, **fields: Any) -> None:
    """Take one step of the state machine on a locked checkout and append it to the history.

    ``fields`` are further columns to set. The history's foreign keys refuse a step that the table of moves lacks.

    :raises InvalidTransition: somebody else moved the checkout first.
    """
    assignments = "".join(f", {name} = %s" for name in fields)
    row = fetch_one(
        "UPDATE billing_checkout SET state = %s, version = version + 1, updated_at = now(),"  # noqa: S608
        f" next_action_at = now() + make_interval(secs => %s){assignments}"
        " WHERE id = %s AND state = %s AND version = %s RETURNING version",
        [to, next_in_seconds, *fields.values(), checkout.pk, checkout.state, checkout.version],
    )
    if row is None:
        raise InvalidTransition(_("This order was changed meanwhile. Reload the page."))
    execute(
        "INSERT INTO billing_checkoutevent (checkout_id, seq, from_state, to_state, actor, reason)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [checkout.pk, row[0], checkout.state, to, actor, reason],
    )
    checkout.state, checkout.version = to, row[0]
    for name, value in fields.items():
        setattr(checkout, name, value)


def add_hold(account: LockedAccount, checkout: Checkout, *, source: str, amount_minor: int) -> int:
    """Set credit aside for the checkout; return what that adds to ``held``. Nothing for an amount of 0."""
    if amount_minor <= 0:
        return 0
    CreditHold.objects.bulk_create(
        [
            CreditHold(
                organization_id=account.organization_id,
                checkout=checkout,
                cart_id=checkout.cart_id,
                source=source,
                amount_minor=amount_minor,
            )
        ]
    )
    return amount_minor


def end_holds(checkout: Checkout, *, state: str, now: datetime) -> int:
    """Capture or void every active hold of the checkout; return what was held."""
    row = fetch_one(
        "WITH ended AS (UPDATE billing_credithold SET state = %s, resolved_at = %s"
        " WHERE checkout_id = %s AND state = 'active' RETURNING amount_minor)"
        " SELECT coalesce(sum(amount_minor), 0)::bigint FROM ended",
        [state, now, checkout.pk],
    )
    assert row is not None
    return int(row[0])


def move_order(checkout: Checkout, to: str) -> Order:
    """Move the checkout's order; the guard of the table refuses an illegal step."""
    order: Order = checkout.order
    if order.state != to:
        Order.objects.filter(pk=order.pk, state=order.state).update(state=to)
        order.state = to
    return order


def release_redemption(checkout: Checkout, *, now: datetime) -> None:
    """Give the voucher's place back if this checkout still holds it; a second call changes nothing."""
    row = fetch_one(
        "UPDATE billing_redemption SET state = 'released', resolved_at = %s"
        " WHERE checkout_id = %s AND state = 'reserved' RETURNING voucher_id",
        [now, checkout.pk],
    )
    if row is not None:
        execute("UPDATE billing_voucher SET reserved_count = reserved_count - 1 WHERE id = %s", [row[0]])


def reserved_redemption(checkout: Checkout) -> Redemption | None:
    return Redemption.objects.filter(checkout=checkout, state=Redemption.State.RESERVED).first()


def lock_account_of(checkout: Checkout) -> LockedAccount:
    return lock_account(checkout.organization_id)
