"""Disputes: a cardholder's bank takes the money back, and the account stands still until that is decided.

The rows follow the processor's own answer, so events may come twice, late, or in any order. Source: docs/refunds.md.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import structlog
from django.db.models import F
from django.utils.translation import gettext as _

from billing.models import Account, Dispute, Invoice, Subscription
from billing.services import subscription_calls
from billing.services.checkout_observe import id_of
from billing.services.ledger import lock_account
from billing.services.psp import Processor
from billing.services.reasons import check_reason
from billing.services.refund_calls import payment_intent_of
from billing.services.subscriptions import end, lock_subscription
from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from catalyst.core.failpoints import fp
from catalyst.core.incidents import open_incident
from tenancy.models import Organization, User
from tenancy.services.audit import append_audit, organization_stream

log = structlog.get_logger(__name__)

#: What the processor's states mean to us; every other one is still open. ``prevented`` was settled before the bank
#: decided anything, so nothing is lost. Source: the states of ``stripe.Dispute.status``.
_CLOSED = {
    "won": Dispute.State.WON,
    "warning_closed": Dispute.State.WON,
    "prevented": Dispute.State.WON,
    "lost": Dispute.State.LOST,
}


class DisputeOpen(DomainError):
    code = "dispute_open"
    status = HTTPStatus.CONFLICT


class AccountNotFrozen(DomainError):
    code = "account_not_frozen"
    status = HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the processor says of a dispute now, and whom of us it concerns."""

    psp_dispute_id: str
    organization_id: int
    invoice_id: int | None
    amount_minor: int
    state: Dispute.State
    opened_at: datetime


def follow_dispute(processor: Processor, dispute_id: str, *, actor: str, now: datetime) -> bool:
    """Bring our record of a dispute to what the processor says; return whether the payment is one of ours."""
    dispute = processor.retrieve_dispute(dispute_id)
    seen = _match(processor, dispute)
    if seen is None:
        return False
    if _record(seen, actor=actor, now=now):
        fp("dispute.record.after_commit")
        subscription_calls.send_calls(organization_id=seen.organization_id)
    return True


@use_case
def unfreeze_account(*, organization_id: int, reason: str, actor: User, now: datetime) -> None:
    """Let a frozen account spend and take codes again, when staff have settled what a lost dispute left behind.

    :raises DisputeOpen: a dispute of this account is not decided yet. :raises AccountNotFrozen: it is not frozen.
    :raises ReasonRequired: no reason was given.
    """
    reason = check_reason(reason)
    account = lock_account(organization_id)
    if account.frozen_at is None:
        raise AccountNotFrozen(_("This account is not frozen."))
    if Dispute.objects.filter(organization_id=organization_id, state=Dispute.State.OPEN).exists():
        raise DisputeOpen(_("A dispute of this account is still open. Wait until the bank has decided."))
    _unfreeze(organization_id)
    _tell(organization_id, "account.unfrozen", key=f"{now.timestamp()}", actor=actor, detail={"reason": reason})


def _match(processor: Processor, dispute: dict[str, Any]) -> _Seen | None:
    """Find the Organization by the payment's customer, and its invoice by the payment itself."""
    intent_id = id_of(dispute.get("payment_intent"))
    if not intent_id:
        return None
    intent = processor.retrieve_intent(intent_id)
    customer = id_of(intent.get("customer"))
    account = Account.objects.filter(psp_customer_id=customer).first() if customer else None
    if account is None:
        return None
    known = Dispute.objects.filter(psp_dispute_id=dispute["id"], invoice__isnull=False).first()
    # A bank may name another currency than the charge; then the charge's amount is what is at stake.
    same = str(dispute.get("currency", "")).upper() == account.currency_id
    return _Seen(
        psp_dispute_id=str(dispute["id"]),
        organization_id=account.pk,
        invoice_id=known.invoice_id if known else _invoice_of(processor, account, intent),
        amount_minor=int(dispute["amount"] if same else intent["amount"]),
        state=_CLOSED.get(str(dispute.get("status")), Dispute.State.OPEN),
        opened_at=datetime.fromtimestamp(int(dispute["created"]), tz=UTC),
    )


def _invoice_of(processor: Processor, account: Account, intent: dict[str, Any]) -> int | None:
    """Return the invoice that a payment paid: of those with its amount, the one that the processor says it paid."""
    same_amount = Invoice.objects.filter(organization=account, card_minor=int(intent["amount"]))
    for invoice in same_amount.select_related("order__checkout").order_by("-pk"):
        if payment_intent_of(processor, invoice) == intent["id"]:
            return invoice.pk
    return None


