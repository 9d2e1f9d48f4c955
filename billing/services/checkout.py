"""The checkout as its shopper sees it: start, ask again, cancel.

``start_checkout`` is one command: the same key gives the same result, and whatever fails before the hand-over is undone
before the error is answered. Source: docs/checkout.md, "Attempts".
"""

import uuid
from dataclasses import replace
from datetime import datetime

from django.db import IntegrityError
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from billing.models import Checkout, Voucher
from billing.services.checkout_compensate import compensate
from billing.services.checkout_handover import hand_over
from billing.services.checkout_observe import ensure_closed
from billing.services.checkout_preflight import guesser_of, read_preflight
from billing.services.checkout_reserve import KeyTaken, OpenAttempts, reserve
from billing.services.checkout_steps import BEFORE_HANDOVER
from billing.services.checkout_types import (
    AlreadyPaid,
    CheckoutInProgress,
    CheckoutOutcome,
    CheckoutRequest,
)
from billing.services.ledger import open_account, read_account
from billing.services.psp import get_processor
from billing.services.vouchers import look_up_voucher
from catalyst.core import idempotency
from catalyst.core.database import violated_constraint
from catalyst.core.errors import NotFound
from catalyst.core.failpoints import fp
from catalyst.core.models import Currency, IdempotencyKey
from marketplace.selectors.own_hosts import OwnHosts
from marketplace.selectors.selection import PricedSelection, price_selection
from marketplace.services.selection_settings import check_settings

_ATTEMPTS = 5
_RETRY_SECONDS = 2
#: Unique indexes at which two attempts of one Organization meet; the loser looks again.
_RACES = {
    "checkout_one_open_per_environment",
    "checkout_one_sale_per_cart",
    "redemption_slot",
    "redemption_once_per_cart",
    "subscription_one_live",
    "idempotencykey_once",
}


def start_checkout(*, request: CheckoutRequest, now: datetime) -> CheckoutOutcome:
    """Buy: sell at once when credit covers it, else reserve and hand over the card page.

    :raises IdempotencyKeyReused, LineUnavailable, CapacityExceeded, ConfigurationRefused, VoucherNotFound,
        VoucherNotAccepting, VoucherBusy, TooManyTries, SubscriptionExists, AlreadyPaid, QuoteChanged,
        CheckoutInProgress: nothing was written.
    :raises ProcessorNotConfigured, ProcessorRejected, ProcessorUnavailable: what was reserved is given back already.
    """
    ahead = read_preflight(request)
    stored = None if ahead.is_new_key else _find_key(request)
    replay = _replay(stored)
    if replay is not None:
        return replay
    voucher, currency = ahead.voucher or _find_voucher(request, now), ahead.currency
    priced = _price(request, currency, now)
    outcome = _reserve(request, priced, voucher, currency, replaces=stored.subject if stored else "", now=now)
    if outcome.state == Checkout.State.RESERVED:
        fp("checkout.T1.after_commit")
        url = hand_over(checkout_id=outcome.checkout_id, request=request)
        return CheckoutOutcome(
            checkout_id=outcome.checkout_id,
            state=Checkout.State.AWAITING_PAYMENT,
            order_number=outcome.order_number,
            session_url=url,
            currency=outcome.currency,
            voucher_status=outcome.voucher_status,
        )
    if outcome.state == Checkout.State.COMPLETED:
        fp("checkout.T1T5.after_commit")
    return outcome


def replay_checkout(request: CheckoutRequest) -> CheckoutOutcome | None:
    """Return what the same command did before, or None when it is new or came to nothing.

    :raises IdempotencyKeyReused, CheckoutInProgress: as ``start_checkout``.
    """
    return _replay(_find_key(request))


def cancel_checkout(*, checkout: Checkout, actor: str, now: datetime) -> Checkout:
    """Close the shopper's own attempt; a checkout that is closed already stays as it is.

    :raises AlreadyPaid: money arrived first. :raises CheckoutInProgress: the payment is being processed.
    :raises ProcessorUnavailable: the processor does not answer; the sweeper closes it.
    """
    if checkout.state in BEFORE_HANDOVER:
        compensate(checkout_id=checkout.pk, reason="cancelled", actor=actor)
    elif checkout.state in ("awaiting_payment", "expiring"):
        ensure_closed(processor=get_processor(), checkout=checkout, reason="cancelled", actor=actor, now=now)
    checkout.refresh_from_db()
    if checkout.state == Checkout.State.COMPLETED:
        raise _already_paid(checkout)
    if checkout.state in ("payment_processing", "needs_review"):
        raise _in_progress()
    return checkout


def outcome_of(checkout: Checkout) -> CheckoutOutcome:
    """Return where a checkout stands, as its shopper may see it."""
    account = read_account(checkout.organization_id)
    return CheckoutOutcome(
        checkout_id=checkout.pk,
        state=checkout.state,
        order_number=checkout.order.number,
        session_url=checkout.psp_session_url or "" if checkout.state == Checkout.State.AWAITING_PAYMENT else "",
        balance_minor=account.posted_minor if account else 0,
        held_minor=account.held_minor if account else 0,
        currency=checkout.currency_id,
    )


