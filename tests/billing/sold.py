"""A sale that is done: paid by card and credit, with its invoice; and what a refund leaves of it."""

import uuid
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from billing.models import CreditNote, Invoice, Order, Subscription
from billing.services.invoices import issue_order_invoice
from billing.services.refunds import refund_invoice
from billing.tasks import refunds as tasks
from catalyst.core.database import execute
from tests.billing.killed import Purchase, make_purchase, sweep
from tests.billing.shop import PLAN_MINOR, VOUCHER_MINOR, Shop
from tests.stripe_standin import StripeStandIn

CARD_MINOR = PLAN_MINOR - VOUCHER_MINOR


@dataclass
class Sold:
    """One paid order of one customer."""

    purchase: Purchase
    invoice: Invoice

    @property
    def shop(self) -> Shop:
        return self.purchase.shop

    @property
    def standin(self) -> StripeStandIn:
        assert self.shop.standin is not None
        return self.shop.standin

    @property
    def organization_id(self) -> int:
        return self.shop.organization.pk

    def refund(self, amount_minor: int | None, **changes: Any) -> CreditNote:
        """Refund as a member of staff would."""
        parts: dict[str, Any] = {
            "invoice_id": self.invoice.pk,
            "amount_minor": amount_minor,
            "reason": "Not what they needed",
            "actor": self.shop.staff,
            "now": timezone.now(),
            "key": uuid.uuid4().hex,
            **changes,
        }
        return refund_invoice(**parts)

    def state(self) -> dict[str, Any]:
        """Return all that a refund may touch, to compare before and after."""
        self.invoice.refresh_from_db()
        after = self.purchase.books()
        return {
            "invoice": (self.invoice.card_refunded_minor, self.invoice.credit_refunded_minor),
            "posted": after.posted,
            "entries": after.entries,
            "orders": after.orders,
            "subscriptions": list(
                Subscription.objects.filter(organization_id=self.organization_id)
                .order_by("id")
                .values_list("state", flat=True)
            ),
            "notes": list(
                CreditNote.objects.filter(organization_id=self.organization_id)
                .order_by("id")
                .values_list("card_minor", "credit_minor", "state")
            ),
            "refunds": self.refunds(),
        }

    def refunds(self) -> list[int]:
        """Return the amounts that the processor returned."""
        return [row["amount"] for row in self.standin.all("refund")] if self.shop.standin else []


def sell(shop: Shop, slug: str = "company", voucher_minor: int = VOUCHER_MINOR) -> Sold:
    """Sell the Plan to a new customer, paid by the voucher's credit and the card's rest, and issue the invoice."""
    purchase = make_purchase(shop, slug, voucher_minor)
    answer = purchase.buy()
    assert answer.status_code == 201
    if answer.json()["state"] != "completed":
        assert shop.standin is not None
        shop.standin.pay(str(purchase.checkouts()[0].psp_session_id))
        sweep()
    order = Order.objects.get(organization_id=purchase.shop.organization.pk)
    assert order.state == "paid"
    return Sold(purchase, issue_order_invoice(order_number=order.number, now=timezone.now()))


def sweep_refunds() -> None:
    """Let time pass, and beat come round for refunds."""
    execute("UPDATE billing_pspcall SET next_action_at = now() - interval '1 second'")
    tasks.sweep_refunds_task()
    tasks.follow_pending_refunds_task()
