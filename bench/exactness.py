"""After the load: every invariant of the project, and every counter and balance against the rows behind it."""

from django.db import connection

from catalyst.core.invariants import check_invariants, registered

_TOTALS = """
SELECT (SELECT count(*) FROM billing_order WHERE state = 'paid'),
       (SELECT count(*) FROM billing_redemption WHERE state = 'redeemed'),
       (SELECT sum(redeemed_count) FROM billing_voucher),
       (SELECT count(*) FROM billing_subscription WHERE state = 'active'),
       (SELECT count(*) FROM core_outbox WHERE topic = 'order.paid'),
       (SELECT sum(posted_minor) FROM billing_account),
       (SELECT sum(amount_minor) FROM billing_ledgerentry)
"""
#: Liveness: no relay runs during a benchmark, so events wait.
_NEEDS_RELAY = ("I29",)


def assert_invariants() -> None:
    """Check them all.

    :raises SystemExit: one is broken.
    """
    broken = [violation for violation in check_invariants() if not violation.id.startswith(_NEEDS_RELAY)]
    if broken:
        raise SystemExit(f"Broken invariants: {broken}")


def main() -> None:
    """Print one line; end with an error when anything is inexact."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(_TOTALS)
        orders, redemptions, counted, subscriptions, events, posted, entries = cursor.fetchone()
    if not orders == redemptions == counted == subscriptions == events or posted != entries:
        raise SystemExit(
            f"Inexact: {orders=} {redemptions=} {counted=} {subscriptions=} {events=} {posted=} {entries=}"
        )
    assert_invariants()
    print(f"Exact after {orders} sales: {len(registered())} invariants hold, every cap and balance is right.")
