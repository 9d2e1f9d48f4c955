"""T4: give everything back before the hand-over. It never writes to the ledger, so running it twice is harmless."""

from typing import Any

from django.utils import timezone

from billing.services.change_rows import drop_change_of
from billing.services.checkout_steps import (
    BEFORE_HANDOVER,
    end_holds,
    lock_account_of,
    lock_checkout,
    move,
    move_order,
    release_redemption,
)
from catalyst.core.database import execute, use_case
from catalyst.core.failpoints import fp


@use_case
def _compensate(*, checkout_id: Any, reason: str, actor: str) -> bool:
    checkout = lock_checkout(checkout_id)
    if checkout.state not in BEFORE_HANDOVER:
        return False
    now = timezone.now()
    account = lock_account_of(checkout)
    held = end_holds(checkout, state="voided", now=now)
    if held:
        execute(
            "UPDATE billing_account SET held_minor = held_minor - %s WHERE organization_id = %s",
            [held, account.organization_id],
        )
    move_order(checkout, "cancelled")
    drop_change_of(checkout, now=now)
    move(checkout, "compensated", actor=actor, reason=reason, lease_owner=None, lease_until=None, last_error=reason)
    # What was asked of the processor may exist there unseen; the cleaner looks it up now.
    execute(
        "UPDATE billing_pspcall SET next_action_at = least(next_action_at, now() + interval '10 seconds')"
        " WHERE checkout_id = %s AND state IN ('requested', 'unknown')",
        [checkout.pk],
    )
    release_redemption(checkout, now=now)
    fp("checkout.T4.in_tx")
    return True


def compensate(*, checkout_id: Any, reason: str, actor: str) -> bool:
    """Undo an attempt that has not handed over; return whether this call did it.

    Holds are voided, the order cancelled, the voucher's place given back. A checkout in any other state is left alone.
    """
    done = _compensate(checkout_id=checkout_id, reason=reason, actor=actor)
    fp("checkout.T4.after_commit")
    return done
