"""C, T2 and T3: from a reservation to a card page that the shopper can always reach again.

The hand-over is the commit that stores the session's address. Before it every failure is undone completely; after it
only the processor's answer decides. Source: docs/checkout.md, "Rules that decide everything else".
"""

import time
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone
from django.utils.translation import gettext as _

from billing.models import Account, Checkout, Redemption
from billing.services import psp_calls
from billing.services.checkout_compensate import compensate
from billing.services.checkout_session import (
    SESSION_SECONDS,
    amount_off_minor,
    coupon_id,
    coupon_params,
    session_key,
    session_params,
)
from billing.services.checkout_steps import (
    BEFORE_HANDOVER,
    add_hold,
    lock_account_of,
    lock_checkout,
    move,
    reserved_redemption,
)
from billing.services.checkout_types import CheckoutInProgress, CheckoutRequest
from billing.services.ledger import Entry, post_entries
from billing.services.psp import (
    Deadline,
    Processor,
    ProcessorNotConfigured,
    ProcessorRejected,
    ProcessorUnavailable,
    get_processor,
    processor_slot,
)
from catalyst.core.database import execute, fetch_one, use_case
from catalyst.core.errors import Unavailable
from catalyst.core.failpoints import fp
from tenancy.services.audit import append_audit

#: After the session's own expiry the processor has certainly closed it.
_OBSERVE_AFTER_EXPIRY = 60


def hand_over(*, checkout_id: Any, request: CheckoutRequest) -> str:
    """Make the card page for a reserved checkout and return its address.

    On any failure the reservation is given back before the error reaches the shopper.

    :raises ProcessorNotConfigured, ProcessorRejected, ProcessorUnavailable: nothing is held, the code works again.
    :raises CheckoutInProgress: a newer attempt replaced this one meanwhile.
    """
    try:
        with processor_slot():
            processor = get_processor()
            deadline = Deadline(settings.STRIPE_REQUEST_BUDGET_SECONDS)
            customer = _ensure_customer(processor, request, deadline)
            expires_at = int(time.time()) + SESSION_SECONDS
            params = request_session(checkout_id=checkout_id, request=request, customer=customer, expires_at=expires_at)
            session = _create_session(processor, params, deadline)
    except (ProcessorNotConfigured, ProcessorRejected, ProcessorUnavailable) as error:
        compensate(checkout_id=checkout_id, reason=error.code, actor="request")
        raise
    if not _hand_over_once(checkout_id=checkout_id, session=session):
        processor.expire_session(session["id"])
        raise CheckoutInProgress(_("A newer attempt replaced this one."), retry_after=2)
    fp("checkout.T3.after_commit")
    return str(session["url"])


def _hand_over_once(*, checkout_id: Any, session: dict[str, Any]) -> bool:
    """Run T3; when the answer to its commit is lost, read what became of it instead of running it again.

    :raises Unavailable: it was not committed; everything is given back.
    """
    try:
        return _record_hand_over(checkout_id=checkout_id, session=session, now=timezone.now())
    except OperationalError:
        connection.close()
        if Checkout.objects.filter(pk=checkout_id, psp_session_id=session["id"]).exists():
            return True
        compensate(checkout_id=checkout_id, reason="database_unavailable", actor="request")
        raise Unavailable(
            _("Something went wrong on our side. Nothing was charged. Try again."), retry_after=5
        ) from None


def _ensure_customer(processor: Processor, request: CheckoutRequest, deadline: Deadline) -> str:
    """C: return the Organization's customer at the processor, making it on the first card purchase."""
    organization = request.organization
    known = Account.objects.values_list("psp_customer_id", flat=True).get(pk=organization.pk)
    if known:
        return known
    params = {
        "name": organization.name,
        "email": request.buyer.email,
        "metadata": {"organization": str(organization.uuid), "sovereign": request.sovereign.domain},
    }
    key, intended = intend_customer(organization_id=organization.pk, params=params)
    customer = _call(processor, "customer.create", intended, key, deadline, "checkout.C")
    return record_customer(organization_id=organization.pk, customer_id=str(customer["id"]))


