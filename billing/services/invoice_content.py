"""What an invoice bills: its lines, what is charged for them, and the period it pays. Amounts are minor units."""

from dataclasses import dataclass
from typing import Any

from psycopg.types.range import TimestamptzRange

from billing.models import Invoice, Order, Subscription


@dataclass(frozen=True, slots=True)
class Content:
    """What an invoice bills: its lines and what is charged for them. The difference is the rounding line."""

    lines: list[dict[str, Any]]
    total_minor: int
    credit_minor: int

    @property
    def rounding_minor(self) -> int:
        return self.total_minor - sum(int(line["total_minor"]) for line in self.lines)

    @property
    def shown_lines(self) -> list[dict[str, Any]]:
        rounding = self.rounding_minor
        if not rounding:
            return self.lines
        return [
            *self.lines,
            {
                "kind": "rounding",
                "reference": "rounding",
                "title": "Rounding",
                "title_ar": "فرق التقريب",
                "quantity": 1,
                "unit_minor": rounding,
                "total_minor": rounding,
            },
        ]


def order_content(order: Order) -> Content:
    """Return what a sold order bills: its lines."""
    lines = [
        {
            "kind": line.kind,
            "reference": line.reference,
            "title": line.title,
            "title_ar": line.title_ar,
            "quantity": line.quantity,
            "unit_minor": line.unit_minor,
            "total_minor": line.total_minor,
        }
        for line in order.lines.order_by("position")
    ]
    return Content(lines, order.total_minor, order.credit_minor)


def renewal_content(subscription: Subscription, *, total_minor: int | None, credit_minor: int) -> Content:
    """Return what a period of a subscription bills: its items; ``total_minor`` where the charge is not their sum."""
    lines = [{**item, "total_minor": item["quantity"] * item["unit_minor"]} for item in subscription.items]
    total = sum(int(line["total_minor"]) for line in lines) if total_minor is None else total_minor
    return Content(lines, total, credit_minor)


def billed_by(order: Order) -> tuple[Subscription | None, TimestamptzRange | None]:
    """Return the subscription of an order and the period it pays: the first one; a change pays for no period."""
    if order.checkout.change is not None:
        return order.checkout.change.subscription, None
    subscription = Subscription.objects.filter(order=order).first()
    if subscription is None:
        return None, None
    # A worker that comes only after the first renewal still bills the first period, and nothing twice.
    renewals = Invoice.objects.filter(subscription=subscription, period__isnull=False).exclude(state=Invoice.State.VOID)
    first = renewals.order_by("period").first()
    if first is None:
        return subscription, subscription.current_period
    assert first.period is not None
    return subscription, TimestamptzRange(min(subscription.created_at, order.created_at), first.period.lower)
