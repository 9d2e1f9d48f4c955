"""The rows of one attempt, written together: checkout, history, order, lines, redemption, hold.

Source: docs/checkout.md, steps T1 and T1+T5. Amounts are minor units.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing.models import Checkout, Order
from billing.selectors.ledger import Balance
from billing.selectors.orders import LineDetails, OrderDetails, Receipt
from billing.services.checkout_steps import LEASE_SECONDS
from billing.services.checkout_types import CheckoutRequest, Quote
from billing.services.ledger import LockedAccount
from billing.services.own_vouchers import VoucherUse
from billing.services.split import Split
from catalyst.core import idempotency
from catalyst.core.database import fetch_one
from catalyst.core.models import Currency
from marketplace.selectors.selection import PricedSelection


@dataclass(frozen=True, slots=True)
class Attempt:
    """One purchase as decided under the account's lock."""

    request: CheckoutRequest
    priced: PricedSelection
    quote: Quote
    use: VoucherUse | None
    account: LockedAccount
    currency: Currency
    change_id: uuid.UUID | None = None

    @property
    def split(self) -> Split:
        return self.quote.split

    @property
    def granted_minor(self) -> int:
        return self.use.grant_minor if self.use else 0


@dataclass(frozen=True, slots=True)
class WrittenAttempt:
    """What the insert gave back."""

    checkout_id: uuid.UUID
    order_id: int
    order_number: str
    created_at: datetime
    redemption_id: int | None
    has_key: bool


def insert_attempt(
    attempt: Attempt,
    *,
    state: str,
    hold_minor: int,
    grant_seq: int | None,
    replaces: str,
    reply: dict[str, Any] | None = None,
) -> WrittenAttempt:
    """Insert checkout, history, order, lines, redemption and hold, and bind the idempotency key to them.

    One statement instead of seven round trips: this is the hot path of the bench row ``checkout_spread``. Foreign keys
    are checked at the end of the statement, so the order of its parts does not matter.

    ``has_key`` of what comes back is False when another request was quicker: then nothing of this may stay.
    """
    checkout_id, request = uuid.uuid4(), attempt.request
    claim = idempotency.claim_parameters(
        scope=request.scope,
        key=request.key,
        fingerprint=request.fingerprint,
        subject=f"checkout:{checkout_id}",
        replaces=replaces,
        reply=reply,
    )
    rows = _attempt_parameters(attempt, state, hold_minor, grant_seq)
    row = fetch_one(_INSERT_ATTEMPT, {"id": checkout_id, **rows, **claim}, prepared=True)
    assert row is not None
    return WrittenAttempt(*row)


def receipt_of(attempt: Attempt, written: WrittenAttempt, *, balance_minor: int) -> Receipt:
    """Return what ``get_receipt`` would read back of a sale that credit covered, without asking."""
    quote, use, account = attempt.quote, attempt.use, attempt.account
    lines = [
        LineDetails(
            line.kind,
            line.reference,
            line.title_en,
            line.title_ar,
            line.quantity,
            line.unit_minor,
            line.amount_minor(),
        )
        for line in quote.lines
    ]
    order = OrderDetails(
        number=written.order_number,
        state=_SOLD,
        currency=attempt.currency.code,
        total_minor=quote.total_minor,
        credit_minor=quote.split.credit_minor,
        charge_minor=quote.split.charge_minor,
        created_at=written.created_at,
        lines=lines,
        voucher=use.voucher if use and use.slot else None,
    )
    is_frozen = account.frozen_at is not None
    return Receipt(order, Balance(balance_minor, account.held_minor, attempt.currency.code, is_frozen))


