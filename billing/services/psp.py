"""The card processor: one adapter around Stripe's official library.

Each call carries an explicit key and a deterministic idempotency key. The three refusals below tell a definite "no"
from "we do not know": unknown is never treated as failed.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import stripe
import structlog
from django.conf import settings
from django.utils.translation import gettext as _

from billing.models import BillingSettings
from catalyst.core.crypto import SealBroken, unseal
from catalyst.core.errors import DomainError

log = structlog.get_logger(__name__)

#: Shoppers' requests that may wait for the processor at the same time, per process.
_MOST_AT_ONCE = 8
#: Seconds below which a call is not worth starting.
_SHORTEST_CALL = 0.2
_slots = threading.BoundedSemaphore(_MOST_AT_ONCE)


class ProcessorNotConfigured(DomainError):
    """No usable keys: missing, unreadable, or refused by the processor (401, 403)."""

    code = "payment_processor_not_configured"
    status = HTTPStatus.SERVICE_UNAVAILABLE


class ProcessorRejected(DomainError):
    """The processor said no (4xx). The same request will be refused again."""

    code = "payment_processor_rejected"
    status = HTTPStatus.BAD_GATEWAY


class ProcessorUnavailable(DomainError):
    """No answer, 429 or 5xx: whether the call had its effect is unknown."""

    code = "payment_processor_unavailable"
    status = HTTPStatus.SERVICE_UNAVAILABLE


class Deadline:
    """The time that all calls of one request may take together, in seconds."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def left(self) -> float:
        return self._ends - time.monotonic()


class Processor:
    """Stripe with one secret key. Results are plain dictionaries."""

    def __init__(self, secret_key: str) -> None:
        base: Any = {"api": settings.STRIPE_API_BASE} if settings.STRIPE_API_BASE else {}
        self._http = stripe.RequestsClient(timeout=settings.STRIPE_TIMEOUT_SECONDS)
        self._client = stripe.StripeClient(
            secret_key,
            stripe_version=settings.STRIPE_API_VERSION,
            base_addresses=base,
            max_network_retries=0,
            http_client=self._http,
        )
        self._v1 = self._client.v1

    def create(self, op: str, params: dict[str, Any], *, key: str, deadline: Deadline | None = None) -> dict[str, Any]:
        """Run a create operation with its idempotency key, once more with the same key when no answer came.

        :raises ProcessorRejected: refused. :raises ProcessorUnavailable: outcome unknown.
        :raises ProcessorNotConfigured: the key was refused.
        """
        method = self._creators()[op]
        options: Any = {"idempotency_key": key}
        try:
            self._limit(deadline)
            return _call(op, lambda: method(params, options))
        except ProcessorUnavailable:
            if deadline is not None and deadline.left() <= _SHORTEST_CALL:
                raise
            self._limit(deadline)
            return _call(op, lambda: method(params, options))

    def _limit(self, deadline: Deadline | None) -> None:
        """Let the next call take no longer than the request has left (the library's client has no public setter)."""
        if deadline is not None:
            self._http._timeout = max(min(settings.STRIPE_TIMEOUT_SECONDS, deadline.left()), _SHORTEST_CALL)

    def _creators(self) -> dict[str, Callable[[Any, Any], Any]]:
        return {
            "customer.create": self._v1.customers.create,
            "coupon.create": self._v1.coupons.create,
            "session.create": self._v1.checkout.sessions.create,
            "refund.create": self._v1.refunds.create,
        }

    def retrieve_session(self, session_id: str) -> dict[str, Any]:
        """Return a session with its subscription, its invoice and the invoice's payments."""
        params: Any = {"expand": ["subscription", "invoice.payments"]}
        return _call("session.retrieve", lambda: self._v1.checkout.sessions.retrieve(session_id, params))

    def retrieve_intent(self, intent_id: str) -> dict[str, Any]:
        return _call("intent.retrieve", lambda: self._v1.payment_intents.retrieve(intent_id))

    def expire_session(self, session_id: str) -> None:
        """Make an open session unpayable; a session that is not open any more is left as it is."""
        try:
            _call("session.expire", lambda: self._v1.checkout.sessions.expire(session_id))
        except ProcessorRejected:
            log.info("session_not_open", session=session_id)

    def list_sessions(self, *, customer: str, created_from: int) -> list[dict[str, Any]]:
        """Return the sessions of a customer since a moment (Unix seconds)."""
        params: Any = {"customer": customer, "created": {"gte": created_from}, "limit": 100}
        return list(_call("session.list", lambda: self._v1.checkout.sessions.list(params))["data"])

    def list_customers(self, *, email: str, created_from: int) -> list[dict[str, Any]]:
        """Return the customers with an address since a moment (Unix seconds)."""
        params: Any = {"email": email, "created": {"gte": created_from}, "limit": 100}
        return list(_call("customer.list", lambda: self._v1.customers.list(params))["data"])

    def find_coupon(self, coupon_id: str) -> dict[str, Any] | None:
        try:
            return _call("coupon.retrieve", lambda: self._v1.coupons.retrieve(coupon_id))
        except ProcessorRejected:
            return None

    def delete_coupon(self, coupon_id: str) -> None:
        """Delete a coupon; one that is gone is success."""
        try:
            _call("coupon.delete", lambda: self._v1.coupons.delete(coupon_id))
        except ProcessorRejected:
            log.info("coupon_gone", coupon=coupon_id)

    def cancel_subscription(self, subscription_id: str, *, key: str) -> None:
        """Cancel at once; a subscription that is already gone is success."""
        options: Any = {"idempotency_key": key}
        try:
            _call("subscription.cancel", lambda: self._v1.subscriptions.cancel(subscription_id, {}, options))
        except ProcessorRejected:
            log.info("subscription_gone", subscription=subscription_id)

    def list_refunds(self, *, payment_intent: str) -> list[dict[str, Any]]:
        params: Any = {"payment_intent": payment_intent, "limit": 100}
        return list(_call("refund.list", lambda: self._v1.refunds.list(params))["data"])

    def list_events(self, *, created_from: int, only_undelivered: bool) -> Iterator[dict[str, Any]]:
        """Yield events since a moment (Unix seconds), newest first, page by page."""
        params: Any = {"created": {"gte": created_from}, "limit": 100}
        if only_undelivered:
            params["delivery_success"] = False
        page = self._events(params)
        yield from page["data"]
        while page.get("has_more"):
            page = self._events({**params, "starting_after": page["data"][-1]["id"]})
            yield from page["data"]

    def _events(self, params: Any) -> dict[str, Any]:
        return _call("event.list", lambda: self._v1.events.list(params))


