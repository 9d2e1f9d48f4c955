"""What the card page is asked to charge: built from the order's lines and nothing else.

Source: docs/checkout.md, "Partial credit on a card checkout"; Stripe API reference, "Create a Checkout Session".
"""

from typing import Any

from billing.models import Checkout, Order
from billing.services.checkout_types import ReturnAddresses

#: Stripe refuses an expiry less than 30 minutes ahead; five more cover a slow request.
SESSION_SECONDS = 35 * 60


def session_key(checkout: Checkout) -> str:
    return f"co:{checkout.pk}:session"


def coupon_id(checkout: Checkout) -> str:
    return f"co_{checkout.pk}"


def amount_off_minor(checkout: Checkout, order: Order) -> int:
    """Return the credit part plus the discount lines: one coupon takes both off, since a session allows one."""
    discounts = sum(-line.total_minor for line in order.lines.all() if line.total_minor < 0)
    return checkout.credit_minor + int(discounts)


def coupon_params(checkout: Checkout, order: Order, *, expires_at: int) -> dict[str, Any]:
    """Return the parameters of the coupon that takes credit and discounts off, once, for this session only."""
    return {
        "id": coupon_id(checkout),
        "name": f"Credit and discounts {order.number}",
        "amount_off": amount_off_minor(checkout, order),
        "currency": checkout.currency_id.lower(),
        "duration": "once",
        "max_redemptions": 1,
        "redeem_by": expires_at,
        "metadata": {"checkout": str(checkout.pk)},
    }


def session_params(
    checkout: Checkout, order: Order, *, customer: str, domain: str, returns: ReturnAddresses, expires_at: int
) -> dict[str, Any]:
    """Return the session's parameters. The processor's own promotion codes stay off: no foreign discounts."""
    labels = {"checkout": str(checkout.pk), "order": order.number, "sovereign": domain}
    params: dict[str, Any] = {
        "customer": customer,
        "client_reference_id": str(checkout.pk),
        "expires_at": expires_at,
        "success_url": returns.success,
        "cancel_url": returns.cancel,
        "line_items": [_line_item(line, checkout) for line in order.lines.all() if line.total_minor > 0],
        "metadata": labels,
        **_mode(checkout, labels),
    }
    if amount_off_minor(checkout, order):
        params["discounts"] = [{"coupon": coupon_id(checkout)}]
    return params


def _mode(checkout: Checkout, labels: dict[str, str]) -> dict[str, Any]:
    """A first purchase starts a subscription; a change pays once, and its subscription's items move afterwards."""
    if checkout.change_id is not None:
        return {"mode": "payment", "payment_intent_data": {"metadata": labels}}
    return {
        "mode": "subscription",
        "payment_method_collection": "always",
        "subscription_data": {"proration_behavior": "none", "metadata": labels},
    }


def _line_item(line: Any, checkout: Checkout) -> dict[str, Any]:
    price: dict[str, Any] = {
        "currency": checkout.currency_id.lower(),
        "unit_amount": line.unit_minor,
        "product_data": {"name": line.title or line.reference},
    }
    if checkout.change_id is None:
        price["recurring"] = {"interval": "month"}
    return {"quantity": line.quantity, "price_data": price}
