"""What a flow came to, in numbers of both sides: equal after every crash and its recovery.

What a dead attempt leaves behind and closed (compensated checkouts, voided holds, canceled orders) is left out: how
many attempts it took is the one thing that may differ.
"""

from collections import Counter
from typing import Any

from django.db.models import Q, QuerySet

from billing.models import (
    Account,
    Checkout,
    CreditGrant,
    CreditHold,
    CreditNote,
    Dispute,
    Invoice,
    LedgerEntry,
    Order,
    Redemption,
    Subscription,
    SubscriptionChange,
    SubscriptionEvent,
)
from catalyst.core.models import Incident, Outbox
from tests.stripe_standin import StripeStandIn

_EFFECTS = ("refunds.create", "subscriptions.create", "subscriptions.cancel", "invoiceitems.create", "customers.create")
_TOPICS = (
    *("order.paid", "invoice.issued", "credit_note.issued", "refund.issued", "payment.refunded", "voucher.redeemed"),
    *("credit.granted", "credit.reversed", "dispute.opened", "dispute.closed", "account.unfrozen"),
)


def facts(standin: StripeStandIn) -> dict[str, Any]:
    """Read both sides; every value is in minor units, states, or a count."""
    return {**_ours(), **_events(), **_theirs(standin)}


def _ours() -> dict[str, Any]:
    accounts = Account.objects.annotate(is_frozen=Q(frozen_at__isnull=False))
    orders = Order.objects.exclude(state="cancelled")
    return {
        "accounts": _rows(accounts, "posted_minor", "held_minor", "is_frozen"),
        "entries": _rows(LedgerEntry.objects.exclude(amount_minor=0), "kind", "amount_minor"),
        "holds": _rows(CreditHold.objects.exclude(state="voided"), "source", "state", "amount_minor"),
        "redemptions": _rows(Redemption.objects.exclude(state="released"), "state", "grant_minor"),
        "checkouts": _rows(Checkout.objects.exclude(state__in=["compensated", "lapsed"]), "state", "total_minor"),
        "orders": _rows(orders, "state", "credit_minor", "card_minor"),
        "subscriptions": _rows(Subscription.objects, "state", "plan", "collection", "cancel_at_period_end", "version"),
        "history": _rows(SubscriptionEvent.objects, "from_state", "to_state"),
        "changes": _rows(SubscriptionChange.objects.exclude(state="dropped"), "kind", "state", "price_minor"),
        "invoices": _rows(
            Invoice.objects.exclude(state="void"),
            *("state", "number", "total_minor", "credit_minor", "card_minor"),
            *("credit_refunded_minor", "card_refunded_minor", "card_disputed_minor"),
        ),
        "credit notes": _rows(CreditNote.objects, "state", "number", "credit_minor", "card_minor"),
        "grants": _rows(CreditGrant.objects, "state", "amount_minor"),
        "disputes": _rows(Dispute.objects, "state", "amount_minor"),
        "incidents": _rows(Incident.objects.filter(resolved_at=None), "kind"),
    }


def _events() -> dict[str, Any]:
    topics = Outbox.objects.values_list("topic", flat=True)
    return {"events": Counter(topic for topic in topics if topic in _TOPICS or topic.startswith("subscription."))}


def _theirs(standin: StripeStandIn) -> dict[str, Any]:
    return {
        "captured": standin.captured_minor("omr"),
        "refunds": sorted((row["status"], row["amount"]) for row in standin.all("refund")),
        "billed": sorted((row["status"], row["amount_paid"]) for row in standin.all("invoice")),
        "lines": sorted(row["amount"] for row in standin.all("invoiceitem")),
        "theirs": sorted(_subscription(row) for row in standin.all("subscription")),
        "payable": len(standin.sessions(status="open")),
        "cards": sorted(bool(row["invoice_settings"]["default_payment_method"]) for row in standin.all("customer")),
        "effects": {name: standin.calls.effect_count(name) for name in _EFFECTS},
    }


def _subscription(row: dict[str, Any]) -> tuple[str, bool, list[int]]:
    items = [item["price"]["unit_amount"] for item in row["items"]["data"]]
    return row["status"], bool(row["cancel_at_period_end"]), sorted(items)


def _rows(rows: Any, *fields: str) -> list[Any]:
    found: QuerySet[Any] = rows.values_list(*fields)
    return sorted(found, key=str)