def _reserve(
    request: CheckoutRequest,
    priced: PricedSelection,
    voucher: Voucher | None,
    currency: Currency,
    *,
    replaces: str,
    now: datetime,
) -> CheckoutOutcome:
    """Run T1; when the Organization's own attempts are in the way close them and try again, a few times."""
    for left in reversed(range(_ATTEMPTS)):
        try:
            return reserve(
                request=request, priced=priced, voucher=voucher, currency=currency, replaces=replaces, now=now
            )
        except NotFound:
            open_account(organization=request.organization, sovereign=request.sovereign)
        except OpenAttempts as obstacle:
            same = _clear_all(obstacle.checkout_ids, request, is_last_try=left == 0, now=now)
            if same is not None:
                return same
        except KeyTaken:
            stored = _find_key(request)
            replay = _replay(stored)
            if replay is not None:
                return replay
            replaces = stored.subject if stored else ""
        except IntegrityError as error:
            _raise_unless_race(error)
        _read_again(voucher)
    raise _in_progress()


def _read_again(voucher: Voucher | None) -> None:
    if voucher is not None:
        voucher.refresh_from_db()


def _raise_unless_race(error: IntegrityError) -> None:
    if violated_constraint(error) not in _RACES:
        raise error


def _clear_all(
    checkout_ids: list[uuid.UUID], request: CheckoutRequest, *, is_last_try: bool, now: datetime
) -> CheckoutOutcome | None:
    # Whoever closes an attempt must take its place: else a crowd of tabs leaves nobody with an order.
    if is_last_try:
        raise _in_progress()
    for checkout_id in checkout_ids:
        same = _clear(checkout_id, request, now=now)
        if same is not None:
            return same
    return None


def _clear(checkout_id: uuid.UUID, request: CheckoutRequest, *, now: datetime) -> CheckoutOutcome | None:
    """Close one of the Organization's own attempts; the last attempt wins.

    Return the existing outcome instead when that attempt is for the very quote the shopper accepted again.
    """
    checkout = Checkout.objects.select_related("order").get(pk=checkout_id)
    if checkout.state in BEFORE_HANDOVER:
        compensate(checkout_id=checkout.pk, reason="superseded", actor="request")
        return None
    if checkout.state in ("payment_processing", "needs_review"):
        raise _in_progress()
    if checkout.state == "awaiting_payment" and _is_same_purchase(checkout, request):
        return outcome_of(checkout)
    if checkout.state in ("awaiting_payment", "expiring"):
        ensure_closed(processor=get_processor(), checkout=checkout, reason="superseded", actor="request", now=now)
        if checkout.state in ("payment_processing", "needs_review", "expiring", "awaiting_payment"):
            raise _in_progress()
    return None


def _is_same_purchase(checkout: Checkout, request: CheckoutRequest) -> bool:
    """The accepted quote is the checkout's own: the shopper presses again, and the page they have still stands."""
    return bool(request.accepted_quote) and bytes(checkout.quote_hash).hex() == request.accepted_quote


def _replay(stored: IdempotencyKey | None) -> CheckoutOutcome | None:
    """Answer a repeated command by what became of its checkout; None means "try afresh under the same key".

    :raises CheckoutInProgress: the first request is still at work.
    """
    if stored is None or not stored.subject.startswith("checkout:"):
        return None
    checkout = Checkout.objects.select_related("order").get(pk=stored.subject.removeprefix("checkout:"))
    if checkout.state in BEFORE_HANDOVER:
        if _has_live_lease(checkout):
            raise _in_progress()
        compensate(checkout_id=checkout.pk, reason="crash", actor="request")
        return None
    if checkout.state == Checkout.State.COMPENSATED:
        return None
    if stored.response_body is None:
        return replace(outcome_of(checkout), repeated=True)
    return CheckoutOutcome(
        checkout_id=checkout.pk,
        state=Checkout.State.COMPLETED,
        order_number=checkout.order.number,
        balance_minor=stored.response_body["balance_minor"],
        held_minor=stored.response_body["held_minor"],
        currency=checkout.currency_id,
        voucher_status=stored.response_body["voucher_status"],
        repeated=True,
    )


def _has_live_lease(checkout: Checkout) -> bool:
    return Checkout.objects.filter(pk=checkout.pk, lease_until__gt=Now()).exists()


def _find_voucher(request: CheckoutRequest, now: datetime) -> Voucher | None:
    if not request.voucher_code:
        return None
    return look_up_voucher(code=request.voucher_code, guesser=guesser_of(request), now=now)


def _find_key(request: CheckoutRequest) -> IdempotencyKey | None:
    return idempotency.find(scope=request.scope, key=request.key, fingerprint=request.fingerprint)


def _price(request: CheckoutRequest, currency: Currency, now: datetime) -> PricedSelection:
    if request.change is not None:
        return request.change.priced
    selection = request.selection
    priced = price_selection(
        plan=selection.plan,
        blueprints=selection.blueprints,
        addons=selection.addons,
        bundle=selection.bundle,
        currency=currency.code,
        at=now,
        config=selection.config,
        organization=request.organization,
    )
    hosts = OwnHosts(request.organization.pk)
    check_settings(priced.settings, selection.config, buyer_email=request.buyer.email, hosts=hosts)
    return priced


def _in_progress() -> CheckoutInProgress:
    return CheckoutInProgress(
        _("This order is being worked on in another window. Try again in a moment."), retry_after=_RETRY_SECONDS
    )


def _already_paid(checkout: Checkout) -> AlreadyPaid:
    return AlreadyPaid(_("This order is already paid."), extra={"order": checkout.order.number})
