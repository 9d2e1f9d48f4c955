"""What a refund would do, before anybody does it: the page that asks and the service that acts read the same plan.

Amounts are minor units. Rules: docs/refunds.md.
"""

from dataclasses import dataclass

from django.db.models import Sum

from billing.models import Dispute, Invoice, Order, Subscription
from catalyst.core.models import Currency
from marketplace.selectors.applications import list_applications
from tenancy.models import Organization


@dataclass(frozen=True, slots=True)
class Refundable:
    """What an invoice can still give back, per tender. ``step`` is what the card processor can move."""

    card_minor: int
    credit_minor: int
    step: int

    @property
    def total_minor(self) -> int:
        return self.card_minor + self.credit_minor


@dataclass(frozen=True, slots=True)
class RefundPlan:
    """One refund split over the tenders, and what follows from it."""

    card_minor: int
    credit_minor: int
    #: Everything that the invoice was paid with is back, or lost in a dispute.
    is_full: bool
    #: The order becomes ``refunded``.
    refunds_order: bool
    #: The subscription ends at once and its Applications are removed.
    ends_subscription: bool
    #: Names of the Applications that go.
    applications: tuple[str, ...] = ()


def get_refundable(invoice: Invoice) -> Refundable:
    """Return what can be refunded now; nothing of an invoice that is not paid.

    What the cardholder disputes is not the Sovereign's to give: it may have to be paid back through the bank.
    """
    step = Currency.objects.values_list("psp_step", flat=True).get(pk=invoice.currency_id)
    if invoice.state != Invoice.State.PAID:
        return Refundable(0, 0, step)
    opened = Dispute.objects.filter(invoice=invoice, state=Dispute.State.OPEN)
    disputed = opened.aggregate(total=Sum("amount_minor"))["total"] or 0
    card = invoice.card_minor - invoice.card_refunded_minor - invoice.card_disputed_minor - disputed
    return Refundable(max(card, 0) // step * step, invoice.credit_minor - invoice.credit_refunded_minor, step)


def plan_refund(invoice: Invoice, amount_minor: int, left: Refundable) -> RefundPlan:
    """Split an amount out of what is ``left``: the card first, the rest to credit, never credit to a card."""
    card = min(amount_minor, left.card_minor)
    returned = invoice.credit_refunded_minor + invoice.card_refunded_minor + invoice.card_disputed_minor
    is_full = returned + amount_minor >= invoice.total_minor
    ends = is_full and _pays_for_now(invoice)
    return RefundPlan(
        card_minor=card,
        credit_minor=amount_minor - card,
        is_full=is_full,
        refunds_order=is_full and invoice.order is not None and invoice.order.state == Order.State.PAID,
        ends_subscription=ends,
        applications=_applications(invoice) if ends else (),
    )


def _pays_for_now(invoice: Invoice) -> bool:
    """Answer whether the subscription stands on this invoice: its first one, or the one of the running period.

    The invoice of a change has no period, and a full refund of it leaves the subscription as it is.
    """
    subscription = invoice.subscription
    if subscription is None or subscription.state == Subscription.State.CANCELED or invoice.period is None:
        return False
    return invoice.order_id == subscription.order_id or invoice.period.upper >= subscription.current_period.upper


def _applications(invoice: Invoice) -> tuple[str, ...]:
    assert invoice.subscription is not None
    organization = Organization.objects.get(pk=invoice.organization_id)
    return tuple(row.application for row in list_applications(organization, invoice.subscription.env_type))
