"""Give money back for an invoice: one transaction decides, the processor is told afterwards. Rules: docs/refunds.md.

Amounts are minor units. Card money goes back to the card, credit to the credit ledger, and credit never to a card.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from billing.models import CreditNote, Invoice, Order
from billing.selectors.refunds import RefundPlan, get_refundable, plan_refund
from billing.services import psp_calls, subscription_calls
from billing.services.invoices import RefundExceedsPayment, issue_credit_note, issue_order_invoice
from billing.services.ledger import Entry, LockedAccount, lock_account, post_entries
from billing.services.psp import get_processor
from billing.services.reasons import check_reason
from billing.services.refund_calls import payment_intent_of, send_refund
from billing.services.subscriptions import cancel_subscription, end, lock_subscription
from catalyst.core import idempotency, outbox
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, NotFound
from catalyst.core.failpoints import fp
from tenancy.models import Organization, User
from tenancy.selectors.sovereign import get_sovereign
from tenancy.services.audit import actor_name, append_audit, organization_stream


class RefundNotInSteps(DomainError):
    code = "refund_not_in_steps"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class RefundChanged(DomainError):
    """The split is not any more the one that was confirmed."""

    code = "refund_changed"
    status = HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class _Wish:
    """One refund as it was asked for. ``amount_minor`` None means all that is left."""

    invoice_id: int
    amount_minor: int | None
    reason: str
    actor: User | str
    key: str
    confirmed_card_minor: int | None = None

    @property
    def scope(self) -> str:
        return f"refund:{self.invoice_id}"

    @property
    def fingerprint(self) -> bytes:
        return hashlib.sha256(f"{self.invoice_id}:{self.amount_minor}".encode()).digest()


def refund_invoice(
    *,
    invoice_id: int,
    amount_minor: int | None,
    reason: str,
    actor: User | str,
    now: datetime,
    key: str,
    confirmed_card_minor: int | None = None,
) -> CreditNote:
    """Refund a part of a paid invoice, or all that is left of it (``amount_minor`` None), and return the credit note.

    The same ``key`` again returns the same note. ``confirmed_card_minor`` is the card's part that the person saw. When
    the processor does not answer, the note stays ``refund_pending`` and the sweep goes on: it is not an error.

    :raises NotFound: there is no such invoice. :raises ReasonRequired: no reason was given.
    :raises RefundExceedsPayment: more than was paid and is not back yet.
    :raises RefundNotInSteps: the card's part is not what the processor can move.
    :raises RefundChanged: the split is not what was confirmed. :raises InvoiceMoved: the invoice is not paid.
    :raises IdempotencyKeyReused: the key was used for another refund.
    :raises ProcessorUnavailable, ProcessorNotConfigured: the payment could not be looked up; nothing was changed.
    """
    reason = check_reason(reason)
    wish = _Wish(invoice_id, amount_minor, reason, actor, idempotency.check_key(key), confirmed_card_minor)
    note = _find_note(wish)
    if note is None:
        invoice = _read_invoice(invoice_id)
        intent = payment_intent_of(get_processor(), invoice) if _plan_as_seen(invoice, wish).card_minor else ""
        note = _issue(wish, payment_intent=intent, now=now)
    fp("refund.issue.after_commit")
    send_refund(note_id=note.pk, now=now)
    subscription_calls.send_calls(organization_id=note.organization_id)
    note.refresh_from_db()
    return note


def preview_refund(invoice: Invoice, amount_minor: int | None) -> RefundPlan:
    """Return what a refund would do to the invoice as it stands. ``amount_minor`` None: all that is left.

    :raises RefundExceedsPayment: more than was paid and is not back yet.
    :raises RefundNotInSteps: the card's part is not what the processor can move.
    """
    left = get_refundable(invoice)
    amount = left.total_minor if amount_minor is None else amount_minor
    if amount <= 0 or amount > left.total_minor:
        message = _("This is more than what was paid and has not been refunded yet. Choose a smaller amount.")
        raise RefundExceedsPayment(message, pointer="/amount")
    plan = plan_refund(invoice, amount, left)
    if plan.card_minor % left.step:
        raise RefundNotInSteps(_("The card processor moves whole steps only. Round the amount."), pointer="/amount")
    return plan


def refund_failed_delivery(*, order_number: str, reason: str, actor: User | str, now: datetime) -> CreditNote | None:
    """Give everything back for an order that could not be delivered, once, over both tenders, and end what it sold.

    Return the credit note, or None for an order that cost nothing: then only its subscription ends.

    :raises NotFound: there is no such sold order. Further refusals are those of ``refund_invoice``.
    """
    reason = check_reason(reason)
    sold = (Order.State.PAID, Order.State.REFUNDED)
    order = Order.objects.filter(number=order_number, state__in=sold).first()
    if order is None:
        raise NotFound(_("There is no paid order with this number."))
    invoice = issue_order_invoice(order_number=order_number, now=now)
    if invoice.total_minor:
        key = f"failed-delivery:{order.pk}"
        return refund_invoice(invoice_id=invoice.pk, amount_minor=None, reason=reason, actor=actor, now=now, key=key)
    if invoice.subscription_id is not None:
        subscription_id = invoice.subscription_id
        cancel_subscription(subscription_id=subscription_id, at_once=True, actor=actor, reason=reason, now=now)
    return None


@use_case
def _issue(wish: _Wish, *, payment_intent: str, now: datetime) -> CreditNote:
    organization_id = _read_invoice(wish.invoice_id).organization_id
    account = lock_account(organization_id)
    # Whoever pressed first has committed by now: the account's lock was theirs.
    note = _find_note(wish)
    if note is not None:
        return note
    invoice = _lock_invoice(wish.invoice_id)
    plan = _plan_as_seen(invoice, wish)
    if plan.card_minor and not payment_intent:
        raise _changed()
    _take_effect(invoice, plan, wish, now=now)
    note = issue_credit_note(
        invoice=invoice,
        credit_minor=plan.credit_minor,
        card_minor=plan.card_minor,
        reason=wish.reason,
        issued_by=actor_name(wish.actor),
        state=CreditNote.State.REFUND_PENDING if plan.card_minor else CreditNote.State.SETTLED,
        now=now,
    )
    _book(account, note, wish, payment_intent=payment_intent)
    _record(note, plan, wish)
    fp("refund.issue.in_tx")
    return note


def _find_note(wish: _Wish) -> CreditNote | None:
    stored = idempotency.find(scope=wish.scope, key=wish.key, fingerprint=wish.fingerprint)
    if stored is None:
        return None
    return CreditNote.objects.get(pk=int(stored.subject.removeprefix("credit_note:")))


def _read_invoice(invoice_id: int) -> Invoice:
    rows = Invoice.objects.select_related("order__checkout", "subscription")
    invoice = rows.filter(pk=invoice_id).first()
    if invoice is None:
        raise NotFound(_("There is no such invoice."))
    return invoice


def _lock_invoice(invoice_id: int) -> Invoice:
    """Lock order, subscription and invoice, in the order that everybody keeps, and return the invoice as it is now."""
    found = _read_invoice(invoice_id)
    if found.order_id is not None:
        Order.objects.select_for_update(of=("self",), no_key=True).get(pk=found.order_id)
    if found.subscription_id is not None:
        lock_subscription(found.subscription_id)
    Invoice.objects.select_for_update(of=("self",), no_key=True).get(pk=invoice_id)
    return _read_invoice(invoice_id)


def _plan_as_seen(invoice: Invoice, wish: _Wish) -> RefundPlan:
    """Return what this refund does, or refuse it: also when that is not any more what the person confirmed."""
    plan = preview_refund(invoice, wish.amount_minor)
    if wish.confirmed_card_minor is not None and wish.confirmed_card_minor != plan.card_minor:
        raise _changed()
    return plan


def _changed() -> RefundChanged:
    return RefundChanged(_("Another refund of this invoice came first. Load the page again and check the amounts."))


def _take_effect(invoice: Invoice, plan: RefundPlan, wish: _Wish, *, now: datetime) -> None:
    """End what the money was for, in the same transaction: nobody keeps what they got their money back for."""
    if plan.ends_subscription and invoice.subscription is not None:
        reason = f"refund: {wish.reason}"
        end(lock_subscription(invoice.subscription.pk), actor=actor_name(wish.actor), reason=reason, now=now)
    if plan.refunds_order:
        Order.objects.filter(invoice=invoice, state=Order.State.PAID).update(state=Order.State.REFUNDED)


def _book(account: LockedAccount, note: CreditNote, wish: _Wish, *, payment_intent: str) -> None:
    """Post the credit part, write the intent of the card part, and bind the key to the note."""
    key = f"refund:{note.pk}"
    if note.credit_minor:
        entry = Entry("refund", note.credit_minor, "settlement", key, credit_note_id=note.pk)
        post_entries(account, [entry], actor=actor_name(wish.actor))
    if note.card_minor:
        psp_calls.record_intent(
            organization_id=note.organization_id,
            op="refund.create",
            key=key,
            params=_card_refund(note, payment_intent),
            credit_note_id=note.pk,
        )
    idempotency.claim(scope=wish.scope, key=wish.key, fingerprint=wish.fingerprint, subject=f"credit_note:{note.pk}")


def _card_refund(note: CreditNote, payment_intent: str) -> dict[str, Any]:
    return {
        "payment_intent": payment_intent,
        "amount": note.card_minor,
        "metadata": {"credit_note": str(note.uuid), "sovereign": get_sovereign().domain},
    }


def _record(note: CreditNote, plan: RefundPlan, wish: _Wish) -> None:
    stream = organization_stream(Organization.objects.get(pk=note.organization_id))
    amounts = {"credit": note.credit_minor, "card": note.card_minor}
    append_audit(
        stream=stream,
        actor=wish.actor,
        action="refund.issued",
        target=f"invoice:{note.invoice_id}",
        detail={
            **amounts,
            "credit_note": note.pk,
            "reason": wish.reason,
            "order_refunded": plan.refunds_order,
            "subscription_ended": plan.ends_subscription,
        },
    )
    payload = {"credit_note": note.pk, "invoice": note.invoice_id, "organization": note.organization_id, **amounts}
    outbox.publish(topic="refund.issued", key=f"refund.issued:{note.pk}", stream=stream, payload=payload)
