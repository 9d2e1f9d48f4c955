"""Products and the ad-hoc prices made of them."""

import re
from collections.abc import Mapping

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.listing import EXPAND, list_kind, list_shape
from catalyst.local.sandbox_stripe.routing import Call, Operation
from catalyst.local.sandbox_stripe.shape import Array, Field, Object, Shape
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
PRODUCT: Mapping[str, Shape] = {
    "name": Field(required=True),
    "description": Field(),
    "images": Array(Field(), longest=8),
    "metadata": Field("metadata"),
    "tax_code": Field(),
    "unit_label": Field(longest=12),
}
RECURRING = Object(
    {
        "interval": Field(required=True, choices=("day", "week", "month", "year")),
        "interval_count": Field("integer"),
    }
)


def create_product(account: Account, given: Json, id_: str = "") -> Json:
    """Save a product; the ones of a session's own lines are not active, as at Stripe."""
    empty: Json = {"active": True, "description": None, "images": [], "marketing_features": [], "metadata": {}}
    return account.create(
        "product", id_ or account.new_id("prod"), **{**empty, "updated": account.clock.now(), **given}
    )


def create_price(account: Account, data: Json, product: str) -> Json:
    """Save the price of a ``price_data``; it serves one line and is not active."""
    recurring, unit = data.get("recurring"), data["unit_amount"]
    return account.create(
        "price",
        account.new_id("price"),
        active=False,
        billing_scheme="per_unit",
        currency=data["currency"].lower(),
        metadata={},
        nickname=None,
        product=product,
        recurring={
            "interval": recurring["interval"],
            "interval_count": recurring.get("interval_count", 1),
            "meter": None,
            "usage_type": "licensed",
        }
        if recurring
        else None,
        tax_behavior=data.get("tax_behavior", "unspecified"),
        type="recurring" if recurring else "one_time",
        unit_amount=unit,
        unit_amount_decimal=str(unit),
    )


def _create(call: Call) -> Json:
    given = {name: value for name, value in call.parameters.items() if name != "expand"}
    id_ = given.pop("id", "") or call.account.new_id("prod")
    if not _ID.fullmatch(id_):
        raise StripeRefusal(f"Invalid product id: {id_}", param="id")
    if call.account.store.get("product", id_):
        raise StripeRefusal("Product already exists.", code="resource_already_exists", param="id")
    thing = create_product(call.account, given, id_)
    call.account.emit("product.created", thing)
    return thing


OPERATIONS = [
    Operation("products.create", "POST", "/v1/products", Object({**EXPAND, "id": Field(), **PRODUCT}), _create),
    Operation(
        "products.retrieve",
        "GET",
        "/v1/products/{product}",
        Object(EXPAND),
        lambda call: call.account.find("product", call.id),
    ),
    Operation(
        "products.list",
        "GET",
        "/v1/products",
        list_shape(active=Field("boolean")),
        lambda call: list_kind(
            call.account,
            "product",
            call.parameters,
            call.path,
            lambda thing: thing["active"] == call.parameters.get("active", thing["active"]),
        ),
    ),
]
