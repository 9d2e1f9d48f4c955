"""Renewal by card: the processor bills and we follow. Whatever tells us to look, what counts is what we see then.

Each function below compares states and may run again, twice at once, or in any order. Amounts are minor units.
Source: docs/card-renewals.md.
"""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet

from billing.models import CreditHold, Invoice, Subscription
from billing.services import psp_calls
from billing.services.card_bills import Bill, is_of_closed_checkout, is_of_sale, read_bill
from billing.services.card_credit import credit_key, end_hold, give_credit, lock_invoice_of, open_draft
from billing.services.checkout_observe import id_of
from billing.services.invoices import number_invoice, settle_invoice, void_invoice, write_off_invoice
from billing.services.ledger import Entry, LockedAccount, post_entries
from billing.services.psp import Processor, ProcessorRejected
from billing.services.psp_errors import is_missing
from billing.services.subscription_renewals import announce_renewal
from billing.services.subscriptions import end, lock_with_account, mark_past_due, restore
from catalyst.core.database import use_case
from catalyst.core.failpoints import fp
from catalyst.core.incidents import open_incident

#: The processor's states of a subscription that never comes back.
_ENDED = ("canceled", "incomplete_expired")
_DUE = (Invoice.State.DRAFT, Invoice.State.OPEN, Invoice.State.UNCOLLECTIBLE)


def follow_invoice(processor: Processor, object_id: str, *, actor: str, now: datetime) -> bool:
    """Follow one invoice of the processor; return whether it is about something of ours.

    :raises ProcessorUnavailable: no answer, or the credit line's outcome is unknown; look again.
    """
    try:
        bill = read_bill(processor.retrieve_invoice(object_id))
    except ProcessorRejected as error:
        # A draft can be deleted over there.
        if not is_missing(error) or not _forget(psp_invoice_id=object_id, now=now):
            raise
        return True
    subscription = _find(bill.subscription_id)
    if subscription is None:
        return is_of_closed_checkout(bill.labels)
    if is_of_sale(bill, subscription):
        _note_first_invoice(subscription, bill)
        return True
    if bill.is_first and not bill.total_minor:
        # A card added in the middle of a paid period: nothing is billed until the period ends.
        return True
    _follow_bill(processor, subscription, bill, actor=actor, now=now)
    return True


def follow_subscription(processor: Processor, object_id: str, *, actor: str, now: datetime) -> bool:
    """Follow a subscription of the processor and its latest invoice; return whether it is ours.

    :raises ProcessorUnavailable: no answer; look again.
    """
    theirs = processor.retrieve_subscription(object_id)
    subscription = _find(object_id)
    if subscription is None:
        return is_of_closed_checkout(dict(theirs.get("metadata") or {}))
    follow_seen_subscription(processor, subscription, theirs, actor=actor, now=now)
    return True


def follow_seen_subscription(
    processor: Processor, subscription: Subscription, theirs: dict[str, Any], *, actor: str, now: datetime
) -> None:
    """Follow what was just read of a subscription at the processor, and its latest invoice.

    :raises ProcessorUnavailable: no answer; look again.
    """
    latest = id_of(theirs.get("latest_invoice"))
    if latest:
        # First the money: what was paid before an end was for a subscription that still lived.
        follow_invoice(processor, latest, actor=actor, now=now)
    _note_seen(subscription_id=subscription.pk, status=str(theirs.get("status")), actor=actor, seen_at=now)


def owed_invoices(subscription: Subscription) -> QuerySet[Invoice]:
    """Return the invoices that are due, and those that were given up for a period that nothing has paid."""
    paid_until = subscription.current_period.upper
    due = Q(state=Invoice.State.OPEN) | Q(state=Invoice.State.UNCOLLECTIBLE, period__endswith__gt=paid_until)
    return Invoice.objects.filter(due, subscription=subscription)


