"""Saved cards: setup intents, payment methods, and the portal where customers keep them."""

from http import HTTPStatus

from catalyst.local.sandbox_stripe.listing import EXPAND, list_kind, list_shape
from catalyst.local.sandbox_stripe.routing import Call, Operation
from catalyst.local.sandbox_stripe.shape import Field, Object
from catalyst.local.sandbox_stripe.wire import Json

_PORTAL = Object(
    {
        **EXPAND,
        "configuration": Field(),
        "customer": Field(required=True),
        "flow_data": Object({"type": Field(required=True, choices=("payment_method_update",))}),
        "locale": Field(),
        "return_url": Field(),
    }
)


def _open_portal(call: Call) -> Json:
    account, given = call.account, call.parameters
    customer = account.find("customer", given["customer"], "customer", HTTPStatus.BAD_REQUEST)
    id_ = account.new_id("bps")
    return account.create(
        "billing_portal.session",
        id_,
        configuration=given.get("configuration", "bpc_sandbox"),
        customer=customer["id"],
        flow=None,
        locale=given.get("locale"),
        on_behalf_of=None,
        return_url=given.get("return_url"),
        url=f"{account.url}/portal/{id_}",
    )


def _list_methods(call: Call) -> Json:
    given = call.parameters
    return list_kind(
        call.account,
        "payment_method",
        given,
        call.path,
        lambda thing: all(thing[name] == given[name] for name in ("customer", "type") if name in given),
    )


OPERATIONS = [
    Operation(
        "setup_intents.retrieve",
        "GET",
        "/v1/setup_intents/{intent}",
        Object(EXPAND),
        lambda call: call.account.find("setup_intent", call.id),
    ),
    Operation(
        "payment_methods.retrieve",
        "GET",
        "/v1/payment_methods/{payment_method}",
        Object(EXPAND),
        lambda call: call.account.find("payment_method", call.id),
    ),
    Operation(
        "payment_methods.list",
        "GET",
        "/v1/payment_methods",
        list_shape(created=False, customer=Field(), type=Field()),
        _list_methods,
    ),
    Operation("billing_portal.sessions.create", "POST", "/v1/billing_portal/sessions", _PORTAL, _open_portal),
]