@use_case
def _record(seen: _Seen, *, actor: str, now: datetime) -> bool:
    """Write what changed: a new dispute freezes, a decided one does what was decided, once. Return whether any did."""
    account = lock_account(seen.organization_id)
    row = Dispute.objects.filter(psp_dispute_id=seen.psp_dispute_id).first()
    if row is not None and row.state != Dispute.State.OPEN:
        return False
    is_new = row is None
    if row is None:
        row = _open(seen, actor=actor)
    elif row.invoice_id is None and seen.invoice_id is not None:
        row.invoice_id = seen.invoice_id
        row.save(update_fields=["invoice"])
    if account.frozen_at is None and seen.state != Dispute.State.WON:
        Account.objects.filter(pk=seen.organization_id).update(frozen_at=now)
    if seen.state != Dispute.State.OPEN:
        _close(row, seen, actor=actor, now=now)
    fp("dispute.record.in_tx")
    return is_new or seen.state != Dispute.State.OPEN


def _open(seen: _Seen, *, actor: str) -> Dispute:
    account = Account.objects.get(pk=seen.organization_id)
    row = Dispute.objects.create(
        organization=account,
        invoice_id=seen.invoice_id,
        psp_dispute_id=seen.psp_dispute_id,
        currency_id=account.currency_id,
        amount_minor=seen.amount_minor,
        state=Dispute.State.OPEN,
        opened_at=seen.opened_at,
    )
    detail = {"amount": seen.amount_minor, "invoice": seen.invoice_id}
    _tell(seen.organization_id, "dispute.opened", key=str(row.pk), actor=actor, detail=detail)
    _alarm(row, "A cardholder disputes a payment. Answer at the processor before its deadline.")
    return row


def _close(row: Dispute, seen: _Seen, *, actor: str, now: datetime) -> None:
    row.state, row.closed_at = seen.state, now
    row.save(update_fields=["state", "closed_at"])
    detail: dict[str, Any] = {"state": str(seen.state), "amount": row.amount_minor}
    if seen.state == Dispute.State.LOST:
        _take_loss(row, actor=actor, now=now)
    elif not _stays_frozen(row.organization_id):
        _unfreeze(row.organization_id)
    _tell(row.organization_id, "dispute.closed", key=str(row.pk), actor=actor, detail=detail)


def _take_loss(row: Dispute, *, actor: str, now: datetime) -> None:
    """The bank kept the money: count it on the invoice and end what it had paid for. The account stays frozen."""
    if row.invoice_id is None:
        _alarm(row, "A dispute is lost whose payment has no invoice of ours. Look at the payment at the processor.")
        return
    invoice = Invoice.objects.select_related("order").get(pk=row.invoice_id)
    subscription = lock_subscription(invoice.subscription_id) if invoice.subscription_id is not None else None
    invoice = Invoice.objects.select_for_update(of=("self",), no_key=True).get(pk=row.invoice_id)
    # Refund and dispute together never exceed what the card paid: what is beyond is the Sovereign's claim.
    counted = min(row.amount_minor, invoice.card_minor - invoice.card_refunded_minor - invoice.card_disputed_minor)
    Invoice.objects.filter(pk=invoice.pk).update(card_disputed_minor=F("card_disputed_minor") + counted)
    if subscription is not None and subscription.state != Subscription.State.CANCELED:
        end(subscription, actor=actor, reason="dispute lost", now=now)
    beyond = row.amount_minor - counted
    note = f" {beyond} minor units were refunded before: claim them back." if beyond else ""
    _alarm(row, f"A dispute is lost. The account stays frozen until somebody unfreezes it.{note}")


def _stays_frozen(organization_id: int) -> bool:
    """Answer whether another dispute is open, or one was lost since the freeze and nobody has dealt with it."""
    frozen_at = Account.objects.values_list("frozen_at", flat=True).get(pk=organization_id)
    mine = Dispute.objects.filter(organization_id=organization_id)
    lost = mine.filter(state=Dispute.State.LOST, closed_at__gte=frozen_at) if frozen_at else mine.none()
    return mine.filter(state=Dispute.State.OPEN).exists() or lost.exists()


def _unfreeze(organization_id: int) -> None:
    Account.objects.filter(pk=organization_id).update(frozen_at=None)


def _tell(organization_id: int, topic: str, *, key: str, actor: User | str, detail: dict[str, Any]) -> None:
    stream = organization_stream(Organization.objects.get(pk=organization_id))
    append_audit(stream=stream, actor=actor, action=topic, target=f"account:{organization_id}", detail=detail)
    payload = {"organization": organization_id, **detail}
    outbox.publish(topic=topic, key=f"{topic}:{organization_id}:{key}", stream=stream, payload=payload)


def _alarm(row: Dispute, detail: str) -> None:
    log.error("dispute", dispute=row.psp_dispute_id, detail=detail, alarm=True)
    open_incident(kind="dispute", subject=f"dispute:{row.psp_dispute_id}", detail=detail)
