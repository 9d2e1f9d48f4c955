"""Money that goes back, or does not: refunds that fail, and disputes.

Source: docs.stripe.com/refunds and docs.stripe.com/disputes.
"""

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.wire import Json

_DAYS_TO_ANSWER = 7 * 24 * 60 * 60
#: What a dispute looks like while the bank decides, and when it decided against us.
_HELD = ("needs_response", "under_review", "lost")


class NotReversible(Exception):
    """The refund or dispute has already ended, or there is no money to take."""


def fail_refund(account: Account, refund_id: str, reason: str = "expired_or_canceled_card") -> Json:
    """Let a refund fail after the fact: its money is back with us.

    :raises NotReversible: it failed before.
    """
    with account.store.transaction():
        refund = account.find("refund", refund_id)
        if refund["status"] not in ("pending", "succeeded"):
            raise NotReversible(refund["status"])
        charge = account.find("charge", refund["charge"])
        account.save(charge, amount_refunded=charge["amount_refunded"] - refund["amount"], refunded=False)
        account.save(refund, failure_reason=reason, status="failed")
        account.emit("refund.updated", refund)
        account.emit("refund.failed", refund)
        return refund


def open_dispute(account: Account, paid: str, amount: int | None = None) -> Json:
    """Let the cardholder complain about a charge (or the charge of a payment intent), by default about all of it.

    :raises NotReversible: nothing of it was captured and kept, or it is disputed already.
    """
    with account.store.transaction():
        if paid.startswith("pi_"):
            paid = account.find("payment_intent", paid)["latest_charge"]
        charge = account.find("charge", paid)
        kept = charge["amount_captured"] - charge["amount_refunded"]
        if kept <= 0 or charge["disputed"]:
            raise NotReversible(paid)
        dispute = account.create(
            "dispute",
            account.new_id("dp"),
            amount=kept if amount is None else amount,
            balance_transactions=[],
            charge=charge["id"],
            currency=charge["currency"],
            enhanced_eligibility_types=[],
            evidence={"enhanced_evidence": {}},
            evidence_details={
                "due_by": account.clock.now() + _DAYS_TO_ANSWER,
                "enhanced_eligibility": {},
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
            },
            is_charge_refundable=False,
            metadata={},
            payment_intent=charge["payment_intent"],
            reason="fraudulent",
            status="needs_response",
        )
        account.save(charge, disputed=True)
        account.emit("charge.dispute.created", dispute)
        account.emit("charge.dispute.funds_withdrawn", dispute)
        return dispute


def close_dispute(account: Account, dispute_id: str, *, won: bool) -> Json:
    """Let the bank decide.

    :raises NotReversible: it decided before.
    """
    with account.store.transaction():
        dispute = account.find("dispute", dispute_id)
        if dispute["status"] not in ("needs_response", "under_review"):
            raise NotReversible(dispute["status"])
        account.save(dispute, status="won" if won else "lost")
        if won:
            account.emit("charge.dispute.funds_reinstated", dispute)
        account.emit("charge.dispute.closed", dispute)
        return dispute


def is_held_by_dispute(account: Account, charge_id: str) -> bool:
    """Whether the bank holds the money of a charge, so that it cannot be refunded."""
    return any(row["charge"] == charge_id and row["status"] in _HELD for row in account.store.newest_first("dispute"))
