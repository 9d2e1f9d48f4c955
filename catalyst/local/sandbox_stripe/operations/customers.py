"""Customers: create, retrieve, update, list."""

from collections.abc import Mapping
from http import HTTPStatus

from catalyst.local.sandbox_stripe.account import Account
from catalyst.local.sandbox_stripe.listing import EXPAND, list_kind, list_shape
from catalyst.local.sandbox_stripe.routing import Call, Operation
from catalyst.local.sandbox_stripe.shape import Array, Field, Object, Shape
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

_ADDRESS = Object({name: Field() for name in ("city", "country", "line1", "line2", "postal_code", "state")})
_WRITABLE: Mapping[str, Shape] = {
    **EXPAND,
    "address": _ADDRESS,
    "description": Field(),
    "email": Field(longest=512),
    "invoice_settings": Object({"default_payment_method": Field(), "footer": Field()}),
    "metadata": Field("metadata"),
    "name": Field(longest=256),
    "phone": Field(longest=20),
    "preferred_locales": Array(Field()),
}


def _check_email(parameters: Json) -> None:
    email = parameters.get("email", "")
    if email and ("@" not in email or " " in email):
        raise StripeRefusal(f"Invalid email address: {email}", code="email_invalid", param="email")


def check_method(account: Account, given: Json, customer: str, param: str = "default_payment_method") -> str | None:
    """Return the payment method that parameters name; an empty one means none.

    :raises StripeRefusal: it does not exist, or belongs to somebody else.
    """
    id_: str = given.get("default_payment_method", "")
    if not id_:
        return None
    method = account.find("payment_method", id_, param, HTTPStatus.BAD_REQUEST)
    if method["customer"] != customer:
        message = f"The customer does not have a payment method with the ID {id_}."
        raise StripeRefusal(message, code="resource_missing", param=param)
    return id_


def _settings(account: Account, thing: Json, given: Json) -> Json:
    """Return the invoice settings of a customer with those that were given changed."""
    changed = {**_NO_SETTINGS, **(thing.get("invoice_settings") or {})}
    if "default_payment_method" in given:
        param = "invoice_settings[default_payment_method]"
        changed["default_payment_method"] = check_method(account, given, thing["id"], param)
    if "footer" in given:
        changed["footer"] = given["footer"] or None
    return changed


_NO_SETTINGS: Json = dict.fromkeys(("custom_fields", "default_payment_method", "footer", "rendering_options"))


def _create(call: Call) -> Json:
    _check_email(call.parameters)
    given = {name: value for name, value in call.parameters.items() if name != "expand"}
    empty: Json = {"address": None, "description": None, "email": None, "metadata": {}, "name": None, "phone": None}
    thing = call.account.create(
        "customer",
        call.account.new_id("cus"),
        **{
            **empty,
            "balance": 0,
            "currency": None,
            "default_source": None,
            "delinquent": False,
            "preferred_locales": [],
            "shipping": None,
            "tax_exempt": "none",
            **given,
            "invoice_settings": _settings(call.account, {"id": ""}, given.get("invoice_settings", {})),
        },
    )
    call.account.emit("customer.created", thing)
    return thing


def _update(call: Call) -> Json:
    _check_email(call.parameters)
    thing = call.account.find("customer", call.id)
    changes = {name: value or None for name, value in call.parameters.items() if name not in ("expand", "metadata")}
    merged = {**thing["metadata"], **call.parameters.get("metadata", {})}
    changes["invoice_settings"] = _settings(call.account, thing, call.parameters.get("invoice_settings", {}))
    changes["metadata"] = {name: value for name, value in merged.items() if value != ""}
    call.account.save(thing, **changes)
    call.account.emit("customer.updated", thing)
    return thing


def _list(call: Call) -> Json:
    email = call.parameters.get("email")
    return list_kind(
        call.account, "customer", call.parameters, call.path, lambda thing: email is None or thing["email"] == email
    )


OPERATIONS = [
    Operation("customers.create", "POST", "/v1/customers", Object(_WRITABLE), _create),
    Operation(
        "customers.retrieve",
        "GET",
        "/v1/customers/{customer}",
        Object(EXPAND),
        lambda call: call.account.find("customer", call.id),
    ),
    Operation("customers.update", "POST", "/v1/customers/{customer}", Object(_WRITABLE), _update),
    Operation("customers.list", "GET", "/v1/customers", list_shape(email=Field()), _list),
]
