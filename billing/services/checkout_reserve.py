"""T1 and T1+T5: lock the account, compute the split, and write the whole attempt in one transaction, or nothing.

Source: docs/checkout.md, "Transactions".
"""

import json
import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from billing.models import Voucher
from billing.services.change_apply import apply_change
from billing.services.change_pricing import Proposal
from billing.services.change_rows import check_changeable, write_change
from billing.services.checkout_sale import Sale, record_sale
from billing.services.checkout_types import (
    AlreadyPaid,
    CheckoutOutcome,
    CheckoutRequest,
    Quote,
    QuoteChanged,
    SubscriptionExists,
)
from billing.services.checkout_writes import Attempt, WrittenAttempt, bought_selection, insert_attempt, receipt_of
from billing.services.ledger import LOCK, Entry, LockedAccount, locked_account
from billing.services.own_vouchers import OwnAttemptHolds, VoucherUse, decide_use, parse_uses, take_place
from billing.services.psp import secret_of
from billing.services.split import split_total
from billing.services.subscriptions import lock_subscription
from billing.services.vouchers import VoucherNotAccepting
from catalyst.core.database import execute, fetch_together, together, use_case
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
    account, facts = _lock_and_read(request, voucher)
    _check_facts(facts, request, replaces)
    use = _decide(request, voucher, facts, account, now)
    quote = make_quote(priced=priced, account=account, use=use, currency=currency)
    if request.accepted_quote and request.accepted_quote != quote.hash:
        raise QuoteChanged(
            _("The price or your balance changed. Please confirm the new amount."), extra={"quote": quote.as_json()}
        )
    if quote.split.charge_minor:
        secret_of("stripe_secret_key")
    change_id = _write_change(request.change, request, now=now) if request.change else None
    attempt = Attempt(request, priced, quote, use, account, currency, change_id)
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


def _hold(attempt: Attempt, replaces: str) -> CheckoutOutcome:
    """T1: everything is set aside, nothing is consumed."""
    hold = max(attempt.split.credit_minor - attempt.granted_minor, 0)
    written = _insert(attempt, replaces=replaces, state="reserved", hold_minor=hold, grant_seq=None)
    if hold:
        execute(
            "UPDATE billing_account SET held_minor = held_minor + %s WHERE organization_id = %s",
            [hold, attempt.account.organization_id],
        )
    if attempt.use and attempt.use.slot:
        take_place(attempt.use.voucher, column="reserved_count")
    fp("checkout.T1.in_tx")
    return _outcome(attempt, written, "reserved")


def _sell(attempt: Attempt, *, replaces: str, now: datetime) -> CheckoutOutcome:
    """T1+T5: credit covers it, so the sale is one commit with no hold and no processor."""
    account, granted = attempt.account, attempt.granted_minor
    balance = account.posted_minor + granted - attempt.split.credit_minor
    written = _insert(
        attempt,
        replaces=replaces,
        state="completed",
        hold_minor=0,
        grant_seq=account.last_seq + 1,
        reply={
            "balance_minor": balance,
            "held_minor": account.held_minor,
            "voucher_status": attempt.quote.voucher_status,
        },
    )
    entries = []
    if written.redemption_id is not None:
        key = f"grant:{written.redemption_id}"
        entries.append(Entry("voucher_grant", granted, "promotion", key, redemption_id=written.redemption_id))
    with together():
        record_sale(account=account, sale=_sale_of(attempt, written), before=entries, now=now)
        if attempt.use and attempt.use.slot:
            take_place(attempt.use.voucher, column="redeemed_count")
    apply_change(attempt.change_id, actor=attempt.request.actor, now=now)
    fp("checkout.T1T5.in_tx")
    receipt = receipt_of(attempt, written, balance_minor=balance)
    return replace(_outcome(attempt, written, "completed", balance_minor=balance), receipt=receipt)


def _sale_of(attempt: Attempt, written: WrittenAttempt) -> Sale:
    request = attempt.request
    return Sale(
        checkout_id=written.checkout_id,
        order_id=written.order_id,
        order_number=written.order_number,
        organization=request.organization,
        buyer_id=request.buyer.pk,
        env_type=request.env_type,
        selection=bought_selection(attempt),
        credit_minor=attempt.split.credit_minor,
        charge_minor=0,
        currency=attempt.currency.code,
        actor=request.actor,
        change_id=attempt.change_id,
        subscription_id=request.change.subscription.pk if request.change else None,
    )


def _outcome(attempt: Attempt, written: WrittenAttempt, state: str, balance_minor: int = 0) -> CheckoutOutcome:
    return CheckoutOutcome(
        checkout_id=written.checkout_id,
        state=state,
        order_number=written.order_number,
        balance_minor=balance_minor,
        held_minor=attempt.account.held_minor,
        currency=attempt.currency.code,
        voucher_status=attempt.quote.voucher_status,
    )


_FACTS = """
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
"""


def _lock_and_read(request: CheckoutRequest, voucher: Voucher | None) -> tuple[LockedAccount, Facts]:
    """Lock the account, then read the facts: two statements, sent together, so that the second sees all that the lock
    had to wait for.

    :raises NotFound: the Organization has no account yet.
    """
    parameters = {
        "voucher": voucher.pk if voucher else None,
        "organization": request.organization.pk,
        "env_type": request.env_type,
        "cart": request.cart_id,
        "scope": request.scope,
        "key": request.key,
    }
    locked, row = fetch_together((LOCK, {"organization": request.organization.pk}), (_FACTS, parameters))
    account = locked_account(locked)
    assert row is not None
    uses, has_subscription, open_checkouts, sold_order, key_subject = row
    return account, Facts(_decoded(uses), has_subscription, _decoded(open_checkouts), sold_order, key_subject)


def _decoded(value: Any) -> list[Any]:
    """Django's connections hand jsonb of raw SQL over as text."""
    return list(json.loads(value)) if isinstance(value, str) else list(value)


def _check_facts(facts: Facts, request: CheckoutRequest, replaces: str) -> None:
    if facts.key_subject != replaces:
        raise KeyTaken
    if facts.sold_order:
        raise AlreadyPaid(_("This order is already paid."), extra={"order": facts.sold_order})
    if facts.has_subscription and request.change is None:
        raise SubscriptionExists(
            _("This Environment has a subscription already. Change its plan instead of buying a second one.")
        )
    if facts.open_checkouts:
        raise OpenAttempts([uuid.UUID(text) for text in facts.open_checkouts])


def _write_change(proposal: Proposal, request: CheckoutRequest, *, now: datetime) -> uuid.UUID:
    """Write down what this order changes; the subscription is still the one that was priced.

    :raises SubscriptionNotActive: it owes money, is suspended or has ended. :raises InvalidTransition: it moved on.
    """
    check_changeable(lock_subscription(proposal.subscription.pk), proposal, now=now)
    return write_change(proposal, state="pending", actor=request.buyer, now=now).pk


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


def _insert(attempt: Attempt, *, replaces: str, **values: Any) -> WrittenAttempt:
    written = insert_attempt(attempt, replaces=replaces, **values)
    if not written.has_key:
        raise KeyTaken
    return written
