"""The card processor: one adapter around Stripe's official library.

Each call carries an explicit key, and each write a deterministic idempotency key. The refusals (``psp_errors``) tell a
definite "no" from "we do not know": unknown is never treated as failed. Reads are in ``psp_reads``.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import stripe
import structlog
from django.conf import settings

from billing.models import BillingSettings
from billing.services.psp_errors import (
    ALREADY_EXISTS,
    DECLINED,
    MISSING,
    ProcessorNotConfigured,
    ProcessorRejected,
    ProcessorUnavailable,
    is_missing,
    not_configured,
    run_call,
    unavailable,
)
from billing.services.psp_reads import ProcessorReads
from catalyst.core.crypto import SealBroken, unseal

__all__ = [
    "Deadline",
    "Processor",
    "ProcessorNotConfigured",
    "ProcessorRejected",
    "ProcessorUnavailable",
    "get_processor",
    "not_configured",
    "processor_slot",
    "secret_of",
]

log = structlog.get_logger(__name__)

#: Shoppers' requests that may wait for the processor at the same time, per process.
_MOST_AT_ONCE = 8
#: Seconds below which a call is not worth starting.
_SHORTEST_CALL = 0.2
_slots = threading.BoundedSemaphore(_MOST_AT_ONCE)
#: Operations on an existing object: the parameter that names it, which goes into the path.
_NAMED_BY = {
    "customer.update": "customer",
    "invoice.pay": "invoice",
    "invoice.void": "invoice",
    "subscription.update": "subscription",
}

#: Refusals that are a customer's business, or none at all: nobody is alarmed.
_EXPECTED: dict[str, Collection[str]] = {
    "coupon.create": {ALREADY_EXISTS},
    "invoice.pay": DECLINED,
    "product.create": {ALREADY_EXISTS},
    "subscription.create": DECLINED,
}


class Deadline:
    """The time that all calls of one request may take together, in seconds."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def left(self) -> float:
        return self._ends - time.monotonic()


class Processor(ProcessorReads):
    """Stripe with one secret key. Results are plain dictionaries."""

    def __init__(self, secret_key: str) -> None:
        base: Any = {"api": settings.STRIPE_API_BASE} if settings.STRIPE_API_BASE else {}
        self._http = stripe.RequestsClient(timeout=settings.STRIPE_TIMEOUT_SECONDS)
        client = stripe.StripeClient(
            secret_key,
            stripe_version=settings.STRIPE_API_VERSION,
            base_addresses=base,
            max_network_retries=0,
            http_client=self._http,
        )
        super().__init__(client)

    def create(self, op: str, params: dict[str, Any], *, key: str, deadline: Deadline | None = None) -> dict[str, Any]:
        """Run a write with its idempotency key, once more with the same key when no answer came.

        The parameters of an update carry the id of what it changes (``subscription``, ``customer``, ``invoice``).

        :raises ProcessorRejected: refused. :raises ProcessorUnavailable: outcome unknown.
        :raises ProcessorNotConfigured: the key was refused.
        """
        request, expected = self._write(op, params, key), _EXPECTED.get(op, ())
        try:
            self._limit(deadline)
            return run_call(op, request, key=key, expected=expected)
        except ProcessorUnavailable:
            if deadline is not None and deadline.left() <= _SHORTEST_CALL:
                raise
            self._limit(deadline)
            return run_call(op, request, key=key, expected=expected)

    def _limit(self, deadline: Deadline | None) -> None:
        """Let the next call take no longer than the request has left (the library's client has no public setter)."""
        if deadline is not None:
            self._http._timeout = max(min(settings.STRIPE_TIMEOUT_SECONDS, deadline.left()), _SHORTEST_CALL)

    def _write(self, op: str, params: dict[str, Any], key: str) -> Callable[[], Any]:
        options: Any = {"idempotency_key": key}
        if op in _NAMED_BY:
            name = _NAMED_BY[op]
            change, body = self._updates()[op], {k: value for k, value in params.items() if k != name}
            return lambda: change(params[name], body, options)
        make = self._creates()[op]
        return lambda: make(params, options)

    def _creates(self) -> dict[str, Callable[[Any, Any], Any]]:
        return {
            "coupon.create": self._v1.coupons.create,
            "customer.create": self._v1.customers.create,
            "invoice_item.create": self._v1.invoice_items.create,
            "portal.create": self._v1.billing_portal.sessions.create,
            "product.create": self._v1.products.create,
            "refund.create": self._v1.refunds.create,
            "session.create": self._v1.checkout.sessions.create,
            "subscription.create": self._v1.subscriptions.create,
        }

    def _updates(self) -> dict[str, Callable[[str, Any, Any], Any]]:
        return {
            "customer.update": self._v1.customers.update,
            "invoice.pay": self._v1.invoices.pay,
            "invoice.void": self._v1.invoices.void_invoice,
            "subscription.update": self._v1.subscriptions.update,
        }

    def expire_session(self, session_id: str) -> None:
        """Make an open session unpayable; a session that is not open any more is left as it is."""
        try:
            run_call("session.expire", lambda: self._v1.checkout.sessions.expire(session_id))
        except ProcessorRejected:
            log.info("session_not_open", session=session_id)

    def delete_coupon(self, coupon_id: str) -> None:
        """Delete a coupon; one that is gone is success.

        :raises ProcessorRejected: refused for another reason. :raises ProcessorUnavailable: outcome unknown.
        """
        self._end("coupon.delete", lambda: self._v1.coupons.delete(coupon_id))

    def cancel_subscription(self, subscription_id: str, *, key: str) -> None:
        """Cancel at once; a subscription that is already gone is success.

        :raises ProcessorRejected: refused for another reason. :raises ProcessorUnavailable: outcome unknown.
        """
        options: Any = {"idempotency_key": key}
        self._end("subscription.cancel", lambda: self._v1.subscriptions.cancel(subscription_id, {}, options))

    def _end(self, op: str, request: Callable[[], Any]) -> None:
        try:
            run_call(op, request, expected={MISSING})
        except ProcessorRejected as refusal:
            if not is_missing(refusal):
                raise
            log.info("processor_object_gone", op=op)


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


@contextmanager
def processor_slot() -> Iterator[None]:
    """Take one of the few places for shoppers' requests that wait for the processor.

    :raises ProcessorUnavailable: all are taken.
    """
    if not _slots.acquire(blocking=False):
        raise unavailable()
    try:
        yield
    finally:
        _slots.release()
