"""T1 and T1+T5: lock the account, compute the split, and write the whole attempt in one transaction, or nothing.

Source: docs/checkout.md, "Transactions".
"""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from billing.models import Checkout, Voucher
from billing.services.checkout_sale import Sale, record_sale
from billing.services.checkout_steps import LEASE_SECONDS
from billing.services.checkout_types import (
    AlreadyPaid,
    CheckoutOutcome,
    CheckoutRequest,
    Quote,
    QuoteChanged,
    SubscriptionExists,
)
from billing.services.ledger import Entry, LockedAccount, lock_account
from billing.services.own_vouchers import OwnAttemptHolds, VoucherUse, decide_use, parse_uses, voucher_busy
from billing.services.psp import secret_of
from billing.services.split import Split, split_total
from billing.services.vouchers import VoucherNotAccepting
from catalyst.core import idempotency
from catalyst.core.database import execute, fetch_one, use_case
from catalyst.core.failpoints import fp
from catalyst.core.models import Currency
from marketplace.selectors.selection import PricedSelection


class OpenAttempts(Exception):
    """The Organization's own unfinished attempts are in the way; the caller closes them and tries again."""

    def __init__(self, checkout_ids: list[uuid.UUID]) -> None:
        super().__init__(checkout_ids)
        self.checkout_ids = checkout_ids


class KeyTaken(Exception):
    """Another request with the same key was quicker; the caller answers with what that one did."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides about an attempt, read under the account's lock in one statement."""

    uses: list[dict[str, Any]]
    has_subscription: bool
    open_checkouts: list[str]
    sold_order: str
    key_subject: str


@use_case
def reserve(
    *,
    request: CheckoutRequest,
    priced: PricedSelection,
    voucher: Voucher | None,
    currency: Currency,
    replaces: str,
    now: datetime,
) -> CheckoutOutcome:
    """Write the attempt: reserved when the card must pay, completed when credit covers everything.

    ``replaces`` is the subject that the idempotency key had, when that came to nothing.

    :raises OpenAttempts: close these first. :raises KeyTaken: answer the other request's result.
    :raises SubscriptionExists, AlreadyPaid, QuoteChanged, VoucherNotAccepting, VoucherBusy: nothing was written.
    :raises ProcessorNotConfigured: the card would have to pay and cannot.
    """
    account = lock_account(request.organization.pk)
    facts = _read_facts(request, voucher)
    _check_facts(facts, request, replaces)
    use = _decide(request, voucher, facts, account, now)
    quote = make_quote(priced=priced, account=account, use=use, currency=currency)
    if request.accepted_quote and request.accepted_quote != quote.hash:
        raise QuoteChanged(
            _("The price or your balance changed. Please confirm the new amount."), extra={"quote": quote.as_json()}
        )
    if quote.split.charge_minor:
        secret_of("stripe_secret_key")
    attempt = _Attempt(request, priced, quote, use, account, currency)
    return _sell(attempt, replaces=replaces, now=now) if not quote.split.charge_minor else _hold(attempt, replaces)


def make_quote(*, priced: PricedSelection, account: LockedAccount, use: VoucherUse | None, currency: Currency) -> Quote:
    """Return the priced lines with the split that the account allows now."""
    split = split_total(
        total_minor=priced.total_minor,
        available_minor=account.available_minor + (use.grant_minor if use and not account.frozen_at else 0),
        step=currency.psp_step,
        minimum_minor=currency.psp_min_minor,
    )
    return Quote(
        lines=priced.lines,
        currency=currency.code,
        total_minor=priced.total_minor,
        split=split,
        monthly_minor=priced.monthly_minor,
        voucher_status=use.status if use else "",
        voucher_grant_minor=use.grant_minor if use else 0,
    )


@dataclass(frozen=True, slots=True)
class _Attempt:
    request: CheckoutRequest
    priced: PricedSelection
    quote: Quote
    use: VoucherUse | None
    account: LockedAccount
    currency: Currency

    @property
    def split(self) -> Split:
        return self.quote.split

    @property
    def granted_minor(self) -> int:
        return self.use.grant_minor if self.use else 0


def _hold(attempt: _Attempt, replaces: str) -> CheckoutOutcome:
    """T1: everything is set aside, nothing is consumed."""
    hold = max(attempt.split.credit_minor - attempt.granted_minor, 0)
    written = _insert_attempt(attempt, state="reserved", hold_minor=hold, grant_seq=None)
    _claim_key(attempt, written, replaces, reply=None)
    if hold:
        execute(
            "UPDATE billing_account SET held_minor = held_minor + %s WHERE organization_id = %s",
            [hold, attempt.account.organization_id],
        )
    _take_place(attempt, column="reserved_count")
    fp("checkout.T1.in_tx")
    return _outcome(attempt, written, "reserved")


