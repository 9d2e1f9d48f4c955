"""The card half of a refund: the call to the processor, and what its answer makes of the credit note.

One refund per note: the note's key is repeated until the processor answers, and after 23 hours, when the processor may
have forgotten the key, nothing is sent before a look. Source: docs/refunds.md.
"""

import contextlib
import uuid
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import F, Q

from billing.models import CreditNote, Invoice, PspCall
from billing.services import psp_calls
from billing.services.checkout_observe import id_of, payment_of
from billing.services.ledger import lock_account
from billing.services.psp import (
    Processor,
    ProcessorNotConfigured,
    ProcessorRejected,
    ProcessorUnavailable,
    get_processor,
)
from catalyst.core import outbox
from catalyst.core.database import use_case
from catalyst.core.failpoints import fp
from catalyst.core.incidents import open_incident
from tenancy.models import Organization
from tenancy.services.audit import append_audit, organization_stream

log = structlog.get_logger(__name__)

OP = "refund.create"
#: Stripe may forget an idempotency key after 24 hours; one hour is for clocks.
_KEY_LIVES = timedelta(hours=23)
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=30), timedelta(days=1)
_ALARM_AFTER = timedelta(days=3)
_ALREADY = "charge_already_refunded"
_FAILED = frozenset({"failed", "canceled"})


def payment_intent_of(processor: Processor, invoice: Invoice) -> str:
    """Ask the processor which payment paid the card part of an invoice; an empty string when it knows none.

    :raises ProcessorUnavailable, ProcessorRejected: it could not be asked.
    """
    if invoice.order is not None and invoice.order.checkout.psp_session_id:
        return payment_of(processor.retrieve_session(invoice.order.checkout.psp_session_id)).payment_intent_id
    if invoice.psp_invoice_id:
        payments = (processor.retrieve_invoice(invoice.psp_invoice_id).get("payments") or {}).get("data") or []
        paid = [payment for payment in payments if payment.get("status", "paid") == "paid"]
        return next((id_of((row.get("payment") or {}).get("payment_intent")) for row in paid), "")
    return ""


def send_refund(*, note_id: int, now: datetime) -> None:
    """Return the card part of a note, if nobody has; without an answer the sweep repeats it. Never raises for that."""
    call = PspCall.objects.filter(credit_note_id=note_id, op=OP, state__in=["requested", "unknown"]).first()
    if call is None:
        return
    try:
        _send(get_processor(), call, now=now)
    except (ProcessorUnavailable, ProcessorNotConfigured, ProcessorRejected) as error:
        # A refused look says nothing about the refund; a refused refund is followed where it is sent.
        _postpone(call, now=now, reason=error.code)


def follow_refund(processor: Processor, refund_id: str, *, actor: str, now: datetime) -> bool:
    """Bring a note to what the processor says of its refund; return whether the refund is one of ours."""
    refund = processor.retrieve_refund(refund_id)
    note = _note_of(refund)
    if note is None:
        return _is_late_refund(refund)
    return _follow(note, refund, actor=actor)


def follow_charge(processor: Processor, charge_id: str, *, actor: str, now: datetime) -> bool:
    """Follow every refund of a charge; return whether all of them are ours. One made by hand there is not."""
    intent = id_of(processor.retrieve_charge(charge_id).get("payment_intent"))
    refunds = processor.list_refunds(payment_intent=intent) if intent else []
    matched = [follow_refund(processor, str(refund["id"]), actor=actor, now=now) for refund in refunds]
    return bool(matched) and all(matched)


def _send(processor: Processor, call: PspCall, *, now: datetime) -> None:
    note = CreditNote.objects.get(pspcall=call)
    refund = _look_up(processor, call, note) if _is_old(call, now=now) else None
    if refund is None:
        fp("refund.call.before_call")
        try:
            refund = processor.create(OP, call.params, key=call.idempotency_key)
        except ProcessorRejected as error:
            _refused(processor, call, note, code=str(error.extra.get("processor_code", "")))
            return
        fp("refund.call.after_call_before_record")
    _follow(note, refund, actor="system")


def _is_old(call: PspCall, *, now: datetime) -> bool:
    return call.first_sent_at is None or now - call.first_sent_at > _KEY_LIVES


def _look_up(processor: Processor, call: PspCall, note: CreditNote) -> dict[str, Any] | None:
    refunds = processor.list_refunds(payment_intent=call.params["payment_intent"])
    return next((row for row in refunds if (row.get("metadata") or {}).get("credit_note") == str(note.uuid)), None)


def _refused(processor: Processor, call: PspCall, note: CreditNote, *, code: str) -> None:
    """A definite no. "Already refunded" is success: the cardholder has the money."""
    if code != _ALREADY:
        _fail(note_id=note.pk, reason=f"refused: {code or 'no code'}", actor="system")
        return
    refund = _look_up(processor, call, note)
    if refund is not None:
        _follow(note, refund, actor="system")
        return
    _settle(note_id=note.pk, refund_id=_find_by_hand(processor, call, note), is_done=True, actor="system")
    _alarm("refund.by_hand", note, "The processor had returned this payment already, by another refund than ours.")


def _find_by_hand(processor: Processor, call: PspCall, note: CreditNote) -> str | None:
    """Return the refund that somebody made there for just this amount, so that both sides name the same one."""
    made = processor.list_refunds(payment_intent=call.params["payment_intent"])
    ids = [str(row["id"]) for row in made if row["amount"] == note.card_minor and row.get("status") not in _FAILED]
    taken = set(CreditNote.objects.filter(psp_refund_id__in=ids).values_list("psp_refund_id", flat=True))
    return next((refund_id for refund_id in ids if refund_id not in taken), None)


