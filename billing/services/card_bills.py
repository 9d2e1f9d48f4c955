"""What the processor says about one of its invoices, in our words. Nothing is written here.

Source: Stripe API reference, "The Invoice object".
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from billing.models import Checkout, Invoice, Subscription
from billing.services.checkout_observe import id_of

#: States in which a checkout sold nothing and never will by itself.
_CLOSED = ("compensated", "lapsed", "refunding", "refunded")


@dataclass(frozen=True, slots=True)
class Bill:
    """One invoice of the processor. Amounts are minor units; ``period`` is the one that its recurring lines pay for.

    ``is_first`` marks the invoice that opened a subscription. ``was_tried`` says that a payment was attempted.
    """

    id: str
    subscription_id: str
    customer_id: str
    status: str
    currency: str
    livemode: bool
    total_minor: int
    paid_minor: int
    is_first: bool
    was_tried: bool
    period: tuple[datetime, datetime] | None
    labels: dict[str, str]

    @property
    def is_draft(self) -> bool:
        return self.status == "draft"

    def has_credit(self, invoice: Invoice) -> bool:
        """Answer whether the processor bills what our credit leaves of the price."""
        return self.total_minor == invoice.total_minor - invoice.credit_minor


def read_bill(invoice: dict[str, Any]) -> Bill:
    """Return the facts of an invoice as the processor shows it."""
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    return Bill(
        id=str(invoice["id"]),
        subscription_id=id_of(details.get("subscription")),
        customer_id=id_of(invoice.get("customer")),
        status=str(invoice.get("status") or ""),
        currency=str(invoice.get("currency") or "").upper(),
        livemode=bool(invoice.get("livemode")),
        total_minor=int(invoice["total"]),
        paid_minor=int(invoice["amount_paid"]),
        is_first=invoice.get("billing_reason") == "subscription_create",
        was_tried=bool(invoice.get("attempt_count") or invoice.get("attempted")),
        period=_period(invoice),
        labels=dict(details.get("metadata") or {}),
    )


def is_of_sale(bill: Bill, subscription: Subscription) -> bool:
    """Answer whether the order itself was paid by this invoice: its money is the checkout's business.

    A subscription that was sold from credit and got its card later has a first invoice too; that one is a renewal.
    """
    return bill.is_first and subscription.order.card_minor > 0


def is_of_closed_checkout(labels: dict[str, str]) -> bool:
    """Answer whether labels of the processor name a checkout that is over without a sale.

    What is left of it over there (an invoice, a subscription that we canceled) has nothing to match and never will.
    """
    try:
        reference = UUID(labels.get("checkout", ""))
    except ValueError:
        return False
    return Checkout.objects.filter(pk=reference, state__in=_CLOSED).exists()


def moment(seconds: int) -> datetime:
    """Return a moment that the processor counts in Unix seconds."""
    return datetime.fromtimestamp(seconds, tz=UTC)


def _period(invoice: dict[str, Any]) -> tuple[datetime, datetime] | None:
    for line in (invoice.get("lines") or {}).get("data") or []:
        if (line.get("parent") or {}).get("type") == "subscription_item_details":
            return moment(line["period"]["start"]), moment(line["period"]["end"])
    return None
