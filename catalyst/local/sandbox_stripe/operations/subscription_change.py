"""Making and changing subscriptions over the API. Prorations are not modeled: ``proration_behavior=none`` is a must."""

from collections.abc import Mapping
from http import HTTPStatus

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.amounts import check_amount, check_currency
from catalyst.local.sandbox_stripe.invoice_paper import draft_invoice, item_lines
from catalyst.local.sandbox_stripe.invoicing import collect_invoice, finalize_invoice
from catalyst.local.sandbox_stripe.listing import EXPAND
from catalyst.local.sandbox_stripe.operations.customers import check_method
from catalyst.local.sandbox_stripe.operations.products import RECURRING, create_price
from catalyst.local.sandbox_stripe.periods import next_end
from catalyst.local.sandbox_stripe.routing import Call
from catalyst.local.sandbox_stripe.shape import Array, Field, Object, Shape
from catalyst.local.sandbox_stripe.subscribing import create_item, create_subscription, save_subscription
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

_MOST_ITEMS = 20
_PRICE = Object(
    {
        "currency": Field(required=True),
        "product": Field(required=True),
        "recurring": Object(RECURRING.members, required=True),
        "tax_behavior": Field(choices=("exclusive", "inclusive", "unspecified")),
        "unit_amount": Field("integer", required=True),
    }
)
_ITEM: Mapping[str, Shape] = {"metadata": Field("metadata"), "price_data": _PRICE, "quantity": Field("integer")}
_COMMON: Mapping[str, Shape] = {
    **EXPAND,
    "cancel_at_period_end": Field("boolean"),
    "default_payment_method": Field(),
    "description": Field(longest=500),
    "metadata": Field("metadata"),
    "off_session": Field("boolean"),
    "payment_behavior": Field(choices=("allow_incomplete", "error_if_incomplete")),
    "proration_behavior": Field(choices=("always_invoice", "create_prorations", "none")),
}
CREATE = Object(
    {
        **_COMMON,
        "billing_cycle_anchor": Field("integer"),
        "collection_method": Field(choices=("charge_automatically",)),
        "currency": Field(),
        "customer": Field(required=True),
        "items": Array(Object(_ITEM), required=True, longest=_MOST_ITEMS),
        "trial_end": Field("integer"),
    }
)
UPDATE = Object(
    {
        **_COMMON,
        "cancellation_details": Object({"comment": Field(), "feedback": Field()}),
        "items": Array(Object({**_ITEM, "deleted": Field("boolean"), "id": Field()}), longest=2 * _MOST_ITEMS),
    }
)


def create(call: Call) -> Json:
    """Create a subscription; without a free first period its first invoice is collected at once.

    :raises StripeRefusal: anything that Stripe would refuse, and prorations.
    """
    account, given = call.account, call.parameters
    customer = account.find("customer", given["customer"], "customer", HTTPStatus.BAD_REQUEST)
    now = account.clock.now()
    wishes: Json = {name: given[name] for name in ("description", "metadata") if name in given}
    for name in ("trial_end", "billing_cycle_anchor"):
        if name in given:
            if given[name] <= now:
                raise StripeRefusal(f"`{name}` must be a timestamp in the future.", param=name)
            wishes[name] = given[name]
    if "billing_cycle_anchor" in wishes:
        _check_anchor(given, now)
    if "default_payment_method" in given:
        wishes["default_payment_method"] = check_method(account, given, customer["id"])
    lines = [_line(account, item, f"items[{place}]") for place, item in enumerate(given["items"])]
    _check_lines(lines)
    subscription = create_subscription(account, customer["id"], lines, **wishes)
    if given.get("cancel_at_period_end"):
        _plan_end(account, subscription, wanted=True)
        save_subscription(account, subscription)
    account.emit("customer.subscription.created", subscription)
    if "trial_end" in given or "billing_cycle_anchor" not in given:
        _first_invoice(account, subscription, customer, given)
    return account.find("subscription", subscription["id"])


def update(call: Call) -> Json:
    """Change a subscription from now on; what it was invoiced for stays as it is.

    :raises StripeRefusal: it is canceled, or anything else that Stripe would refuse.
    """
    account, given = call.account, call.parameters
    thing = account.find("subscription", call.id)
    if thing["status"] in ("canceled", "incomplete_expired"):
        message = "A canceled subscription can only update its cancellation_details and metadata."
        raise StripeRefusal(message, param="id")
    if "items" in given:
        _replace_items(account, thing, given)
    if "default_payment_method" in given:
        thing["default_payment_method"] = check_method(account, given, thing["customer"])
    if "description" in given:
        thing["description"] = given["description"] or None
    if "metadata" in given:
        merged = {**thing["metadata"], **given["metadata"]}
        thing["metadata"] = {name: value for name, value in merged.items() if value != ""}
    if "cancel_at_period_end" in given:
        _plan_end(account, thing, wanted=given["cancel_at_period_end"])
    save_subscription(account, thing)
    account.emit("customer.subscription.updated", thing)
    return thing


