"""What the card processor's answers mean: done, a definite "no", or "we do not know"."""

from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any

import stripe
import structlog
from django.utils.translation import gettext as _

from billing.services.psp_replies import note_reply
from catalyst.core.errors import DomainError

log = structlog.get_logger(__name__)


class ProcessorNotConfigured(DomainError):
    """No usable keys: missing, unreadable, or refused by the processor (401, 403)."""

    code = "payment_processor_not_configured"
    status = HTTPStatus.SERVICE_UNAVAILABLE


class ProcessorRejected(DomainError):
    """The processor said no (4xx). The same request will be refused again; ``extra`` has its ``processor_code``."""

    code = "payment_processor_rejected"
    status = HTTPStatus.BAD_GATEWAY


class ProcessorUnavailable(DomainError):
    """No answer, 429 or 5xx: whether the call had its effect is unknown."""

    code = "payment_processor_unavailable"
    status = HTTPStatus.SERVICE_UNAVAILABLE


#: The processor's codes for "there is no such object" and "that one is there already".
MISSING = "resource_missing"
ALREADY_EXISTS = "resource_already_exists"
#: Its codes for a card that does not pay. Source: Stripe API reference, "Error codes".
DECLINED = frozenset(
    {"authentication_required", "card_declined", "expired_card", "incorrect_cvc", "insufficient_funds"}
    | {"processing_error", "subscription_payment_intent_requires_action", "invoice_payment_intent_requires_action"}
)
#: Operations of a purchase: their refusal tells a shopper what became of the voucher.
_BUYING = frozenset({"customer.create", "coupon.create", "session.create"})


def run_call(op: str, request: Callable[[], Any], *, key: str = "", expected: Collection[str] = ()) -> dict[str, Any]:
    """Run one request and return the object as a plain dictionary.

    ``expected`` are the codes of refusals that the caller knows what to do with: they raise no alarm. ``key`` is that
    of a write: the status of its reply is kept for its intent.

    :raises ProcessorRejected: refused. :raises ProcessorUnavailable: outcome unknown.
    :raises ProcessorNotConfigured: the key was refused.
    """
    try:
        reply = request()
        note_reply(key, reply.last_response.code if key else None)
        answer: dict[str, Any] = reply.to_dict(for_json=True)
        return answer
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        note_reply(key, error.http_status if key else None)
        log.error("processor_refused_key", op=op, status=error.http_status, alarm=True)
        raise not_configured() from None
    except stripe.StripeError as error:
        status = error.http_status
        note_reply(key, status if key else None)
        definite = status is not None and 400 <= status < 500 and status not in {409, 429}
        log.warning("processor_error", op=op, status=status, code=error.code, definite=definite)
        if definite:
            if error.code not in expected:
                log.error("processor_rejected", op=op, code=error.code, alarm=True)
            raise ProcessorRejected(_refusal(op), extra={"processor_code": error.code or ""}) from None
        raise unavailable() from None


def is_missing(refusal: ProcessorRejected) -> bool:
    """Answer whether the processor refused because it has no such object."""
    return refusal.extra.get("processor_code") == MISSING


def _refusal(op: str) -> str:
    if op in _BUYING:
        return _("The card processor refused this payment. Nothing was charged, and your voucher was not used.")
    return _("The card processor refused this. Nothing was charged; check the processor's log for the reason.")


def not_configured() -> ProcessorNotConfigured:
    """Return the refusal of a Sovereign without usable keys."""
    return ProcessorNotConfigured(_("Card payment is not available right now. Your voucher was not used."))


def unavailable() -> ProcessorUnavailable:
    """Return the refusal of a processor that does not answer."""
    return ProcessorUnavailable(
        _("The card processor does not answer. Nothing was charged, and your voucher was not used. Try again."),
        retry_after=10,
    )
