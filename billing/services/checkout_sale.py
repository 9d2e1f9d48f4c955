"""What a sale writes, whichever way it was paid: the spend, the subscription, the event that starts delivery.

Source: docs/checkout.md, step T5. Amounts are minor units.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dateutil.relativedelta import relativedelta

from billing.models import Subscription
from billing.services.ledger import POSTING, Entry, LockedAccount, posting_parameters
from catalyst.core import outbox
from catalyst.core.database import execute
from tenancy.models import Organization
from tenancy.services.audit import APPEND, audit_parameters, organization_stream


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
    #: A change of a live subscription: then this opens no other one.
    change_id: uuid.UUID | None = None
    subscription_id: int | None = None


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
    execute(
        _RECORD if sale.change_id is None else _RECORD_CHANGE,
        {
            **posting_parameters(account, entries, actor=sale.actor, held_delta_minor=held_delta_minor),
            **_subscription(sale, now=now),
            **_event(sale),
            **audit_parameters(
                stream=organization_stream(sale.organization),
                actor=sale.actor,
                action="order.paid",
                target=f"order:{sale.order_number}",
                detail={"credit": sale.credit_minor, "charge": sale.charge_minor, "currency": sale.currency},
            ),
        },
        prepared=True,
    )


# One statement instead of four round trips. Foreign keys are checked at its end, so the order of its parts, which
# Postgres is free to choose, does not matter: all of them are the Organization's own, under the account's lock.
_OPEN_SUBSCRIPTION = """
subscription AS (
  INSERT INTO billing_subscription (organization_id, currency, env_type, order_id, plan, state, collection,
    psp_subscription_id, current_period, items, next_action_at)
  SELECT %(organization)s, %(currency)s, %(env_type)s, %(order)s, %(plan)s, %(state)s, %(collection)s,
    %(psp_subscription)s, tstzrange(%(period_start)s, %(period_end)s),
    (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'reference', reference, 'title', title,
        'title_ar', title_ar, 'quantity', quantity, 'unit_minor', unit_minor) ORDER BY position), '[]')
      FROM billing_orderline WHERE order_id = %(order)s AND kind <> 'discount'), now()
  RETURNING id, plan, env_type, state, monthly_minor, currency),
started AS (
  INSERT INTO core_outbox (dedup_key, topic, stream, payload)
  SELECT 'subscription.started:' || id, 'subscription.started', %(event_stream)s,
    jsonb_build_object('subscription', id, 'organization', %(organization)s::bigint, 'env_type', env_type,
      'plan', plan, 'state', state, 'monthly', monthly_minor, 'currency', currency)
  FROM subscription),
"""
_RECORD = f"WITH {POSTING}, {_OPEN_SUBSCRIPTION} event AS ({outbox.PUBLISH}) {APPEND}"
_RECORD_CHANGE = f"WITH {POSTING}, event AS ({outbox.PUBLISH}) {APPEND}"


def _subscription(sale: Sale, *, now: datetime) -> dict[str, Any]:
    start, end = sale.period or (now, now + relativedelta(months=1))
    return {
        "currency": sale.currency,
        "env_type": sale.env_type,
        "order": sale.order_id,
        "plan": sale.selection["plan"],
        "state": Subscription.State.ACTIVE.value,
        "collection": "card" if sale.psp_subscription_id else "credit",
        "psp_subscription": sale.psp_subscription_id,
        "period_start": start,
        "period_end": end,
    }


def _event(sale: Sale) -> dict[str, Any]:
    changed = {"subscription": sale.subscription_id, "change": str(sale.change_id)} if sale.change_id else {}
    return outbox.event_parameters(
        topic="order.paid",
        key=f"order.paid:{sale.order_id}",
        stream=organization_stream(sale.organization),
        payload={
            "order": sale.order_number,
            "organization": sale.organization.pk,
            "buyer": sale.buyer_id,
            "env_type": sale.env_type,
            **sale.selection,
            **changed,
        },
    )
