"""Answers of the money endpoints as plain dictionaries: cheaper than output serializers on the checkout's hot path.

``schema`` publishes the same shapes.
"""

from datetime import datetime
from typing import Any

from billing.models import (
    BillingSettings,
    LedgerEntry,
    Order,
    Redemption,
    Subscription,
    SubscriptionChange,
    Voucher,
)
from billing.selectors.ledger import Balance
from billing.selectors.orders import OrderDetails, details_of
from billing.services.settings import PUBLIC, SECRETS, SELLER, secret_state
from billing.services.subscription_changes import ChangePreview, find_open_change
from billing.services.subscription_outlook import grace_end
from billing.services.vouchers import closed_reason, reveal_code
from catalyst.core.crypto import SealBroken

Answer = dict[str, Any]


def money(amount_minor: int, currency: str) -> Answer:
    return {"amount": amount_minor, "currency": currency}


def order(details: OrderDetails) -> Answer:
    currency = details.currency
    answer: Answer = {
        "number": details.number,
        "state": details.state,
        "total": money(details.total_minor, currency),
        "credit": money(details.credit_minor, currency),
        "charge": money(details.charge_minor, currency),
        "lines": [
            {
                "kind": line.kind,
                "reference": line.reference,
                "title": line.title,
                "quantity": line.quantity,
                "unit": money(line.unit_minor, currency),
                "total": money(line.total_minor, currency),
            }
            for line in details.lines
        ],
        "created_at": details.created_at,
    }
    if details.voucher is not None:
        answer["voucher_code"] = shown_code(details.voucher)
    return answer


def staff_order(row: Order) -> Answer:
    return {"organization": row.organization.organization.slug, **order(details_of(row))}


def balance(state: Balance) -> Answer:
    return {
        "posted": money(state.posted_minor, state.currency),
        "held": money(state.held_minor, state.currency),
        "available": money(state.available_minor, state.currency),
    }


def ledger_entry(entry: LedgerEntry) -> Answer:
    currency = entry.organization.currency_id
    answer: Answer = {
        "seq": entry.seq,
        "amount": money(entry.amount_minor, currency),
        "balance_after": money(entry.balance_after_minor, currency),
        "kind": entry.kind,
        "created_at": entry.created_at,
    }
    if entry.order is not None:
        answer["order"] = entry.order.number
    if entry.redemption is not None:
        answer["voucher_code"] = shown_code(entry.redemption.voucher)
    return answer


def subscription(row: Subscription) -> Answer:
    waiting = find_open_change(row)
    return {
        "environment": row.env_type,
        "plan": row.plan,
        "state": row.state,
        "collection": row.collection,
        "period_start": row.current_period.lower,
        "period_end": row.current_period.upper,
        "monthly": money(row.monthly_minor, row.currency_id),
        "order": row.order.number,
        "items": [_item(item, row.currency_id) for item in row.items],
        "cancel_at_period_end": row.cancel_at_period_end,
        "grace_ends_at": grace_end(row),
        "change": change(waiting) if waiting else None,
    }


def change(row: SubscriptionChange) -> Answer:
    currency = row.organization.currency_id
    return {
        "id": row.pk,
        "kind": row.kind,
        "state": row.state,
        "plan": row.plan,
        "monthly": money(row.monthly_minor, currency),
        "effective_at": row.effective_at,
        "install": row.install,
        "remove": row.remove,
    }


def change_preview(preview: ChangePreview) -> Answer:
    """Say what would happen; ``problem`` is the refusal that asking for it would meet now, or null."""
    proposal, refusal = preview.proposal, preview.refusal
    row = proposal.subscription
    return {
        **preview.quote.as_json(),
        "kind": proposal.kind,
        "effective_at": proposal.effective_at,
        "plan": proposal.priced.plan,
        "monthly_now": money(row.monthly_minor, row.currency_id),
        "gained": [_item(item, row.currency_id) for item in proposal.gained],
        "lost": [_item(item, row.currency_id) for item in proposal.lost],
        "install": list(proposal.install),
        "remove": list(proposal.remove),
        "used": proposal.priced.used.as_json(),
        "capacity": proposal.priced.capacity.as_json(),
        "problem": {"code": refusal.code, "detail": refusal.message, **refusal.extra} if refusal else None,
    }


def _item(item: dict[str, Any], currency: str) -> Answer:
    return {
        "kind": item["kind"],
        "reference": item["reference"],
        "title": item["title"],
        "quantity": item["quantity"],
        "unit": money(item["unit_minor"], currency),
    }


def voucher_preview(voucher: Voucher, *, accepting: bool) -> Answer:
    """Counters, caps and slots never appear here."""
    return {
        "code": shown_code(voucher),
        "credit": money(voucher.grant_minor, voucher.currency_id),
        "description": voucher.description,
        "accepting_redemptions": accepting,
    }


def staff_voucher(voucher: Voucher, *, now: datetime) -> Answer:
    accepting = voucher.revoked_at is None and not closed_reason(voucher, now)
    return {
        **voucher_preview(voucher, accepting=accepting),
        "active": voucher.active,
        "max_redemptions": voucher.max_redemptions,
        "per_organization_limit": voucher.per_organization_limit,
        "starts_at": voucher.starts_at,
        "ends_at": voucher.ends_at,
        "revoked_at": voucher.revoked_at,
        "times_redeemed": voucher.redeemed_count,
        "created_at": voucher.created_at,
    }


def redemption(row: Redemption) -> Answer:
    answer: Answer = {
        "organization": row.organization.organization.slug,
        "state": row.state,
        "redeemed_at": row.resolved_at,
    }
    if row.checkout is not None:
        answer["order"] = row.checkout.order.number
    return answer


def billing_settings() -> Answer:
    """Secrets as ``{configured, last4}``, public keys and the seller as they are."""
    row = BillingSettings.objects.filter(pk=1).first()
    states = {name: secret_state(name) for name in SECRETS}
    secrets = {name: {"configured": state.configured, "last4": state.last4} for name, state in states.items()}
    return {**secrets, **{name: getattr(row, name, "") or None for name in (*PUBLIC, *SELLER)}}


def shown_code(voucher: Voucher) -> str:
    """Return the code, or how it ends when the key that sealed it is not configured here."""
    try:
        return reveal_code(voucher)
    except SealBroken:
        return f"…{voucher.code_hint}"