def get_processor() -> Processor:
    """Return the processor with the Sovereign's stored key.

    :raises ProcessorNotConfigured: there is no key, or it cannot be read.
    """
    return Processor(secret_of("stripe_secret_key"))


def secret_of(name: str) -> str:
    """Return one stored secret of the billing settings.

    :raises ProcessorNotConfigured: empty, or sealed with a key that is not configured here.
    """
    row = BillingSettings.objects.filter(pk=1).first()
    sealed = getattr(row, f"{name}_sealed", "") if row else ""
    if not sealed:
        raise not_configured()
    try:
        return unseal(sealed, place=f"billing_billingsettings:1:{name}")
    except SealBroken as error:
        log.error("billing_settings_unreadable", secret=name, reason=str(error), alarm=True)
        raise not_configured() from None


def not_configured() -> ProcessorNotConfigured:
    return ProcessorNotConfigured(_("Card payment is not available right now. Your voucher was not used."))


@contextmanager
def processor_slot() -> Iterator[None]:
    """Take one of the few places for shoppers' requests that wait for the processor.

    :raises ProcessorUnavailable: all are taken.
    """
    if not _slots.acquire(blocking=False):
        raise _unavailable()
    try:
        yield
    finally:
        _slots.release()


def _call(op: str, request: Callable[[], Any]) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = request().to_dict(for_json=True)
        return answer
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        log.error("processor_refused_key", op=op, status=error.http_status, alarm=True)
        raise not_configured() from None
    except stripe.StripeError as error:
        status = error.http_status
        definite = status is not None and 400 <= status < 500 and status not in {409, 429}
        log.warning("processor_error", op=op, status=status, code=error.code, definite=definite)
        if definite:
            log.error("processor_rejected", op=op, code=error.code, alarm=True)
            raise ProcessorRejected(
                _("The card processor refused this payment. Nothing was charged, and your voucher was not used."),
                extra={"processor_code": error.code or ""},
            ) from None
        raise _unavailable() from None


def _unavailable() -> ProcessorUnavailable:
    return ProcessorUnavailable(
        _("The card processor does not answer. Nothing was charged, and your voucher was not used. Try again."),
        retry_after=10,
    )