@use_case
def intend_customer(*, organization_id: int, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Commit the intent of making a customer and return its key; after a definite refusal the key is a new one.

    An intent whose outcome is unknown keeps its parameters, whoever buys now: the processor refuses the same key with
    other ones.
    """
    row = fetch_one(
        "SELECT count(*) FROM billing_pspcall WHERE organization_id = %s AND op = 'customer.create'"
        " AND state IN ('rejected', 'absent', 'voided')",
        [organization_id],
    )
    assert row is not None
    key = f"org:{organization_id}:customer:{row[0] + 1}"
    call = psp_calls.record_intent(organization_id=organization_id, op="customer.create", key=key, params=params)
    return key, call.params


@use_case
def record_customer(*, organization_id: int, customer_id: str) -> str:
    """Store the customer once and return the one that counts: the first."""
    execute(
        "UPDATE billing_account SET psp_customer_id = %s WHERE organization_id = %s AND psp_customer_id IS NULL",
        [customer_id, organization_id],
    )
    return str(Account.objects.values_list("psp_customer_id", flat=True).get(pk=organization_id))


@use_case
def request_session(
    *, checkout_id: Any, request: CheckoutRequest, customer: str, expires_at: int
) -> dict[str, dict[str, Any]]:
    """T2: commit what will be asked of the processor, and return the parameters per idempotency key.

    :raises CheckoutInProgress: the reservation was replaced meanwhile.
    """
    checkout = lock_checkout(checkout_id)
    if checkout.state != Checkout.State.RESERVED:
        raise CheckoutInProgress(_("A newer attempt replaced this one."), retry_after=2)
    order = checkout.order
    calls: dict[str, dict[str, Any]] = {}
    if amount_off_minor(checkout, order):
        calls[coupon_id(checkout)] = coupon_params(checkout, order, expires_at=expires_at)
    calls[session_key(checkout)] = session_params(
        checkout,
        order,
        customer=customer,
        domain=request.sovereign.domain,
        returns=request.returns,
        expires_at=expires_at,
    )
    for key, params in calls.items():
        op = "session.create" if key == session_key(checkout) else "coupon.create"
        psp_calls.record_intent(
            organization_id=checkout.organization_id, op=op, key=key, params=params, checkout_id=checkout.pk
        )
    move(checkout, "session_requested", actor="request", next_in_seconds=60)
    fp("checkout.T2.in_tx")
    return calls


def _create_session(processor: Processor, calls: dict[str, dict[str, Any]], deadline: Deadline) -> dict[str, Any]:
    session: dict[str, Any] = {}
    for key, params in calls.items():
        if "client_reference_id" in params:
            session = _call(processor, "session.create", params, key, deadline, "checkout.T2")
        else:
            _ensure_coupon(processor, params, key, deadline)
    return session


def _ensure_coupon(processor: Processor, params: dict[str, Any], key: str, deadline: Deadline) -> None:
    """Make the coupon; its id is ours, so one that exists already with the same amount is the one we asked for."""
    try:
        _call(processor, "coupon.create", params, key, deadline, "checkout.T2")
    except ProcessorRejected:
        found = processor.find_coupon(params["id"])
        if found is None or found.get("amount_off") != params["amount_off"]:
            raise


def _call(
    processor: Processor, op: str, params: dict[str, Any], key: str, deadline: Deadline, point: str
) -> dict[str, Any]:
    fp(f"{point}.before_call")
    try:
        if deadline.left() <= 0:
            raise ProcessorUnavailable(_("The card processor is slow. Try again."), retry_after=10)
        answer = processor.create(op, params, key=key, deadline=deadline)
    except (ProcessorRejected, ProcessorNotConfigured):
        psp_calls.resolve(key=key, state="rejected")
        raise
    except ProcessorUnavailable:
        psp_calls.mark_unknown(key=key)
        raise
    fp(f"{point}.after_call_before_record")
    # Session and coupon have their outcome with the hand-over; without it the cleaner finds and ends both.
    if op == "customer.create":
        psp_calls.resolve(key=key, state="succeeded", object_id=str(answer["id"]))
    return answer


@use_case
def _record_hand_over(*, checkout_id: Any, session: dict[str, Any], now: datetime) -> bool:
    """T3: from this commit on the shopper can always fetch the address. False when the attempt was replaced."""
    checkout = lock_checkout(checkout_id)
    if checkout.state not in BEFORE_HANDOVER:
        return False
    redemption = reserved_redemption(checkout)
    _post_grant(checkout, redemption, now=now)
    expires_at = datetime.fromtimestamp(session["expires_at"], tz=UTC)
    move(
        checkout,
        "awaiting_payment",
        actor="request",
        next_in_seconds=max(int((expires_at - now).total_seconds()), 0) + _OBSERVE_AFTER_EXPIRY,
        psp_session_id=session["id"],
        psp_session_url=session["url"],
        psp_session_expires_at=expires_at,
        handed_over_at=now,
        lease_owner=None,
        lease_until=None,
    )
    psp_calls.resolve(key=session_key(checkout), state="succeeded", object_id=session["id"])
    psp_calls.resolve(key=coupon_id(checkout), state="succeeded", object_id=coupon_id(checkout))
    if redemption is not None:
        _count_redemption(checkout, redemption)
    fp("checkout.T3.in_tx")
    return True


def _post_grant(checkout: Checkout, redemption: Redemption | None, *, now: datetime) -> None:
    """Grant the voucher's credit and hold what of it this order needs."""
    account = lock_account_of(checkout)
    grant = redemption.grant_minor if redemption else 0
    from_balance = max(checkout.credit_minor - grant, 0)
    held = add_hold(account, checkout, source="grant", amount_minor=checkout.credit_minor - from_balance)
    if redemption is None:
        return
    entry = Entry("voucher_grant", grant, "promotion", f"grant:{redemption.pk}", redemption_id=redemption.pk)
    execute(
        "UPDATE billing_redemption SET state = 'redeemed', grant_seq = %s, resolved_at = %s WHERE id = %s",
        [account.last_seq + 1, now, redemption.pk],
    )
    post_entries(account, [entry], actor="request", held_delta_minor=held)


def _count_redemption(checkout: Checkout, redemption: Redemption) -> None:
    """Turn the reserved place into a redeemed one; the voucher's row comes last."""
    append_audit(
        stream=f"organization:{checkout.organization_id}",
        actor=checkout.buyer,
        action="voucher.redeemed",
        target=f"voucher:{redemption.voucher_id}",
        detail={
            "credit": redemption.grant_minor,
            "currency": checkout.currency_id,
            "order": checkout.order.number,
        },
    )
    execute(
        "UPDATE billing_voucher SET reserved_count = reserved_count - 1, redeemed_count = redeemed_count + 1"
        " WHERE id = %s",
        [redemption.voucher_id],
    )
