"""Invoice items: a single amount, also below zero, on a draft or waiting for the customer's next invoice."""

from http import HTTPStatus

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.amounts import check_amount, check_currency
from catalyst.local.sandbox_stripe.invoice_paper import add_item
from catalyst.local.sandbox_stripe.listing import EXPAND, list_kind, list_shape
from catalyst.local.sandbox_stripe.routing import Call, Operation
from catalyst.local.sandbox_stripe.shape import Field, Object
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

_CREATE = Object(
    {
        **EXPAND,
        "amount": Field("integer", required=True),
        "currency": Field(),
        "customer": Field(required=True),
        "description": Field(),
        "discountable": Field("boolean"),
        "invoice": Field(),
        "metadata": Field("metadata"),
        "subscription": Field(),
    }
)


def _create(call: Call) -> Json:
    account, given = call.account, call.parameters
    customer = account.find("customer", given["customer"], "customer", HTTPStatus.BAD_REQUEST)
    invoice = _draft(account, given, customer["id"]) if "invoice" in given else None
    if invoice is None and "currency" not in given:
        raise StripeRefusal("Missing required param: currency.", code="parameter_missing", param="currency")
    currency = check_currency(given.get("currency") or (invoice or {})["currency"], "currency")
    if invoice and currency != invoice["currency"]:
        raise StripeRefusal(f"The currency must be the invoice's: {invoice['currency']}.", param="currency")
    # Below zero the size obeys the same steps.
    check_amount(abs(given["amount"]), currency, "amount")
    now, id_ = account.clock.now(), account.new_id("ii")
    item = account.create("invoiceitem", id_, **_members(account, given, customer["id"], currency, now))
    if invoice:
        add_item(account, invoice, item)
        account.emit("invoice.updated", invoice)
    account.emit("invoiceitem.created", item)
    return item


def _draft(account: Account, given: Json, customer: str) -> Json:
    invoice = account.find("invoice", given["invoice"], "invoice", HTTPStatus.BAD_REQUEST)
    if invoice["status"] != "draft":
        message = f"The specified invoice ({invoice['id']}) is already finalized and can no longer be edited."
        raise StripeRefusal(message, code="invoice_not_editable", param="invoice")
    if invoice["customer"] != customer:
        raise StripeRefusal("The invoice belongs to another customer.", param="invoice")
    return invoice


def _members(account: Account, given: Json, customer: str, currency: str, now: int) -> Json:
    parent = None
    if "subscription" in given:
        thing = account.find("subscription", given["subscription"], "subscription", HTTPStatus.BAD_REQUEST)
        parent = {"subscription_details": {"subscription": thing["id"]}, "type": "subscription_details"}
    return {
        "amount": given["amount"],
        "currency": currency,
        "customer": customer,
        "description": given.get("description"),
        "discountable": given.get("discountable", given["amount"] >= 0),
        "discounts": [],
        "invoice": None,
        "metadata": given.get("metadata", {}),
        "parent": parent,
        "period": {"end": now, "start": now},
        "pricing": None,
        "proration": False,
        "quantity": 1,
        "quantity_decimal": "1",
        "tax_rates": [],
    }


OPERATIONS = [
    Operation("invoiceitems.create", "POST", "/v1/invoiceitems", _CREATE, _create),
    Operation(
        "invoiceitems.retrieve",
        "GET",
        "/v1/invoiceitems/{invoiceitem}",
        Object(EXPAND),
        lambda call: call.account.find("invoiceitem", call.id),
    ),
    Operation(
        "invoiceitems.list",
        "GET",
        "/v1/invoiceitems",
        list_shape(created=False, customer=Field(), invoice=Field(), pending=Field("boolean")),
        lambda call: list_kind(
            call.account, "invoiceitem", call.parameters, call.path, lambda thing: _matches(thing, call.parameters)
        ),
    ),
]


def _matches(thing: Json, given: Json) -> bool:
    if "pending" in given and given["pending"] != (thing["invoice"] is None):
        return False
    return all(thing[name] == given[name] for name in ("customer", "invoice") if name in given)