def _follow(note: CreditNote, refund: dict[str, Any], *, actor: str) -> bool:
    """Take the step that the refund's state demands; a refund that differs from the note is left to a person."""
    call = PspCall.objects.get(credit_note=note, op=OP)
    differs = (
        refund.get("amount") != note.card_minor or id_of(refund.get("payment_intent")) != call.params["payment_intent"]
    )
    if differs:
        _alarm("refund.mismatch", note, f"The refund {refund['id']} at the processor is not what this note returns.")
        return True
    status = str(refund.get("status") or "")
    if status in _FAILED:
        reason = str(refund.get("failure_reason") or status)
        _fail(note_id=note.pk, reason=reason, actor=actor, refund_id=str(refund["id"]))
    else:
        _settle(note_id=note.pk, refund_id=str(refund["id"]), is_done=status == "succeeded", actor=actor)
    return True


@use_case
def _settle(*, note_id: int, refund_id: str | None, is_done: bool, actor: str) -> None:
    """Record that the processor has the refund, and that the money is back when it says so; once."""
    note = _lock_note(note_id)
    if note.state != CreditNote.State.REFUND_PENDING:
        return
    if refund_id and note.psp_refund_id is None:
        note.psp_refund_id = refund_id
    if is_done:
        note.state = CreditNote.State.SETTLED
    note.save(update_fields=["psp_refund_id", "state"])
    psp_calls.resolve(key=f"refund:{note.pk}", state="succeeded", object_id=refund_id)
    if is_done:
        _record(note, "refund.settled", actor=actor, detail={"card": note.card_minor})
    fp("refund.record.in_tx")


@use_case
def _fail(*, note_id: int, reason: str, actor: str, refund_id: str | None = None) -> None:
    """The card money did not go back: the counter returns and a person is called. Credit that was given stays."""
    note = _lock_note(note_id)
    if note.state not in (CreditNote.State.REFUND_PENDING, CreditNote.State.SETTLED):
        return
    note.state = CreditNote.State.REFUND_FAILED
    note.psp_refund_id = note.psp_refund_id or refund_id
    note.save(update_fields=["psp_refund_id", "state"])
    Invoice.objects.filter(pk=note.invoice_id).update(card_refunded_minor=F("card_refunded_minor") - note.card_minor)
    psp_calls.resolve(key=f"refund:{note.pk}", state="rejected", object_id=refund_id)
    _record(note, "refund.failed", actor=actor, detail={"card": note.card_minor, "reason": reason})
    _alarm("refund.failed", note, reason)
    fp("refund.fail.in_tx")


def _lock_note(note_id: int) -> CreditNote:
    organization_id = CreditNote.objects.values_list("organization_id", flat=True).get(pk=note_id)
    lock_account(organization_id)
    note = CreditNote.objects.select_for_update(of=("self",), no_key=True).get(pk=note_id)
    Invoice.objects.select_for_update(of=("self",), no_key=True).get(pk=note.invoice_id)
    return note


def _record(note: CreditNote, topic: str, *, actor: str, detail: dict[str, Any]) -> None:
    stream = organization_stream(Organization.objects.get(pk=note.organization_id))
    append_audit(stream=stream, actor=actor, action=topic, target=f"credit_note:{note.pk}", detail=detail)
    payload = {"credit_note": note.pk, "invoice": note.invoice_id, "organization": note.organization_id, **detail}
    outbox.publish(topic=topic, key=f"{topic}:{note.pk}", stream=stream, payload=payload)


def _postpone(call: PspCall, *, now: datetime, reason: str) -> None:
    """Wait about as long as the call is old: 30 seconds at first, a day at most. After three days a person looks."""
    age = now - call.first_sent_at if call.first_sent_at else timedelta(0)
    wait = min(max(age, _FIRST_WAIT), _LONGEST_WAIT)
    log.warning("refund_postponed", call=call.pk, reason=reason, seconds=wait.total_seconds())
    psp_calls.mark_unknown(key=call.idempotency_key, next_in_seconds=int(wait.total_seconds()))
    if age > _ALARM_AFTER and call.credit_note is not None:
        _alarm("refund.unanswered", call.credit_note, "The processor has given no answer for days.")


def _alarm(kind: str, note: CreditNote, detail: str) -> None:
    log.error(kind.replace(".", "_"), credit_note=note.pk, detail=detail, alarm=True)
    open_incident(kind=kind, subject=f"credit_note:{note.pk}", detail=detail)


def _note_of(refund: dict[str, Any]) -> CreditNote | None:
    """Find the note by our own record of the refund, else by the id that we had put on it."""
    wanted = Q(psp_refund_id=str(refund["id"]))
    with contextlib.suppress(ValueError):  # not ours, or somebody else's text
        wanted |= Q(uuid=uuid.UUID(str((refund.get("metadata") or {}).get("credit_note"))))
    return CreditNote.objects.filter(wanted, card_minor__gt=0).first()


def _is_late_refund(refund: dict[str, Any]) -> bool:
    """Answer whether a late payment was returned by it: the checkout keeps that record itself."""
    intent = id_of(refund.get("payment_intent"))
    return PspCall.objects.filter(op=OP, credit_note=None, params__payment_intent=intent).exists()
