"""What a sale writes, whichever way it was paid: the spend, the subscription, the event that starts delivery.

Source: docs/checkout.md, step T5. Amounts are minor units.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dateutil.relativedelta import relativedelta

from billing.models import Subscription
from billing.services.ledger import Entry, LockedAccount, post_entries
from catalyst.core import outbox
from catalyst.core.database import execute
from tenancy.models import Organization
from tenancy.services.audit import append_audit, organization_stream


@dataclass(frozen=True, slots=True)
class Sale:
    checkout_id: uuid.UUID
    order_id: int
    order_number: str
    organization: Organization
    buyer_id: int
    env_type: str
    selection: dict[str, Any]
    credit_minor: int
    charge_minor: int
    currency: str
    actor: str
    psp_subscription_id: str | None = None
    period: tuple[datetime, datetime] | None = None


def record_sale(
    *, account: LockedAccount, sale: Sale, before: list[Entry], now: datetime, held_delta_minor: int = 0
) -> None:
    """Post the spend and open the subscription; call inside the transaction that makes the order paid.

    ``before`` are entries of the same transaction that come first (the voucher's grant). ``order.paid`` commits with
    the rest: no browser takes part in what follows.
    """
    entries = list(before)
    if sale.credit_minor:
        key = f"spend:{sale.order_id}"
        entries.append(Entry("order_spend", -sale.credit_minor, "settlement", key, order_id=sale.order_id))
    if entries or held_delta_minor:
        post_entries(account, entries, actor=sale.actor, held_delta_minor=held_delta_minor)
    _open_subscription(sale, now=now)
    _announce(sale)


def _open_subscription(sale: Sale, *, now: datetime) -> None:
    start, end = sale.period or (now, now + relativedelta(months=1))
    # Plain SQL: the ORM took as long to build this row as Postgres takes for half of the sale.
    execute(
        "INSERT INTO billing_subscription (organization_id, currency, env_type, order_id, plan, state, collection,"
        " psp_subscription_id, current_period) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, tstzrange(%s, %s))",
        [
            sale.organization.pk,
            sale.currency,
            sale.env_type,
            sale.order_id,
            sale.selection["plan"],
            Subscription.State.ACTIVE.value,
            "card" if sale.psp_subscription_id else "credit",
            sale.psp_subscription_id,
            start,
            end,
        ],
        prepared=True,
    )


def _announce(sale: Sale) -> None:
    stream = organization_stream(sale.organization)
    outbox.publish(
        topic="order.paid",
        key=f"order.paid:{sale.order_id}",
        stream=stream,
        payload={
            "order": sale.order_number,
            "organization": sale.organization.pk,
            "buyer": sale.buyer_id,
            "env_type": sale.env_type,
            **sale.selection,
        },
    )
    append_audit(
        stream=stream,
        actor=sale.actor,
        action="order.paid",
        target=f"order:{sale.order_number}",
        detail={"credit": sale.credit_minor, "charge": sale.charge_minor, "currency": sale.currency},
    )
