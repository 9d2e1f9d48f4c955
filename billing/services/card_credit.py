"""Credit in a renewal by card: set aside while the processor's invoice is a draft, given as one line of it.

The same line brings a draft with another price to ours: a change that waited for the end of the period may have been
told to the processor too late. Whether the line is there is read from the processor's total: what the card has to pay,
or something else. Amounts are minor units. Source: docs/card-renewals.md.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models.functions import Now

from billing.models import CreditHold, Invoice, PspCall, Subscription, SubscriptionChange
from billing.services import psp_calls
from billing.services.card_bills import Bill, read_bill
from billing.services.change_apply import apply_due_change
from billing.services.invoices import add_renewal_invoice
from billing.services.ledger import LockedAccount, lock_account, post_entries
from billing.services.psp import Processor, ProcessorRejected, ProcessorUnavailable
from billing.services.split import split_total
from catalyst.core.database import use_case
from catalyst.core.failpoints import fp
from catalyst.core.incidents import open_incident

#: The processor may forget a key after 24 hours: an older request is never repeated.
KEY_LIVES = timedelta(hours=23)


def credit_key(psp_invoice_id: str) -> str:
    return f"inv:{psp_invoice_id}:credit"


def lock_invoice_of(bill: Bill) -> Invoice | None:
    """Lock our invoice for one of the processor's; a step, under the locks of account and subscription."""
    return Invoice.objects.select_for_update(of=("self",), no_key=True).filter(psp_invoice_id=bill.id).first()


def open_draft(account: LockedAccount, subscription: Subscription, bill: Bill, *, actor: str, now: datetime) -> Invoice:
    """Write our draft for an invoice of the processor, with credit while it is a draft there as well; a step.

    One that the processor has finalized is billed to the card alone.

    :raises LookupError: the invoice does not say which period it is for.
    """
    if bill.period is None:
        raise LookupError(f"{bill.id} is for no period")
    # A change that waits for the end of a period belongs to the one that begins with this invoice.
    waiting = SubscriptionChange.objects.scheduled().filter(subscription=subscription)
    if waiting.filter(effective_at__lte=bill.period[0]).exists():
        apply_due_change(subscription, now=now)
    credit_minor = _credit_for(account, subscription, bill)
    invoice = add_renewal_invoice(
        subscription=subscription,
        period=bill.period,
        state="draft",
        credit_minor=credit_minor,
        psp_invoice_id=bill.id,
        now=now,
    )
    if credit_minor:
        _set_aside(account, invoice, actor=actor)
    if bill.is_draft and not bill.has_credit(invoice):
        _intend_line(account, invoice, bill)
    return invoice


def end_hold(invoice: Invoice, *, state: str, now: datetime) -> int:
    """Capture or void what is set aside for an invoice; a step. Return what that was; ``held`` is the caller's."""
    hold = CreditHold.objects.filter(invoice=invoice, state=CreditHold.State.ACTIVE).first()
    if hold is None:
        return 0
    hold.state, hold.resolved_at = state, now
    hold.save(update_fields=["state", "resolved_at"])
    return hold.amount_minor


def give_credit(processor: Processor, bill: Bill, *, now: datetime) -> None:
    """Bring the line to its end: sent while the invoice is a draft, found there, or given up. Safe to repeat.

    :raises ProcessorUnavailable: the outcome is unknown; the next look decides, with the same key.
    """
    call = PspCall.objects.undecided().filter(idempotency_key=credit_key(bill.id)).first()
    if call is None:
        return
    invoice = Invoice.objects.get(psp_invoice_id=bill.id)
    if _has_line(bill):
        psp_calls.resolve(key=call.idempotency_key, state="succeeded")
    elif invoice.state != Invoice.State.DRAFT or not bill.is_draft or has_outlived_key(call):
        withdraw_credit(psp_invoice_id=bill.id, outcome="absent", now=now)
    else:
        _send(processor, call, bill, now=now)


def has_outlived_key(call: PspCall) -> bool:
    """Answer whether a call is too old to be sent again with its key, by the clock that stamped it: the database's."""
    return PspCall.objects.filter(pk=call.pk, first_sent_at__lt=Now() - KEY_LIVES).exists()


@use_case
def withdraw_credit(*, psp_invoice_id: str, outcome: str, now: datetime) -> None:
    """Bill a draft to the card alone because the processor does not have the line: the hold ends, the split follows."""
    known = Invoice.objects.get(psp_invoice_id=psp_invoice_id)
    account = lock_account(known.organization_id)
    invoice = Invoice.objects.select_for_update(of=("self",), no_key=True).get(pk=known.pk)
    if invoice.state == Invoice.State.DRAFT:
        freed = end_hold(invoice, state="voided", now=now)
        post_entries(account, [], actor="system", held_delta_minor=-freed)
        Invoice.objects.filter(pk=invoice.pk).update(credit_minor=0)
    psp_calls.resolve(key=credit_key(psp_invoice_id), state=outcome)
    fp("renewal.card.withdraw.in_tx")


def _credit_for(account: LockedAccount, subscription: Subscription, bill: Bill) -> int:
    price = subscription.monthly_minor
    if bill.total_minor != price:
        open_incident(
            kind="renewal_price",
            subject=bill.id,
            detail=f"subscription {subscription.pk} costs {price}, the processor bills {bill.total_minor}",
        )
    if not bill.is_draft:
        return 0
    currency = subscription.currency
    return split_total(
        total_minor=price,
        available_minor=account.available_minor,
        step=currency.psp_step,
        minimum_minor=currency.psp_min_minor,
    ).credit_minor


def _set_aside(account: LockedAccount, invoice: Invoice, *, actor: str) -> None:
    CreditHold.objects.create(
        organization_id=account.organization_id, invoice=invoice, source="renewal", amount_minor=invoice.credit_minor
    )
    post_entries(account, [], actor=actor, held_delta_minor=invoice.credit_minor)


def _intend_line(account: LockedAccount, invoice: Invoice, bill: Bill) -> None:
    psp_calls.record_intent(
        organization_id=account.organization_id,
        op="invoice_item.create",
        key=credit_key(bill.id),
        params=_item_params(invoice, bill),
        invoice_id=invoice.pk,
    )


def _item_params(invoice: Invoice, bill: Bill) -> dict[str, Any]:
    return {
        "customer": bill.customer_id,
        "invoice": bill.id,
        "amount": invoice.total_minor - invoice.credit_minor - bill.total_minor,
        "currency": invoice.currency_id.lower(),
        "description": "Credit" if bill.total_minor == invoice.total_minor else "Price and credit",
        "metadata": {"invoice": str(invoice.uuid)},
    }


def _send(processor: Processor, call: PspCall, bill: Bill, *, now: datetime) -> None:
    fp("renewal.card.item.before_call")
    try:
        item = processor.create(call.op, call.params, key=call.idempotency_key)
    except ProcessorRejected:
        # Finalized meanwhile, most likely; a repetition may also be refused because the line is there.
        if _has_line(read_bill(processor.retrieve_invoice(bill.id))):
            psp_calls.resolve(key=call.idempotency_key, state="succeeded")
        else:
            withdraw_credit(psp_invoice_id=bill.id, outcome="rejected", now=now)
        return
    except ProcessorUnavailable:
        psp_calls.mark_unknown(key=call.idempotency_key)
        raise
    fp("renewal.card.item.after_call_before_record")
    psp_calls.resolve(key=call.idempotency_key, state="succeeded", object_id=str(item["id"]))


def _has_line(bill: Bill) -> bool:
    invoice = Invoice.objects.get(psp_invoice_id=bill.id)
    return bill.has_credit(invoice)