def _follow_bill(processor: Processor, subscription: Subscription, bill: Bill, *, actor: str, now: datetime) -> None:
    if bill.status in ("draft", "open"):
        _note_open(subscription_id=subscription.pk, bill=bill, actor=actor, now=now)
        fp("renewal.card.reserve.after_commit")
    give_credit(processor, bill, now=now)
    if bill.status == "open" and bill.was_tried:
        _note_failure(subscription_id=subscription.pk, bill=bill, actor=actor, now=now)
    elif bill.status == "paid":
        _book(subscription_id=subscription.pk, bill=bill, actor=actor, now=now)
        fp("renewal.card.book.after_commit")
    elif bill.status in ("void", "uncollectible"):
        _drop(subscription_id=subscription.pk, bill=bill, actor=actor, now=now)


@use_case
def _note_open(*, subscription_id: int, bill: Bill, actor: str, now: datetime) -> None:
    """Have our draft, once. An ended subscription gets none: the processor is being told to end it too."""
    account, subscription = lock_with_account(subscription_id)
    if subscription.state == Subscription.State.CANCELED or lock_invoice_of(bill) is not None:
        return
    open_draft(account, subscription, bill, actor=actor, now=now)
    fp("renewal.card.reserve.in_tx")


@use_case
def _note_failure(*, subscription_id: int, bill: Bill, actor: str, now: datetime) -> None:
    """The card was declined: the invoice is due and gets its number, the subscription is past due."""
    _account, subscription = lock_with_account(subscription_id)
    invoice = lock_invoice_of(bill)
    if invoice is None or invoice.state not in (Invoice.State.DRAFT, Invoice.State.OPEN):
        return
    mark_past_due(subscription, actor=actor, reason="card_declined", now=now)
    if invoice.state == Invoice.State.DRAFT:
        number_invoice(invoice, state="open", now=now)
    fp("renewal.card.failure.in_tx")


@use_case
def _book(*, subscription_id: int, bill: Bill, actor: str, now: datetime) -> None:
    """Book a paid invoice: the credit's spend, the number, the next period. A difference is an incident instead."""
    account, subscription = lock_with_account(subscription_id)
    invoice = lock_invoice_of(bill)
    if invoice is None:
        invoice = open_draft(account, subscription, bill, actor=actor, now=now)
    if invoice.state == Invoice.State.PAID:
        return
    difference = _difference(account, invoice, bill)
    if difference:
        _report(subscription, bill, "renewal_payment", difference)
        return
    _spend(account, invoice, actor=actor, now=now)
    if subscription.state == Subscription.State.CANCELED:
        _report(subscription, bill, "paid_after_end", "money for an ended subscription: refund its invoice")
    else:
        _begin_period(subscription, invoice, actor=actor, now=now)
    if invoice.state == Invoice.State.DRAFT:
        number_invoice(invoice, state="paid", now=now)
    else:
        settle_invoice(invoice, now=now)
    fp("renewal.card.book.in_tx")


@use_case
def _drop(*, subscription_id: int, bill: Bill, actor: str, now: datetime) -> None:
    """The processor will not collect this invoice: what was set aside is free again."""
    account, subscription = lock_with_account(subscription_id)
    invoice = lock_invoice_of(bill)
    if invoice is None and bill.status == "uncollectible" and subscription.state != Subscription.State.CANCELED:
        invoice = open_draft(account, subscription, bill, actor=actor, now=now)
    if invoice is None or invoice.state not in _DUE:
        return
    freed = end_hold(invoice, state="voided", now=now)
    post_entries(account, [], actor=actor, held_delta_minor=-freed)
    if bill.status == "void":
        void_invoice(invoice, now=now)
    else:
        _write_off(invoice, now=now)
    if owed_invoices(subscription).exists():
        mark_past_due(subscription, actor=actor, reason="card_declined", now=now)
    else:
        restore(subscription, actor=actor, reason="debt_dropped", now=now)
    fp("renewal.card.drop.in_tx")


@use_case
def _forget(*, psp_invoice_id: str, now: datetime) -> bool:
    """Void our draft of an invoice that the processor does not have any more; return whether there was one."""
    known = Invoice.objects.filter(psp_invoice_id=psp_invoice_id, state=Invoice.State.DRAFT).first()
    if known is None or known.subscription_id is None:
        return False
    account, _subscription = lock_with_account(known.subscription_id)
    freed = end_hold(known, state="voided", now=now)
    post_entries(account, [], actor="system", held_delta_minor=-freed)
    void_invoice(known, now=now)
    # The line was for that draft alone: nothing will ever tell more about it.
    psp_calls.resolve(key=credit_key(psp_invoice_id), state="absent")
    return True