def _sell(attempt: _Attempt, *, replaces: str, now: datetime) -> CheckoutOutcome:
    """T1+T5: credit covers it, so the sale is one commit with no hold and no processor."""
    account, request, granted = attempt.account, attempt.request, attempt.granted_minor
    written = _insert_attempt(attempt, state="completed", hold_minor=0, grant_seq=account.last_seq + 1)
    balance = account.posted_minor + granted - attempt.split.credit_minor
    entries = []
    if written.redemption_id is not None:
        key = f"grant:{written.redemption_id}"
        entries.append(Entry("voucher_grant", granted, "promotion", key, redemption_id=written.redemption_id))
    record_sale(
        account=account,
        sale=Sale(
            checkout_id=written.checkout_id,
            order_id=written.order_id,
            order_number=written.order_number,
            organization=request.organization,
            buyer_id=request.buyer.pk,
            env_type=request.env_type,
            selection=_selection(attempt),
            credit_minor=attempt.split.credit_minor,
            charge_minor=0,
            currency=attempt.currency.code,
            actor=request.buyer.email,
        ),
        before=entries,
        now=now,
    )
    reply = {"balance_minor": balance, "voucher_status": attempt.quote.voucher_status}
    _claim_key(attempt, written, replaces, reply=reply)
    _take_place(attempt, column="redeemed_count")
    fp("checkout.T1T5.in_tx")
    return _outcome(attempt, written, "completed", balance_minor=balance)


@dataclass(frozen=True, slots=True)
class _Written:
    checkout_id: uuid.UUID
    order_id: int
    order_number: str
    redemption_id: int | None


def _outcome(attempt: _Attempt, written: _Written, state: str, balance_minor: int = 0) -> CheckoutOutcome:
    return CheckoutOutcome(
        checkout_id=written.checkout_id,
        state=state,
        order_number=written.order_number,
        balance_minor=balance_minor,
        currency=attempt.currency.code,
        voucher_status=attempt.quote.voucher_status,
    )


def _read_facts(request: CheckoutRequest, voucher: Voucher | None) -> Facts:
    row = fetch_one(
        """
        SELECT
          (SELECT coalesce(jsonb_agg(jsonb_build_object('slot', slot, 'state', state, 'cart_id', cart_id,
              'checkout_id', checkout_id) ORDER BY reserved_at), '[]') FROM billing_redemption
            WHERE voucher_id = %(voucher)s AND organization_id = %(organization)s
              AND state IN ('reserved', 'redeemed')),
          EXISTS (SELECT FROM billing_subscription WHERE organization_id = %(organization)s
            AND env_type = %(env_type)s AND state <> 'canceled'),
          (SELECT coalesce(jsonb_agg(id), '[]') FROM billing_checkout WHERE organization_id = %(organization)s
            AND (env_type = %(env_type)s OR cart_id = %(cart)s)
            AND state IN ('reserved', 'session_requested', 'awaiting_payment', 'payment_processing', 'expiring')),
          coalesce((SELECT o.number FROM billing_checkout k JOIN billing_order o ON o.checkout_id = k.id
            WHERE k.organization_id = %(organization)s AND k.cart_id = %(cart)s AND k.state = 'completed'), ''),
          coalesce((SELECT subject FROM core_idempotencykey WHERE scope = %(scope)s AND key = %(key)s), '')
        """,
        {
            "voucher": voucher.pk if voucher else None,
            "organization": request.organization.pk,
            "env_type": request.env_type,
            "cart": request.cart_id,
            "scope": request.scope,
            "key": request.key,
        },
    )
    assert row is not None
    uses, has_subscription, open_checkouts, sold_order, key_subject = row
    return Facts(_decoded(uses), has_subscription, _decoded(open_checkouts), sold_order, key_subject)


def _decoded(value: Any) -> list[Any]:
    """Django's connections hand jsonb of raw SQL over as text."""
    return list(json.loads(value)) if isinstance(value, str) else list(value)


def _check_facts(facts: Facts, request: CheckoutRequest, replaces: str) -> None:
    if facts.key_subject != replaces:
        raise KeyTaken
    if facts.sold_order:
        raise AlreadyPaid(_("This order is already paid."), extra={"order": facts.sold_order})
    if facts.has_subscription:
        raise SubscriptionExists(
            _("This Environment has a subscription already. Change its plan instead of buying a second one.")
        )
    if facts.open_checkouts:
        raise OpenAttempts([uuid.UUID(text) for text in facts.open_checkouts])


def _decide(
    request: CheckoutRequest, voucher: Voucher | None, facts: Facts, account: LockedAccount, now: datetime
) -> VoucherUse | None:
    if voucher is None:
        return None
    if account.frozen_at:
        raise VoucherNotAccepting(_("This account takes no vouchers now."), voucher=voucher, reason="frozen")
    use = decide_use(
        voucher=voucher,
        uses=parse_uses(facts.uses),
        cart_id=request.cart_id,
        currency=account.currency,
        now=now,
    )
    if isinstance(use, OwnAttemptHolds):
        raise OpenAttempts([use.checkout_id])
    return use


def _insert_attempt(attempt: _Attempt, *, state: str, hold_minor: int, grant_seq: int | None) -> _Written:
    """Insert checkout, history, order, lines, redemption and hold.

    One statement instead of six round trips: this is the hot path of the bench row ``checkout_spread``. Foreign keys
    are checked at the end of the statement, so the order of its parts does not matter.
    """
    row = fetch_one(_INSERT_ATTEMPT, _attempt_parameters(attempt, state, hold_minor, grant_seq))
    assert row is not None
    return _Written(*row)


