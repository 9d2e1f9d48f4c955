"""The priced lines of a session: ad-hoc prices, subtotals, and the discount spread over them."""

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.amounts import check_amount, check_currency
from catalyst.local.sandbox_stripe.operations.products import PRODUCT, RECURRING, create_price, create_product
from catalyst.local.sandbox_stripe.shape import Field, Object
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

_PRICE = Object(
    {
        "currency": Field(required=True),
        "product_data": Object(PRODUCT, required=True),
        "recurring": RECURRING,
        "tax_behavior": Field(choices=("exclusive", "inclusive", "unspecified")),
        "unit_amount": Field("integer", required=True),
    },
    required=True,
)
LINE_ITEM = Object({"price_data": _PRICE, "quantity": Field("integer"), "metadata": Field("metadata")})


def build_line_items(account: Account, given: list[Json], mode: str) -> list[Json]:
    """Return the line items of a session, with a product and a price for each.

    :raises StripeRefusal: nothing to sell, mixed currencies, or an amount that cannot be charged.
    """
    if not given:
        raise StripeRefusal("Missing required param: line_items.", code="parameter_missing", param="line_items")
    lines = [_build(account, line, f"line_items[{index}]") for index, line in enumerate(given)]
    if len({line["currency"] for line in lines}) > 1:
        raise StripeRefusal("All prices of a Checkout Session must use the same currency.", param="line_items")
    recurring = [line["price"]["recurring"] for line in lines if line["price"]["recurring"]]
    if mode == "payment" and recurring:
        message = "You specified `payment` mode but passed a recurring price. Use `subscription` mode."
        raise StripeRefusal(message, param="line_items")
    if mode == "subscription" and not recurring:
        raise StripeRefusal("You must provide at least one recurring price in `subscription` mode.", param="line_items")
    if len({(item["interval"], item["interval_count"]) for item in recurring}) > 1:
        raise StripeRefusal("All recurring prices must have the same interval.", param="line_items")
    return lines


def _build(account: Account, line: Json, param: str) -> Json:
    quantity = line.get("quantity", 0)
    if quantity < 1:
        raise StripeRefusal("Quantity is required.", code="parameter_missing", param=f"{param}[quantity]")
    data = line["price_data"]
    currency = check_currency(data["currency"], f"{param}[price_data][currency]")
    unit = check_amount(data["unit_amount"], currency, f"{param}[price_data][unit_amount]")
    product = create_product(account, {**data["product_data"], "active": False})
    price = create_price(account, data, product["id"])
    return {
        "id": account.new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": unit * quantity,
        "amount_tax": 0,
        "amount_total": unit * quantity,
        "currency": currency,
        "description": data["product_data"]["name"],
        "metadata": line.get("metadata", {}),
        "price": price,
        "quantity": quantity,
    }


def spread_discount(lines: list[Json], discount: int) -> None:
    """Take a discount off the lines in proportion; what rounding leaves comes off the largest lines first."""
    subtotal = sum(line["amount_subtotal"] for line in lines)
    shares = [discount * line["amount_subtotal"] // subtotal if subtotal else 0 for line in lines]
    rest = discount - sum(shares)
    for index in sorted(range(len(lines)), key=lambda place: -lines[place]["amount_subtotal"]):
        extra = min(rest, lines[index]["amount_subtotal"] - shares[index])
        shares[index] += extra
        rest -= extra
    for line, share in zip(lines, shares, strict=True):
        line["amount_discount"] = share
        line["amount_total"] = line["amount_subtotal"] - share