@use_case
def _note_seen(*, subscription_id: int, status: str, actor: str, seen_at: datetime) -> None:
    """Remember when we looked, and end what the processor has ended; an end is never taken back."""
    _account, subscription = lock_with_account(subscription_id)
    Subscription.objects.filter(pk=subscription.pk).exclude(psp_seen_at__gte=seen_at).update(psp_seen_at=seen_at)
    if status in _ENDED:
        reason = "period_end" if subscription.cancel_at_period_end else "ended_at_processor"
        end(subscription, actor=actor, reason=reason, now=seen_at, at_processor=False)


@use_case
def _note_first_invoice(subscription: Subscription, bill: Bill) -> None:
    """Remember which of the processor's invoices belongs to the order's; that knowledge is all there is to take."""
    issued = Invoice.objects.filter(order=subscription.order, psp_invoice_id=None).exclude(state=Invoice.State.VOID)
    issued.update(psp_invoice_id=bill.id)


def _find(psp_subscription_id: str) -> Subscription | None:
    if not psp_subscription_id:
        return None
    return Subscription.objects.select_related("order").filter(psp_subscription_id=psp_subscription_id).first()


def _difference(account: LockedAccount, invoice: Invoice, bill: Bill) -> str:
    """Return what in a paid invoice differs from ours, or nothing. Nothing is posted on a difference."""
    card_minor = invoice.total_minor - invoice.credit_minor
    expected = {
        "paid": (bill.paid_minor, card_minor),
        "total": (bill.total_minor, card_minor),
        "currency": (bill.currency, invoice.currency_id),
        "livemode": (bill.livemode, settings.STRIPE_LIVEMODE),
        "customer": (bill.customer_id, account.psp_customer_id),
    }
    for name, (found, wanted) in expected.items():
        if found != wanted:
            return f"{name}: {found!r} instead of {wanted!r}"
    if invoice.state not in _DUE:
        return f"our invoice is {invoice.state}"
    if invoice.credit_minor > _held_for(invoice) + account.posted_minor - account.held_minor:
        return "the credit part is not there any more"
    return ""


def _held_for(invoice: Invoice) -> int:
    held = CreditHold.objects.filter(invoice=invoice, state=CreditHold.State.ACTIVE)
    return sum(held.values_list("amount_minor", flat=True))


def _report(subscription: Subscription, bill: Bill, kind: str, detail: str) -> None:
    open_incident(kind=kind, subject=bill.id, detail=f"subscription {subscription.pk}: {detail}")


def _spend(account: LockedAccount, invoice: Invoice, *, actor: str, now: datetime) -> None:
    """Turn what was set aside into the spend of this invoice."""
    held = end_hold(invoice, state="captured", now=now)
    if not invoice.credit_minor:
        return
    key = f"invoice:{invoice.pk}"
    spend = Entry("invoice_spend", -invoice.credit_minor, "settlement", key, invoice_id=invoice.pk)
    post_entries(account, [spend], actor=actor, held_delta_minor=-held)


def _begin_period(subscription: Subscription, invoice: Invoice, *, actor: str, now: datetime) -> None:
    """Move to the paid period, never back, and return from past due once nothing else is owed."""
    assert invoice.period is not None
    if invoice.period.upper > subscription.current_period.upper:
        subscription.current_period, subscription.next_action_at = invoice.period, now
        subscription.save(update_fields=["current_period", "next_action_at"])
    if not owed_invoices(subscription).exclude(pk=invoice.pk).exists():
        restore(subscription, actor=actor, reason="card", now=now)
    announce_renewal(subscription, invoice)


def _write_off(invoice: Invoice, *, now: datetime) -> None:
    if invoice.state == Invoice.State.DRAFT:
        number_invoice(invoice, state="open", now=now)
    if invoice.state == Invoice.State.OPEN:
        write_off_invoice(invoice, now=now)
