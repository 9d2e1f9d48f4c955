"""Orders with their lines, as their Organization and the Sovereign's staff see them. Amounts are minor units."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from billing.models import Order, Redemption, Voucher
from billing.selectors.ledger import Balance
from catalyst.core.database import fetch_one
from catalyst.core.errors import NotFound
from tenancy.models import Organization


@dataclass(frozen=True, slots=True)
class LineDetails:
    kind: str
    reference: str
    title: str
    title_ar: str
    quantity: int
    unit_minor: int
    total_minor: int


@dataclass(frozen=True, slots=True)
class OrderDetails:
    """One order. ``voucher`` is the one that this very purchase used."""

    number: str
    state: str
    currency: str
    total_minor: int
    credit_minor: int
    charge_minor: int
    created_at: datetime
    lines: Sequence[LineDetails]
    voucher: Voucher | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """An order and the balance that is left, read together."""

    order: OrderDetails
    balance: Balance


def list_orders(organization: Organization) -> QuerySet[Order]:
    """Return the Organization's orders; lines and voucher come with them."""
    return list_all_orders().filter(organization_id=organization.pk)


def list_all_orders() -> QuerySet[Order]:
    """Return the orders of every Organization, for the Sovereign's staff."""
    return Order.objects.select_related("organization__organization", "checkout__redemption__voucher").prefetch_related(
        "lines"
    )


def get_order(organization: Organization, number: str) -> OrderDetails:
    """Return one order.

    :raises NotFound: the Organization has no order of this number.
    """
    order = list_orders(organization).filter(number=number).first()
    if order is None:
        raise NotFound(_("Not found."))
    return details_of(order)


def details_of(order: Order) -> OrderDetails:
    """Return what ``list_orders`` has read, in the one form that is shown."""
    return OrderDetails(
        number=order.number,
        state=order.state,
        currency=order.currency_id,
        total_minor=order.total_minor,
        credit_minor=order.credit_minor,
        charge_minor=order.card_minor,
        created_at=order.created_at,
        lines=[
            LineDetails(
                line.kind,
                line.reference,
                line.title,
                line.title_ar,
                line.quantity,
                line.unit_minor,
                line.total_minor,
            )
            for line in sorted(order.lines.all(), key=lambda line: line.position)
        ],
        voucher=_used_voucher(order),
    )


def _used_voucher(order: Order) -> Voucher | None:
    redemption: Redemption | None = getattr(order.checkout, "redemption", None)
    if redemption is None or redemption.state == Redemption.State.RELEASED:
        return None
    return redemption.voucher


def get_receipt(organization: Organization, number: str) -> Receipt:
    """Return an order with the balance in one statement: the answer to a checkout is on the hot path.

    :raises NotFound: the Organization has no order of this number.
    """
    row = fetch_one(_RECEIPT, [organization.pk, number], prepared=True)
    if row is None:
        raise NotFound(_("Not found."))
    state, currency, total, credit, charge, created_at, lines, code_key, code_sealed, posted, held, frozen = row
    order = OrderDetails(
        number=number,
        state=state,
        currency=currency,
        total_minor=total,
        credit_minor=credit,
        charge_minor=charge,
        created_at=created_at,
        lines=[LineDetails(*line) for line in _decoded(lines)],
        voucher=Voucher(code_key=code_key, code_sealed=code_sealed) if code_sealed else None,
    )
    return Receipt(order, Balance(posted, held, currency, frozen))


_RECEIPT = """
SELECT o.state, o.currency, o.total_minor, o.credit_minor, o.card_minor, o.created_at,
  (SELECT coalesce(jsonb_agg(jsonb_build_array(l.kind, l.reference, l.title, l.title_ar, l.quantity, l.unit_minor,
      l.total_minor) ORDER BY l.position), '[]') FROM billing_orderline l WHERE l.order_id = o.id),
  v.code_key, v.code_sealed, a.posted_minor, a.held_minor, a.frozen_at IS NOT NULL
FROM billing_order o
JOIN billing_account a ON a.organization_id = o.organization_id
LEFT JOIN billing_redemption r ON r.checkout_id = o.checkout_id AND r.state <> 'released'
LEFT JOIN billing_voucher v ON v.id = r.voucher_id
WHERE o.organization_id = %s AND o.number = %s
"""


def _decoded(value: Any) -> list[Any]:
    """Django's connections hand jsonb of raw SQL over as text."""
    return list(json.loads(value)) if isinstance(value, str) else list(value)