_INSERT_ATTEMPT = """
WITH checkout AS (
  INSERT INTO billing_checkout (id, organization_id, currency, cart_id, buyer_id, env_type, selection, state, version,
    quote_hash, total_minor, credit_minor, psp_step, psp_min_minor, lease_owner, lease_until, next_action_at,
    last_error)
  VALUES (%(id)s, %(organization)s, %(currency)s, %(cart)s, %(buyer)s, %(env_type)s, %(selection)s::jsonb, %(state)s, 1,
    %(quote_hash)s, %(total)s, %(credit)s, %(step)s, %(minimum)s, %(lease_owner)s,
    CASE WHEN %(lease_owner)s IS NOT NULL THEN now() + make_interval(secs => %(lease)s) END,
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
  RETURNING id, number),
lines AS (
  INSERT INTO billing_orderline (order_id, position, kind, reference, title, title_ar, quantity, unit_minor)
  SELECT bought.id, l.position, l.kind, l.reference, l.title, l.title_ar, l.quantity, l.unit_minor
  FROM bought, jsonb_to_recordset(%(lines)s::jsonb) AS l (position int, kind text, reference text, title text,
    title_ar text, quantity int, unit_minor bigint)),
redemption AS (
  INSERT INTO billing_redemption (organization_id, voucher_id, checkout_id, cart_id, state, currency, grant_minor,
    per_organization_limit, slot, grant_seq, resolved_at)
  SELECT %(organization)s, %(voucher)s, %(id)s, %(cart)s, %(redemption_state)s, %(currency)s, %(grant)s, %(limit)s,
    %(slot)s, %(grant_seq)s, CASE WHEN %(grant_seq)s IS NOT NULL THEN now() END
  WHERE %(slot)s > 0
  RETURNING id),
hold AS (
  INSERT INTO billing_credithold (organization_id, checkout_id, cart_id, source, amount_minor, state)
  SELECT %(organization)s, %(id)s, %(cart)s, 'balance', %(hold)s, 'active' WHERE %(hold)s > 0)
SELECT %(id)s::uuid, bought.id, bought.number, (SELECT id FROM redemption) FROM bought
"""


def _attempt_parameters(attempt: _Attempt, state: str, hold_minor: int, grant_seq: int | None) -> dict[str, Any]:
    request, quote, use = attempt.request, attempt.quote, attempt.use
    sold = state == Checkout.State.COMPLETED
    return {
        "id": uuid.uuid4(),
        "organization": request.organization.pk,
        "currency": attempt.currency.code,
        "cart": request.cart_id,
        "buyer": request.buyer.pk,
        "env_type": request.env_type,
        "selection": json.dumps(_selection(attempt)),
        "state": state,
        "quote_hash": bytes.fromhex(quote.hash),
        "total": quote.total_minor,
        "credit": quote.split.credit_minor,
        "monthly": quote.monthly_minor,
        "step": attempt.currency.psp_step,
        "minimum": attempt.currency.psp_min_minor,
        "lease_owner": None if sold else "request",
        "lease": LEASE_SECONDS,
        "actor": request.buyer.email,
        "prefix": request.sovereign.order_prefix,
        "zone": request.sovereign.time_zone,
        "order_state": "paid" if sold else "pending_payment",
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


def _selection(attempt: _Attempt) -> dict[str, Any]:
    """Return what was bought in full, a Bundle's members included: delivery needs nothing else."""
    lines = attempt.quote.lines
    return {
        "plan": attempt.priced.plan,
        "blueprints": [line.reference for line in lines if line.kind == "blueprint"],
        "addons": [line.reference for line in lines if line.kind == "addon"],
        "bundle": attempt.priced.bundle,
        "config": attempt.request.selection.config,
    }


def _claim_key(attempt: _Attempt, written: _Written, replaces: str, *, reply: dict[str, Any] | None) -> None:
    request = attempt.request
    claimed = idempotency.claim(
        scope=request.scope,
        key=request.key,
        fingerprint=request.fingerprint,
        subject=f"checkout:{written.checkout_id}",
        replaces=replaces,
        reply=reply,
    )
    if not claimed:
        raise KeyTaken


def _take_place(attempt: _Attempt, *, column: str) -> None:
    """Take the voucher's place; the last write of its transaction, because every buyer of a campaign wants this row.

    :raises VoucherBusy: the places went to others since the voucher was read.
    """
    use = attempt.use
    if use is None or not use.slot:
        return
    taken = execute(
        f"UPDATE billing_voucher SET {column} = {column} + 1"  # noqa: S608  (one of two column names)
        " WHERE id = %s AND active AND revoked_at IS NULL AND starts_at <= now()"
        " AND (ends_at IS NULL OR ends_at > now())"
        " AND (max_redemptions IS NULL OR reserved_count + redeemed_count < max_redemptions)",
        [use.voucher.pk],
    )
    if not taken:
        raise voucher_busy()
