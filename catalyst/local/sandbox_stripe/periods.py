"""Billing periods: where the next one ends."""

import calendar
from datetime import UTC, datetime, timedelta

from catalyst.local.sandbox_stripe.wire import Json


def next_end(anchor: int, every: Json, after: int) -> int:
    """Return the first end of a period that lies after a moment.

    Counted from the anchor and not from the last end, so that a subscription of 31 January is billed on 28 February
    and then on 31 March.

    Source: docs.stripe.com/billing/subscriptions/billing-cycle.
    """
    count = 0
    while (end := _add(anchor, every["interval"], every["interval_count"] * count)) <= after:
        count += 1
    return end


def _add(start: int, interval: str, count: int) -> int:
    moment = datetime.fromtimestamp(start, UTC)
    if interval in ("day", "week"):
        return int((moment + timedelta(days=count * (7 if interval == "week" else 1))).timestamp())
    months = moment.year * 12 + moment.month - 1 + count * (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return int(moment.replace(year=year, month=month + 1, day=day).timestamp())