_SOLD = Order.State.PAID.value
_INSERT_ATTEMPT = f"""
WITH checkout AS (
  INSERT INTO billing_checkout (id, organization_id, currency, cart_id, buyer_id, env_type, change_id, selection, state,
    version, quote_hash, total_minor, credit_minor, psp_step, psp_min_minor, lease_owner, lease_until, next_action_at,
    last_error)
  VALUES (%(id)s, %(organization)s, %(currency)s, %(cart)s, %(buyer)s, %(env_type)s, %(change)s, %(selection)s::jsonb,
    %(state)s, 1, %(quote_hash)s, %(total)s, %(credit)s, %(step)s, %(minimum)s, %(lease_owner)s,
    CASE WHEN %(lease_owner)s::text IS NOT NULL THEN now() + make_interval(secs => %(lease)s) END,
    now() + make_interval(secs => %(lease)s), '')),
event AS (
  INSERT INTO billing_checkoutevent (checkout_id, seq, from_state, to_state, actor, reason)
  VALUES (%(id)s, 1, '-', %(state)s, %(actor)s, '')),
bought AS (
  INSERT INTO billing_order (number, organization_id, checkout_id, buyer_id, currency, state, total_minor, credit_minor,
    monthly_minor)
  SELECT concat_ws('-', %(prefix)s::text, to_char(now() AT TIME ZONE %(zone)s, 'YYYY'),
      lpad(n::text, greatest(6, length(n::text)), '0')),
    %(organization)s, %(id)s, %(buyer)s, %(currency)s, %(order_state)s, %(total)s, %(credit)s, %(monthly)s
  FROM nextval('billing_order_number') AS n
  RETURNING id, number, created_at),
lines AS (
  INSERT INTO billing_orderline (order_id, position, kind, reference, title, title_ar, quantity, unit_minor)
  SELECT bought.id, l.position, l.kind, l.reference, l.title, l.title_ar, l.quantity, l.unit_minor
  FROM bought, jsonb_to_recordset(%(lines)s::jsonb) AS l (position int, kind text, reference text, title text,
    title_ar text, quantity int, unit_minor bigint)),
redemption AS (
  INSERT INTO billing_redemption (organization_id, voucher_id, checkout_id, cart_id, state, currency, grant_minor,
    per_organization_limit, slot, grant_seq, resolved_at)
  SELECT %(organization)s, %(voucher)s, %(id)s, %(cart)s, %(redemption_state)s, %(currency)s, %(grant)s, %(limit)s,
    %(slot)s, %(grant_seq)s, CASE WHEN %(grant_seq)s::bigint IS NOT NULL THEN now() END
  WHERE %(slot)s > 0
  RETURNING id),
hold AS (
  INSERT INTO billing_credithold (organization_id, checkout_id, cart_id, source, amount_minor, state)
  SELECT %(organization)s, %(id)s, %(cart)s, 'balance', %(hold)s, 'active' WHERE %(hold)s > 0),
claimed AS ({idempotency.CLAIM} RETURNING id)
SELECT %(id)s::uuid, bought.id, bought.number, bought.created_at, (SELECT id FROM redemption),
  EXISTS (SELECT FROM claimed)
FROM bought
"""  # noqa: S608  (statements of our own)


def _attempt_parameters(attempt: Attempt, state: str, hold_minor: int, grant_seq: int | None) -> dict[str, Any]:
    request, quote, use = attempt.request, attempt.quote, attempt.use
    sold = state == Checkout.State.COMPLETED
    return {
        "organization": request.organization.pk,
        "currency": attempt.currency.code,
        "cart": request.cart_id,
        "buyer": request.buyer.pk,
        "env_type": request.env_type,
        "change": attempt.change_id,
        "selection": json.dumps(bought_selection(attempt)),
        "state": state,
        "quote_hash": bytes.fromhex(quote.hash),
        "total": quote.total_minor,
        "credit": quote.split.credit_minor,
        "monthly": quote.monthly_minor,
        "step": attempt.currency.psp_step,
        "minimum": attempt.currency.psp_min_minor,
        "lease_owner": None if sold else "request",
        "lease": LEASE_SECONDS,
        "actor": request.actor,
        "prefix": request.sovereign.order_prefix,
        "zone": request.sovereign.time_zone,
        "order_state": _SOLD if sold else "pending_payment",
        "lines": json.dumps(_line_rows(quote)),
        "voucher": use.voucher.pk if use else None,
        "redemption_state": "redeemed" if sold else "reserved",
        "grant": attempt.granted_minor,
        "limit": use.voucher.per_organization_limit if use else 1,
        "slot": use.slot if use else 0,
        "grant_seq": grant_seq if use and use.slot else None,
        "hold": hold_minor,
    }


def _line_rows(quote: Quote) -> list[dict[str, Any]]:
    return [
        {
            "position": position,
            "kind": line.kind,
            "reference": line.reference,
            "title": line.title_en,
            "title_ar": line.title_ar,
            "quantity": line.quantity,
            "unit_minor": line.unit_minor,
        }
        for position, line in enumerate(quote.lines, start=1)
    ]


def bought_selection(attempt: Attempt) -> dict[str, Any]:
    """Return what was bought in full, a Bundle's members included: delivery needs nothing else."""
    lines, request = attempt.quote.lines, attempt.request
    previewed = {"preview": request.preview} if request.preview else {}
    return {
        "plan": attempt.priced.plan,
        "blueprints": [line.reference for line in lines if line.kind == "blueprint"],
        "addons": [line.reference for line in lines if line.kind == "addon"],
        "bundle": attempt.priced.bundle,
        "config": request.selection.config,
        **previewed,
    }
