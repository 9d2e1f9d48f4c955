"""Compare our books with the processor's, in both directions, and write every difference down for a person.

Nothing is repaired by a guess; only a coupon that a dead checkout left behind is deleted. What is younger than two
hours is left alone: its events may still be on their way. Source: docs/reconciliation.md.
"""

import contextlib
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from billing.models import Account, Checkout, CreditNote, Dispute, Invoice, PspCall, Subscription
from billing.services.psp import Processor
from catalyst.core.incidents import open_incident

log = structlog.get_logger(__name__)

LOOK_BACK = timedelta(days=30)
#: Events and sweeps of the last hours may still be at work.
_SETTLES_WITHIN = timedelta(hours=2)
#: A session can be paid for 35 minutes; five more cover a slow sweep.
_PAYABLE_FOR = timedelta(minutes=40)
_FOLLOWED = ("completed", "late_payment", "refunding", "refunded", "needs_review")
_DEAD = ("compensated", "lapsed", "refunded")
_LIVE_THERE = ("active", "past_due", "trialing", "unpaid")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the two sides tell differently: ``kind`` and ``subject`` name the incident."""

    kind: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Theirs:
    """What the processor says about the last days. Amounts are minor units."""

    sessions: list[dict[str, Any]]
    invoices: list[dict[str, Any]]
    refunds: list[dict[str, Any]]
    disputes: list[dict[str, Any]]
    coupons: list[dict[str, Any]]
    customers: dict[str, dict[str, Any]] = field(default_factory=dict)
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)


def reconcile(*, processor: Processor, now: datetime, look_back: timedelta = LOOK_BACK) -> list[Difference]:
    """Compare both sides and open an incident for each difference.

    :raises ProcessorUnavailable, ProcessorNotConfigured, ProcessorRejected: they could not be read; nothing was judged.
    """
    theirs = _read(processor, created_from=int((now - look_back).timestamp()))
    found = [
        *_sessions(theirs.sessions, now=now),
        *_sales(theirs.sessions, since=now - look_back, now=now),
        *_subscriptions(theirs.subscriptions, now=now),
        *_invoices(theirs.invoices, now=now),
        *_refunds(theirs.refunds, since=now - look_back, now=now),
        *_disputes(theirs.disputes, now=now),
        *_customers(theirs.customers),
    ]
    for difference in found:
        log.error("books_differ", kind=difference.kind, subject=difference.subject, alarm=True)
        open_incident(kind=difference.kind, subject=difference.subject, detail=difference.detail)
    _delete_left_over_coupons(processor, theirs.coupons)
    return found


def _read(processor: Processor, *, created_from: int) -> Theirs:
    theirs = Theirs(
        sessions=list(processor.list_all_sessions(created_from=created_from)),
        invoices=list(processor.list_invoices(created_from=created_from)),
        refunds=list(processor.list_all_refunds(created_from=created_from)),
        disputes=list(processor.list_disputes(created_from=created_from)),
        coupons=list(processor.list_coupons()),
    )
    for customer_id in Account.objects.exclude(psp_customer_id=None).values_list("psp_customer_id", flat=True):
        assert customer_id is not None
        theirs.customers[customer_id] = processor.retrieve_customer(customer_id)
        theirs.subscriptions.update({each["id"]: each for each in processor.list_subscriptions(customer_id)})
    return theirs


def _is_settled(thing: dict[str, Any], now: datetime) -> bool:
    return bool(thing["created"] <= (now - _SETTLES_WITHIN).timestamp())


def _sessions(sessions: Iterable[dict[str, Any]], *, now: datetime) -> Iterator[Difference]:
    """I31: a paid session belongs to one checkout that follows it. I32: no dead checkout can be paid."""
    sessions = list(sessions)
    ours = _checkouts(session.get("client_reference_id") for session in sessions)
    for session in sessions:
        checkout = ours.get(session.get("client_reference_id") or "")
        paid = session.get("payment_status") == "paid" and session.get("mode") != "setup"
        if paid and _is_settled(session, now):
            if checkout is None or checkout.psp_session_id != session["id"] or checkout.state not in _FOLLOWED:
                state = checkout.state if checkout else "unknown"
                yield Difference("paid_session_unmatched", session["id"], f"checkout {state}")
            elif (session["amount_total"], session["currency"].upper()) != (
                checkout.charge_minor,
                checkout.currency_id,
            ):
                yield Difference(
                    "paid_session_differs",
                    session["id"],
                    f"{session['amount_total']} {session['currency']} against {checkout.charge_minor}",
                )
        old = session["created"] <= (now - _PAYABLE_FOR).timestamp()
        if session.get("status") == "open" and old and checkout is not None and checkout.state in _DEAD:
            yield Difference("dead_checkout_payable", session["id"], f"checkout {checkout.pk} is {checkout.state}")


def _sales(sessions: Iterable[dict[str, Any]], *, since: datetime, now: datetime) -> Iterator[Difference]:
    """I32: a sale with a charge has exactly one paid session."""
    paid: dict[str, list[str]] = defaultdict(list)
    for session in sessions:
        if session.get("payment_status") == "paid" and session.get("client_reference_id"):
            paid[session["client_reference_id"]].append(session["id"])
    sold = Checkout.objects.filter(
        state="completed", charge_minor__gt=0, created_at__gte=since, updated_at__lte=now - _SETTLES_WITHIN
    )
    for checkout_id in sold.values_list("pk", flat=True):
        if not paid.get(str(checkout_id)):
            yield Difference("sale_without_payment", str(checkout_id), "")
    for reference, ids in paid.items():
        if len(ids) > 1:
            yield Difference("checkout_paid_twice", reference, ", ".join(ids))


def _subscriptions(theirs: dict[str, dict[str, Any]], *, now: datetime) -> Iterator[Difference]:
    """I33: a live subscription there is a live one here, and the other way round."""
    ours = {
        row.psp_subscription_id: row
        for row in Subscription.objects.filter(psp_subscription_id__isnull=False).select_related("order")
    }
    handed_over = PspCall.objects.filter(op="subscription.create", resolved_at__gt=now - _SETTLES_WITHIN)
    fresh = set(handed_over.values_list("object_id", flat=True))
    for psp_id, subscription in theirs.items():
        row = ours.get(psp_id)
        lives_there = subscription["status"] in _LIVE_THERE
        if lives_there and (row is None or row.state == "canceled") and _is_settled(subscription, now):
            yield Difference(
                "subscription_lives_there_only", psp_id, "missing here" if row is None else "canceled here"
            )
    for own_id, row in ours.items():
        there = theirs.get(str(own_id))
        lives_there = there is not None and there["status"] in _LIVE_THERE
        if row.state != "canceled" and not lives_there and own_id not in fresh and _has_been_so(row, there, now):
            yield Difference("subscription_lives_here_only", str(row.pk), there["status"] if there else "missing there")


def _has_been_so(row: Subscription, there: dict[str, Any] | None, now: datetime) -> bool:
    """Answer whether a subscription has been missing, or ended, there for longer than its events may take."""
    if there is None:
        return row.created_at <= now - _SETTLES_WITHIN
    ended_at: int = there.get("ended_at") or there["created"]
    return ended_at <= (now - _SETTLES_WITHIN).timestamp()


def _invoices(invoices: Iterable[dict[str, Any]], *, now: datetime) -> Iterator[Difference]:
    """A renewal that was paid there is paid here, with the same amount on the card."""
    cycles = [each for each in invoices if each.get("billing_reason") == "subscription_cycle"]
    ours = {row.psp_invoice_id: row for row in Invoice.objects.filter(psp_invoice_id__in=[i["id"] for i in cycles])}
    for invoice in cycles:
        row = ours.get(invoice["id"])
        if invoice["status"] != "paid" or not _is_settled(invoice, now):
            continue
        if row is None or row.state != "paid":
            yield Difference("renewal_paid_there_only", invoice["id"], row.state if row else "missing here")
        elif row.card_minor != invoice["amount_paid"]:
            yield Difference("renewal_differs", invoice["id"], f"{invoice['amount_paid']} against {row.card_minor}")


def _refunds(refunds: Iterable[dict[str, Any]], *, since: datetime, now: datetime) -> Iterator[Difference]:
    """I33: a refund there is the card part of one credit note here, or the refund of one late payment."""
    made = {each["id"]: each for each in refunds if each.get("status") not in ("failed", "canceled")}
    notes = {row.psp_refund_id: row for row in CreditNote.objects.filter(psp_refund_id__in=list(made))}
    late = set(PspCall.objects.filter(op="refund.create", object_id__in=list(made)).values_list("object_id", flat=True))
    for refund_id, refund in made.items():
        note = notes.get(refund_id)
        if note is not None and note.card_minor != refund["amount"]:
            yield Difference("refund_differs", refund_id, f"{refund['amount']} against {note.card_minor}")
        elif note is None and refund_id not in late and _is_settled(refund, now):
            yield Difference("refund_unknown_here", refund_id, f"{refund['amount']} {refund['currency']}")
    # A refund that was sent while the processor's list was read is not in that list.
    settled = CreditNote.objects.filter(state="settled", card_minor__gt=0, issued_at__gte=since)
    settled = settled.exclude(pspcall__resolved_at__gt=now - _SETTLES_WITHIN)
    for note in settled.filter(issued_at__lte=now - _SETTLES_WITHIN).exclude(psp_refund_id__in=list(made)):
        yield Difference("refund_missing_there", str(note), note.psp_refund_id or "")


def _disputes(disputes: Iterable[dict[str, Any]], *, now: datetime) -> Iterator[Difference]:
    known = set(Dispute.objects.values_list("psp_dispute_id", flat=True))
    for dispute in disputes:
        if dispute["id"] not in known and _is_settled(dispute, now):
            yield Difference("dispute_unknown_here", dispute["id"], f"{dispute['amount']} {dispute['currency']}")


def _customers(customers: dict[str, dict[str, Any]]) -> Iterator[Difference]:
    """I34: a balance there would pay whichever invoice comes next, past our ledger."""
    for customer_id, customer in customers.items():
        if customer.get("balance"):
            yield Difference("customer_balance", customer_id, str(customer["balance"]))


def _delete_left_over_coupons(processor: Processor, coupons: Iterable[dict[str, Any]]) -> None:
    """Delete the coupons of checkouts that died between their end and the coupon's deletion."""
    own = [str(coupon["id"]) for coupon in coupons if str(coupon["id"]).startswith("co_")]
    checkouts = _checkouts(coupon_id.removeprefix("co_") for coupon_id in own)
    for coupon_id in own:
        checkout = checkouts.get(coupon_id.removeprefix("co_"))
        if checkout is not None and checkout.state in _DEAD:
            processor.delete_coupon(coupon_id)


def _checkouts(references: Iterable[str | None]) -> dict[str, Checkout]:
    """Return the checkouts of these references, by reference; whatever else stands there is somebody else's text."""
    ids: dict[str, uuid.UUID] = {}
    for reference in references:
        with contextlib.suppress(ValueError):
            ids[reference or ""] = uuid.UUID(reference or "")
    found = Checkout.objects.in_bulk(list(ids.values()))
    return {reference: found[key] for reference, key in ids.items() if key in found}
