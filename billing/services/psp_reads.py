"""What we ask the card processor: single objects, and whole lists read page by page.

Every answer is a plain dictionary. A read that is refused raises ``ProcessorRejected`` (a missing object says
``resource_missing`` in ``processor_code``), one without an answer ``ProcessorUnavailable``.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import stripe

from billing.services.psp_errors import MISSING, ProcessorRejected, is_missing, run_call

_PAGE = 100


class ProcessorReads:
    """The reading half of the adapter; moments are Unix seconds."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._v1 = client.v1

    def retrieve_session(self, session_id: str) -> dict[str, Any]:
        """Return a session with its subscription, its invoice and the invoice's payments."""
        params: Any = {"expand": ["subscription", "invoice.payments"]}
        return run_call("session.retrieve", lambda: self._v1.checkout.sessions.retrieve(session_id, params))

    def retrieve_intent(self, intent_id: str) -> dict[str, Any]:
        return run_call("intent.retrieve", lambda: self._v1.payment_intents.retrieve(intent_id))

    def retrieve_setup_intent(self, intent_id: str) -> dict[str, Any]:
        """Return a setup intent with the card that it saved."""
        params: Any = {"expand": ["payment_method"]}
        return run_call("setup_intent.retrieve", lambda: self._v1.setup_intents.retrieve(intent_id, params))

    def retrieve_customer(self, customer_id: str) -> dict[str, Any]:
        """Return a customer; one that was deleted there has only ``deleted``."""
        return run_call("customer.retrieve", lambda: self._v1.customers.retrieve(customer_id))

    def retrieve_subscription(self, subscription_id: str) -> dict[str, Any]:
        return run_call("subscription.retrieve", lambda: self._v1.subscriptions.retrieve(subscription_id))

    def retrieve_invoice(self, invoice_id: str) -> dict[str, Any]:
        """Return an invoice with its payments; the period it is for stands on its lines, not on the invoice.

        A draft may have been deleted meanwhile.
        """
        params: Any = {"expand": ["payments"]}
        request = partial(self._v1.invoices.retrieve, invoice_id, params)
        return run_call("invoice.retrieve", request, expected={MISSING})

    def retrieve_charge(self, charge_id: str) -> dict[str, Any]:
        return run_call("charge.retrieve", lambda: self._v1.charges.retrieve(charge_id))

    def retrieve_refund(self, refund_id: str) -> dict[str, Any]:
        return run_call("refund.retrieve", lambda: self._v1.refunds.retrieve(refund_id))

    def retrieve_dispute(self, dispute_id: str) -> dict[str, Any]:
        return run_call("dispute.retrieve", lambda: self._v1.disputes.retrieve(dispute_id))

    def find_coupon(self, coupon_id: str) -> dict[str, Any] | None:
        try:
            return run_call("coupon.retrieve", lambda: self._v1.coupons.retrieve(coupon_id), expected={MISSING})
        except ProcessorRejected as refusal:
            if not is_missing(refusal):
                raise
            return None

    def list_sessions(self, *, customer: str, created_from: int) -> list[dict[str, Any]]:
        """Return the sessions of a customer since a moment."""
        return list(
            self._pages(
                "session.list", self._v1.checkout.sessions.list, customer=customer, created=_since(created_from)
            )
        )

    def list_customers(self, *, email: str, created_from: int) -> list[dict[str, Any]]:
        """Return the customers with an address since a moment."""
        return list(self._pages("customer.list", self._v1.customers.list, email=email, created=_since(created_from)))

    def list_refunds(self, *, payment_intent: str) -> list[dict[str, Any]]:
        return list(self._pages("refund.list", self._v1.refunds.list, payment_intent=payment_intent))

    def list_subscriptions(self, customer: str) -> Iterator[dict[str, Any]]:
        """Yield all subscriptions of a customer, the canceled ones as well."""
        return self._pages("subscription.list", self._v1.subscriptions.list, customer=customer, status="all")

    def list_invoices(self, *, created_from: int, subscription: str = "") -> Iterator[dict[str, Any]]:
        """Yield every invoice since a moment, or those of one subscription, newest first."""
        only = {"subscription": subscription} if subscription else {}
        return self._pages("invoice.list", self._v1.invoices.list, created=_since(created_from), **only)

    def list_all_sessions(self, *, created_from: int) -> Iterator[dict[str, Any]]:
        """Yield every session since a moment, newest first."""
        return self._pages("session.list", self._v1.checkout.sessions.list, created=_since(created_from))

    def list_all_refunds(self, *, created_from: int) -> Iterator[dict[str, Any]]:
        """Yield every refund since a moment, newest first."""
        return self._pages("refund.list", self._v1.refunds.list, created=_since(created_from))

    def list_disputes(self, *, created_from: int) -> Iterator[dict[str, Any]]:
        """Yield every dispute since a moment, newest first."""
        return self._pages("dispute.list", self._v1.disputes.list, created=_since(created_from))

    def list_coupons(self) -> Iterator[dict[str, Any]]:
        return self._pages("coupon.list", self._v1.coupons.list)

    def list_events(self, *, created_from: int, only_undelivered: bool) -> Iterator[dict[str, Any]]:
        """Yield events since a moment, newest first."""
        failed = {"delivery_success": False} if only_undelivered else {}
        return self._pages("event.list", self._v1.events.list, created=_since(created_from), **failed)

    def _pages(self, op: str, method: Callable[[Any], Any], **filters: Any) -> Iterator[dict[str, Any]]:
        """Yield the objects of all pages; a page is fetched when the one before it is used up."""
        params: dict[str, Any] = {**filters, "limit": _PAGE}
        while True:
            page = run_call(op, partial(method, params))
            yield from page["data"]
            if not page.get("has_more"):
                return
            params = {**params, "starting_after": page["data"][-1]["id"]}


def _since(moment: int) -> dict[str, int]:
    return {"gte": moment}