def _plan_end(account: Account, thing: Json, *, wanted: bool) -> None:
    end = thing["items"]["data"][0]["current_period_end"]
    thing["cancel_at_period_end"] = wanted
    thing["cancel_at"] = end if wanted else None
    thing["canceled_at"] = (thing["canceled_at"] or account.clock.now()) if wanted else None


def _replace_items(account: Account, thing: Json, given: Json) -> None:
    """Drop, change and add items; those that are not named stay."""
    if given.get("proration_behavior") != "none":
        raise StripeRefusal("The sandbox has no prorations: pass none.", param="proration_behavior")
    items = {item["id"]: item for item in thing["items"]["data"]}
    first = thing["items"]["data"][0]
    period = first["current_period_start"], first["current_period_end"]
    for place, change in enumerate(given["items"]):
        param, id_ = f"items[{place}]", change.get("id")
        if id_ is None:
            item = create_item(account, thing["id"], _line(account, change, param), *period)
            items[item["id"]] = item
        elif id_ not in items:
            raise StripeRefusal(f"No such subscription_item: '{id_}'", code="resource_missing", param=f"{param}[id]")
        elif change.get("deleted"):
            del items[id_]
        else:
            _change_item(account, items[id_], change, param)
    if not items:
        raise StripeRefusal("You cannot delete all items of a subscription; cancel it.", param="items")
    _check_lines(list(items.values()))
    thing["items"]["data"] = list(items.values())


def _change_item(account: Account, item: Json, change: Json, param: str) -> None:
    if "price_data" in change:
        item["price"] = _line(account, {"quantity": item["quantity"], **change}, param)["price"]
    item["quantity"] = change.get("quantity", item["quantity"])
    item["metadata"] = {**item["metadata"], **change.get("metadata", {})}


def _line(account: Account, item: Json, param: str) -> Json:
    if "price_data" not in item:
        raise StripeRefusal(f"Missing required param: {param}[price_data].", code="parameter_missing", param=param)
    quantity, data = item.get("quantity", 1), item["price_data"]
    if quantity < 1:
        raise StripeRefusal("The sandbox has no items of quantity 0.", param=f"{param}[quantity]")
    name = f"{param}[price_data]"
    product = account.find("product", data["product"], f"{name}[product]", HTTPStatus.BAD_REQUEST)
    currency = check_currency(data["currency"], f"{name}[currency]")
    check_amount(data["unit_amount"], currency, f"{name}[unit_amount]")
    price = create_price(account, data, product["id"])
    return {"price": price, "quantity": quantity, "metadata": item.get("metadata", {})}


def _check_lines(lines: list[Json]) -> None:
    if not 0 < len(lines) <= _MOST_ITEMS:
        raise StripeRefusal(f"A subscription has 1 to {_MOST_ITEMS} items.", param="items")
    prices = [line["price"] for line in lines]
    if len({price["currency"] for price in prices}) > 1:
        raise StripeRefusal("All prices of a subscription must use the same currency.", param="items")
    if len({(price["recurring"]["interval"], price["recurring"]["interval_count"]) for price in prices}) > 1:
        raise StripeRefusal("All prices of a subscription must have the same interval.", param="items")


def _check_anchor(given: Json, now: int) -> None:
    if given.get("proration_behavior") != "none":
        raise StripeRefusal("The sandbox has no prorations: pass none.", param="proration_behavior")
    every = given["items"][0].get("price_data", {}).get("recurring", {"interval": "month"})
    if given["billing_cycle_anchor"] > next_end(now, {"interval_count": 1, **every}, now):
        message = "`billing_cycle_anchor` cannot be later than the next natural billing date."
        raise StripeRefusal(message, param="billing_cycle_anchor")


def _first_invoice(account: Account, subscription: Json, customer: Json, given: Json) -> None:
    lines = item_lines(account, subscription)
    if subscription["status"] == "trialing":
        for line in lines:
            line.update(amount=0, subtotal=0)
    invoice = draft_invoice(account, subscription, lines, "subscription_create")
    known = subscription["default_payment_method"] or (customer.get("invoice_settings") or {}).get(
        "default_payment_method"
    )
    if invoice["total"] and not known:
        message = "This customer has no attached payment source or default payment method."
        raise StripeRefusal(message, code="resource_missing")
    save_subscription(account, subscription, latest_invoice=invoice["id"])
    account.emit("invoice.created", invoice)
    finalize_invoice(account, invoice)
    if invoice["status"] == "open" and not collect_invoice(account, invoice):
        if given.get("payment_behavior") == "error_if_incomplete":
            message = "Your card was declined."
            raise StripeRefusal(message, status=HTTPStatus.PAYMENT_REQUIRED, type_="card_error", code="card_declined")
        # A first payment is not tried again by itself.
        account.save(invoice, auto_advance=False, next_payment_attempt=None, _due_at=None)
