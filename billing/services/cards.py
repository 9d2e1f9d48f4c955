"""The Organization's card: a page of the processor to save one, and what follows when it was saved.

A saved card becomes the customer's default and pays every subscription; what is due is tried at once, and what was paid
from credit so far moves to the card. Source: docs/card-renewals.md; Stripe API reference, "SetupIntents".
"""

from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from billing.models import Account, PspCall, Subscription
from billing.services import card_calls, psp_calls
from billing.services.card_adoption import intend_adoption
from billing.services.card_credit import KEY_LIVES
from billing.services.card_renewals import owed_invoices
from billing.services.checkout_handover import intend_customer, record_customer
from billing.services.checkout_observe import id_of
from billing.services.ledger import lock_account, read_account
from billing.services.psp import (
    Deadline,
    Processor,
    ProcessorNotConfigured,
    ProcessorRejected,
    ProcessorUnavailable,
    get_processor,
    processor_slot,
)
from billing.services.subscriptions import lock_subscription
from catalyst.core.database import use_case
from catalyst.core.errors import DomainError
from catalyst.core.failpoints import fp
from tenancy.models import Organization, Sovereign, User
from tenancy.services.audit import append_audit, organization_stream

#: ``declined``: the card is saved, and something that is due could not be paid with it.
CardOutcome = Literal["saved", "declined", "unknown"]


class NoCardYet(DomainError):
    """The Organization was never a customer of the processor."""

    code = "no_card_yet"
    status = HTTPStatus.CONFLICT


def start_card_change(
    *, organization: Organization, sovereign: Sovereign, actor: User, returns: tuple[str, str]
) -> str:
    """Return the address of the page on which a card is saved; nothing is charged there.

    ``returns`` are where the person comes back to, after saving and after leaving.

    :raises ProcessorNotConfigured, ProcessorRejected, ProcessorUnavailable: there is no page; nothing has changed.
    """
    with processor_slot():
        processor, deadline = get_processor(), Deadline(settings.STRIPE_REQUEST_BUDGET_SECONDS)
        customer = _ensure_customer(processor, organization, sovereign, actor, deadline)
        success, cancel = returns
        params = {
            "mode": "setup",
            "customer": customer,
            "currency": str(sovereign.currency_id).lower(),
            "client_reference_id": str(organization.uuid),
            "metadata": {"organization": str(organization.uuid), "sovereign": sovereign.domain},
            "success_url": success,
            "cancel_url": cancel,
        }
        call = _intend_page(organization_id=organization.pk, op="session.create", prefix="card", params=params)
        return str(_open_page(processor, call, deadline)["url"])


def open_portal(*, organization: Organization, return_url: str) -> str:
    """Return the address of the processor's own page about a customer's cards and receipts.

    :raises NoCardYet: nothing was ever paid by card.
    :raises ProcessorNotConfigured, ProcessorRejected, ProcessorUnavailable: there is no page.
    """
    account = read_account(organization.pk)
    if account is None or account.psp_customer_id is None:
        raise NoCardYet(_("There is no card yet. Add one on the billing page first."))
    params = {"customer": account.psp_customer_id, "return_url": return_url}
    with processor_slot():
        processor, deadline = get_processor(), Deadline(settings.STRIPE_REQUEST_BUDGET_SECONDS)
        call = _intend_page(organization_id=organization.pk, op="portal.create", prefix="portal", params=params)
        return str(_open_page(processor, call, deadline)["url"])


def follow_card_session(processor: Processor, session: dict[str, Any], *, actor: str, now: datetime) -> bool:
    """Follow a page on which a card was to be saved; return whether it is a customer's of ours.

    :raises ProcessorUnavailable: no answer; look again.
    """
    owner = Account.objects.filter(psp_customer_id=id_of(session.get("customer")) or None).first()
    if owner is None:
        return False
    intent_id = id_of(session.get("setup_intent"))
    if session.get("status") != "complete" or not intent_id:
        return True
    intent = processor.retrieve_setup_intent(intent_id)
    if intent.get("status") != "succeeded":
        # Some methods are confirmed later: look again.
        return False
    _intend_card(organization_id=owner.pk, intent=intent, actor=actor, now=now)
    fp("card.save.after_commit")
    card_calls.send_calls(organization_id=owner.pk, now=now)
    return True


def follow_card_return(*, organization: Organization, session_id: str, now: datetime) -> CardOutcome:
    """Follow the page that a person comes back from; return what became of the card.

    A silent processor changes nothing: the event and the sweep ask again.
    """
    account = read_account(organization.pk)
    if not session_id or account is None or account.psp_customer_id is None:
        return "unknown"
    try:
        processor = get_processor()
        session = processor.retrieve_session(session_id)
        if session.get("mode") != "setup" or id_of(session.get("customer")) != account.psp_customer_id:
            return "unknown"
        followed = follow_card_session(processor, session, actor="return", now=now)
    except (ProcessorNotConfigured, ProcessorRejected, ProcessorUnavailable):
        return "unknown"
    return _outcome(organization.pk, id_of(session.get("setup_intent"))) if followed else "unknown"


