"""Creating a Checkout Session: what Stripe checks, and the session it answers with."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.amounts import check_currency, check_total
from catalyst.local.sandbox_stripe.listing import EXPAND
from catalyst.local.sandbox_stripe.operations.coupons import usable_coupon
from catalyst.local.sandbox_stripe.operations.line_items import LINE_ITEM, build_line_items, spread_discount
from catalyst.local.sandbox_stripe.routing import Call
from catalyst.local.sandbox_stripe.shape import Array, Field, Object, Shape
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

_SHORTEST, _LONGEST = 30 * 60, 24 * 60 * 60
#: Languages of Stripe's hosted page. Arabic is not among them: leave ``locale`` out, the browser then decides.
_LOCALES = (
    "auto bg cs da de el en en-GB es es-419 et fi fil fr fr-CA hr hu id it ja ko lt lv ms mt nb nl pl pt pt-BR ro ru sk"
    " sl sv th tr vi zh zh-HK zh-TW"
)
_METHODS = ("card", "link", "sepa_debit", "us_bank_account", "bacs_debit", "customer_balance", "paypal")
_MEMBERS: Mapping[str, Shape] = {
    **EXPAND,
    "allow_promotion_codes": Field("boolean"),
    "automatic_tax": Object({"enabled": Field("boolean", required=True)}),
    "billing_address_collection": Field(choices=("auto", "required")),
    "cancel_url": Field(),
    "client_reference_id": Field(longest=200),
    "currency": Field(),
    "customer": Field(),
    "customer_email": Field(),
    "customer_update": Object({name: Field(choices=("auto", "never")) for name in ("address", "name", "shipping")}),
    "discounts": Array(Object({"coupon": Field(required=True)}), longest=1),
    "expires_at": Field("integer"),
    "line_items": Array(LINE_ITEM),
    "locale": Field(choices=tuple(_LOCALES.split())),
    "metadata": Field("metadata"),
    "mode": Field(required=True, choices=("payment", "setup", "subscription")),
    "payment_intent_data": Object(
        {
            "description": Field(longest=1000),
            "metadata": Field("metadata"),
            "setup_future_usage": Field(choices=("off_session", "on_session")),
        }
    ),
    "payment_method_collection": Field(choices=("always", "if_required")),
    "payment_method_types": Array(Field(choices=_METHODS)),
    "setup_intent_data": Object({"description": Field(longest=1000), "metadata": Field("metadata")}),
    "submit_type": Field(choices=("auto", "book", "donate", "pay", "subscribe")),
    "subscription_data": Object(
        {
            "description": Field(longest=500),
            "metadata": Field("metadata"),
            "proration_behavior": Field(choices=("create_prorations", "none")),
            "billing_mode": Object({"type": Field(required=True, choices=("classic", "flexible"))}),
        }
    ),
    "success_url": Field(required=True),
    "ui_mode": Field(choices=("hosted_page",)),
}
SHAPE = Object(_MEMBERS)
#: What a mode refuses.
_FOREIGN = {
    "payment": ("payment_method_collection", "setup_intent_data", "subscription_data"),
    "setup": (
        "discounts",
        "line_items",
        "payment_intent_data",
        "payment_method_collection",
        "submit_type",
        "subscription_data",
    ),
    "subscription": ("payment_intent_data", "setup_intent_data", "submit_type"),
}


def create_session(call: Call) -> Json:
    """Create an open session; its ``url`` is the sandbox's own card page.

    :raises StripeRefusal: anything that Stripe would refuse.
    """
    account, given = call.account, call.parameters
    _check_urls(given)
    _check_mode(given)
    expires_at = _check_expiry(given, account.clock.now())
    customer = _check_customer(account, given)
    id_ = account.new_id("cs_test")
    return account.create(
        "checkout.session",
        id_,
        due_at=expires_at,
        **_fixed_members(given),
        customer=given.get("customer"),
        customer_details=_customer_details(customer, given),
        expires_at=expires_at,
        url=f"{account.url}/pay/{id_}",
        _subscription_data=given.get("subscription_data", {}),
        _payment_intent_data=given.get("payment_intent_data", {}),
        **(_card_to_save(account, given) if given["mode"] == "setup" else _amounts(account, given)),
    )


def _amounts(account: Account, given: Json) -> Json:
    """Return what a session sells and what it takes."""
    lines = build_line_items(account, given.get("line_items", []), given["mode"])
    currency: str = lines[0]["currency"]
    if check_currency(given.get("currency", currency), "currency") != currency:
        raise StripeRefusal("The currency differs from the one of the line items.", param="currency")
    subtotal = sum(line["amount_subtotal"] for line in lines)
    coupon = _check_coupon(account, given, currency, subtotal)
    discount = _discount(coupon, subtotal)
    total = check_total(subtotal - discount, currency)
    spread_discount(lines, discount)
    return {
        "amount_subtotal": subtotal,
        "amount_total": total,
        "currency": currency,
        "discounts": [{"coupon": coupon["id"], "promotion_code": None}] if coupon else [],
        "payment_status": "unpaid" if total else "no_payment_required",
        "setup_intent": None,
        "total_details": {"amount_discount": discount, "amount_shipping": 0, "amount_tax": 0},
        "_line_items": lines,
    }


def _card_to_save(account: Account, given: Json) -> Json:
    """Return the members of a session that takes no money, with the setup intent that waits for a card."""
    if "currency" not in given and "payment_method_types" not in given:
        raise StripeRefusal("Missing required param: currency.", code="parameter_missing", param="currency")
    wishes = given.get("setup_intent_data", {})
    intent = account.create(
        "setup_intent",
        account.new_id("seti"),
        customer=given.get("customer"),
        description=wishes.get("description"),
        last_setup_error=None,
        metadata=wishes.get("metadata", {}),
        next_action=None,
        payment_method=None,
        payment_method_types=given.get("payment_method_types", ["card"]),
        status="requires_payment_method",
        usage="off_session",
    )
    nothing: Json = dict.fromkeys(("amount_subtotal", "amount_total", "currency", "total_details"))
    if "currency" in given:
        nothing["currency"] = check_currency(given["currency"], "currency")
    paid = {"payment_status": "no_payment_required", "setup_intent": intent["id"]}
    return {**nothing, **paid, "discounts": [], "_line_items": []}


def _fixed_members(given: Json) -> Json:
    is_subscription = given["mode"] == "subscription"
    nothing = ("after_expiration", "client_secret", "consent", "consent_collection", "currency_conversion", "invoice")
    later = ("payment_intent", "payment_link", "recovered_from", "shipping_cost", "subscription")
    return {
        **dict.fromkeys((*nothing, *later)),
        "allow_promotion_codes": given.get("allow_promotion_codes"),
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": given.get("billing_address_collection"),
        "cancel_url": given.get("cancel_url"),
        "client_reference_id": given.get("client_reference_id"),
        "custom_fields": [],
        "custom_text": dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")),
        "customer_creation": None if given.get("customer") else "always" if is_subscription else "if_required",
        "customer_email": given.get("customer_email"),
        "locale": given.get("locale"),
        "metadata": given.get("metadata", {}),
        "mode": given["mode"],
        "payment_method_collection": given.get("payment_method_collection", "always") if is_subscription else None,
        "payment_method_options": {},
        "payment_method_types": given.get("payment_method_types", ["card"]),
        "shipping_options": [],
        "status": "open",
        "submit_type": given.get("submit_type"),
        "success_url": given["success_url"],
        "ui_mode": "hosted_page",
    }


def _check_urls(given: Json) -> None:
    for name in ("success_url", "cancel_url"):
        if name in given:
            parts = urlsplit(given[name])
            if parts.scheme not in ("http", "https") or not parts.netloc:
                message = "Not a valid URL. URLs must begin with http:// or https://."
                raise StripeRefusal(message, code="url_invalid", param=name)


def _check_mode(given: Json) -> None:
    for name in _FOREIGN[given["mode"]]:
        if name in given:
            raise StripeRefusal(f"You can not pass `{name}` in `{given['mode']}` mode.", param=name)
    if given.get("automatic_tax", {}).get("enabled"):
        raise StripeRefusal("The sandbox has no automatic tax.", param="automatic_tax[enabled]")
    if given.get("allow_promotion_codes") and given.get("discounts"):
        raise StripeRefusal("You may only specify one of these parameters: allow_promotion_codes, discounts.")


def _check_expiry(given: Json, now: int) -> int:
    expires_at: int = given.get("expires_at", now + _LONGEST)
    if not now + _SHORTEST <= expires_at <= now + _LONGEST:
        message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation."
        raise StripeRefusal(message, param="expires_at")
    return expires_at


def _check_customer(account: Account, given: Json) -> Json | None:
    if "customer" not in given:
        return None
    if "customer_email" in given:
        raise StripeRefusal("You may only specify one of these parameters: customer, customer_email.")
    return account.find("customer", given["customer"], "customer", HTTPStatus.BAD_REQUEST)


def _check_coupon(account: Account, given: Json, currency: str, subtotal: int) -> Json | None:
    if not given.get("discounts"):
        return None
    param = "discounts[0][coupon]"
    coupon = usable_coupon(account, given["discounts"][0]["coupon"], param)
    if coupon["amount_off"] and coupon["currency"] != currency:
        raise StripeRefusal(f"The coupon's currency must be {currency}.", param=param)
    if (coupon["amount_off"] or 0) > subtotal:
        raise StripeRefusal("The coupon takes off more than the session's total.", param=param)
    return coupon


def _discount(coupon: Json | None, subtotal: int) -> int:
    if coupon is None:
        return 0
    if coupon["amount_off"]:
        return int(coupon["amount_off"])
    return int(subtotal * coupon["percent_off"] // 1000 * 10)


def _customer_details(customer: Json | None, given: Json) -> Json | None:
    email = customer["email"] if customer else given.get("customer_email")
    if not email:
        return None
    members = ("address", "business_name", "individual_name", "name", "phone")
    return {**dict.fromkeys(members), "email": email, "tax_exempt": "none", "tax_ids": None}
