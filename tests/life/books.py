"""What must be true when the world is quiet: our books hold, and they equal the processor's to the baisa."""

from collections import Counter
from dataclasses import dataclass

from django.db.models import F, Sum
from django.utils import timezone

from billing.models import Account, Checkout, Invoice
from billing.services.psp import get_processor
from billing.services.reconciliation import reconcile
from catalyst.core.invariants import check_invariants
from tests.stripe_standin import StripeStandIn

#: Sent again after the processor forgot the key, such a call changes nothing: it names the state to be in.
_NAMES_A_STATE = {"cancel_at_period_end"}


@dataclass(frozen=True)
class Totals:
    """Amounts in minor units, and what was sold."""

    captured: int
    refunded: int
    billed_to_cards: int
    credit_left: int
    sales: int
    renewals: int


def totals(standin: StripeStandIn) -> Totals:
    """Count both sides."""
    paid = Invoice.objects.filter(state="paid")
    billed = paid.aggregate(total=Sum(F("card_minor") - F("card_refunded_minor")))["total"] or 0
    return Totals(
        captured=standin.captured_minor("omr"),
        refunded=sum(refund["amount"] for refund in standin.all("refund") if refund["status"] != "failed"),
        billed_to_cards=int(billed),
        credit_left=int(Account.objects.aggregate(total=Sum("posted_minor"))["total"] or 0),
        sales=Checkout.objects.filter(state="completed").count(),
        renewals=paid.filter(order=None).count(),
    )


def assert_books(standin: StripeStandIn) -> Totals:
    """Assert every invariant, equal books, no orphan session and no double charge; return the totals."""
    assert [str(violation) for violation in check_invariants()] == []
    differences = reconcile(processor=get_processor(), now=timezone.now())
    assert [(each.kind, each.subject, each.detail) for each in differences] == []
    assert orphan_sessions(standin) == []
    assert double_effects(standin) == {}
    found = totals(standin)
    assert found.captured - found.refunded == found.billed_to_cards
    return found


def orphan_sessions(standin: StripeStandIn) -> list[str]:
    """Return the payable sessions for which nobody waits."""
    waiting = set(
        Checkout.objects.filter(state__in=["awaiting_payment", "payment_processing", "expiring"]).values_list(
            "psp_session_id", flat=True
        )
    )
    payable = [session for session in standin.sessions(status="open") if session["mode"] != "setup"]
    return [session["id"] for session in payable if session["id"] not in waiting]


def double_effects(standin: StripeStandIn) -> dict[str, int]:
    """Return every purchase or bill that money was taken for more than once, counted at the processor."""
    paid = Counter(
        session["client_reference_id"]
        for session in standin.sessions(payment_status="paid")
        if session.get("client_reference_id") and session["mode"] != "setup"
    )
    charged = Counter(
        call.idempotency_key
        for call in standin.calls.find()
        if call.has_effect and call.idempotency_key and call.parameters.keys() != _NAMES_A_STATE
    )
    bills = Counter({invoice["id"]: len(_payments(invoice)) for invoice in standin.all("invoice")})
    counted = Counter[str]() + paid + bills + charged
    return {name: count for name, count in counted.items() if count > 1}


def _payments(invoice: dict[str, object]) -> list[object]:
    payments = invoice.get("payments")
    rows = payments.get("data", []) if isinstance(payments, dict) else []
    return [row for row in rows if isinstance(row, dict) and row.get("status") == "paid"]