def _outcome(organization_id: int, intent_id: str) -> CardOutcome:
    """Return what the calls that a saved card caused have come to; without any it was not saved, or replaced."""
    mine = PspCall.objects.filter(organization_id=organization_id)
    told = mine.filter(op="customer.update", idempotency_key=f"card:{intent_id}:customer").first()
    if told is None:
        return "unknown"
    method = told.params["invoice_settings"]["default_payment_method"]
    caused = Q(idempotency_key__startswith=f"card:{intent_id}:") | Q(params__default_payment_method=method)
    calls = mine.filter(caused)
    if calls.undecided().exists():
        return "unknown"
    return "declined" if calls.filter(state=PspCall.State.REJECTED).exists() else "saved"


@use_case
def _intend_card(*, organization_id: int, intent: dict[str, Any], actor: str, now: datetime) -> None:
    """Write down everything that a saved card changes. Of two cards the one whose page was opened later counts."""
    account = lock_account(organization_id)
    assert account.psp_customer_id is not None
    method, started = id_of(intent.get("payment_method")), int(intent["created"])
    saved = PspCall.objects.filter(
        organization_id=organization_id, op="customer.update", idempotency_key__startswith="card:"
    )
    key = f"card:{intent['id']}"
    if saved.filter(idempotency_key=f"{key}:customer").exists():
        return
    if any(int(row["metadata"]["card_started"]) > started for row in saved.values_list("params", flat=True)):
        return
    older = PspCall.objects.undecided().filter(card_calls.CARD, organization_id=organization_id)
    older.update(state="voided", resolved_at=Now())
    changes = {
        "customer": account.psp_customer_id,
        "invoice_settings": {"default_payment_method": method},
        "metadata": {"card_started": str(started)},
    }
    record = psp_calls.record_intent
    record(organization_id=organization_id, op="customer.update", key=f"{key}:customer", params=changes)
    live = Subscription.objects.filter(organization_id=organization_id).exclude(state=Subscription.State.CANCELED)
    for pk in live.order_by("pk").values_list("pk", flat=True):
        _intend_for(lock_subscription(pk), key=key, customer=account.psp_customer_id, method=method, now=now)
    organization = Organization.objects.get(pk=organization_id)
    stream = organization_stream(organization)
    append_audit(stream=stream, actor=actor, action="card.saved", target=f"setup:{intent['id']}", detail={})
    fp("card.save.in_tx")


def _intend_for(subscription: Subscription, *, key: str, customer: str, method: str, now: datetime) -> None:
    theirs = subscription.psp_subscription_id
    if theirs is None:
        intend_adoption(subscription, customer=customer, method=method, now=now)
        return
    organization_id, record = subscription.organization_id, psp_calls.record_intent
    changes = {"subscription": theirs, "default_payment_method": method}
    record(organization_id=organization_id, op="subscription.update", key=f"{key}:{theirs}", params=changes)
    for invoice in owed_invoices(subscription).filter(psp_invoice_id__isnull=False).order_by("pk"):
        pay = {"invoice": invoice.psp_invoice_id}
        pay_key = f"{key}:pay:{invoice.psp_invoice_id}"
        record(organization_id=organization_id, op="invoice.pay", key=pay_key, params=pay, invoice_id=invoice.pk)


def _ensure_customer(
    processor: Processor, organization: Organization, sovereign: Sovereign, actor: User, deadline: Deadline
) -> str:
    account = read_account(organization.pk)
    if account is not None and account.psp_customer_id is not None:
        return account.psp_customer_id
    wanted = {
        "name": organization.name,
        "email": actor.email,
        "metadata": {"organization": str(organization.uuid), "sovereign": sovereign.domain},
    }
    key, params = intend_customer(organization_id=organization.pk, params=wanted)
    customer = _send(processor, "customer.create", params, key, deadline)
    return record_customer(organization_id=organization.pk, customer_id=str(customer["id"]))


@use_case
def _intend_page(*, organization_id: int, op: str, prefix: str, params: dict[str, Any]) -> PspCall:
    """Write down that a page is wanted. One whose outcome is unknown is sent again as it was."""
    lock_account(organization_id)
    start = f"{prefix}:{organization_id}:"
    mine = PspCall.objects.filter(organization_id=organization_id, op=op, idempotency_key__startswith=start)
    waiting = mine.undecided().filter(first_sent_at__gt=Now() - KEY_LIVES).order_by("-pk").first()
    if waiting is not None:
        return waiting
    key = f"{start}{mine.count() + 1}"
    return psp_calls.record_intent(organization_id=organization_id, op=op, key=key, params=params)


def _open_page(processor: Processor, call: PspCall, deadline: Deadline) -> dict[str, Any]:
    return _send(processor, call.op, call.params, call.idempotency_key, deadline)


def _send(processor: Processor, op: str, params: dict[str, Any], key: str, deadline: Deadline) -> dict[str, Any]:
    fp("card.page.before_call")
    try:
        answer = processor.create(op, params, key=key, deadline=deadline)
    except (ProcessorRejected, ProcessorNotConfigured):
        psp_calls.resolve(key=key, state="rejected")
        raise
    except ProcessorUnavailable:
        psp_calls.mark_unknown(key=key)
        raise
    fp("card.page.after_call_before_record")
    psp_calls.resolve(key=key, state="succeeded", object_id=str(answer["id"]))
    return answer
