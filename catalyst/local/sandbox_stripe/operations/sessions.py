"""Checkout Sessions: create, retrieve, list, expire, line items."""

from catalyst.local.sandbox_stripe.listing import EXPAND, list_kind, list_shape, page_of
from catalyst.local.sandbox_stripe.operations.session_create import SHAPE, create_session
from catalyst.local.sandbox_stripe.payment import expire_session
from catalyst.local.sandbox_stripe.routing import Call, Operation
from catalyst.local.sandbox_stripe.shape import Field, Object
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

_KIND = "checkout.session"
_FILTERS = ("customer", "payment_intent", "subscription", "status")


def _list(call: Call) -> Json:
    wanted = {name: call.parameters[name] for name in _FILTERS if name in call.parameters}
    return list_kind(
        call.account,
        _KIND,
        call.parameters,
        call.path,
        lambda thing: all(thing[name] == value for name, value in wanted.items()),
    )


def _expire(call: Call) -> Json:
    session = call.account.find(_KIND, call.id, "session")
    if session["status"] != "open":
        message = (
            f"Only open Checkout Sessions can be expired. This Checkout Session has a status of {session['status']}."
        )
        raise StripeRefusal(message)
    return expire_session(call.account, session)


def _line_items(call: Call) -> Json:
    session = call.account.find(_KIND, call.id, "session")
    return page_of(session["_line_items"], call.parameters, call.path)


OPERATIONS = [
    Operation("checkout.sessions.create", "POST", "/v1/checkout/sessions", SHAPE, create_session),
    Operation(
        "checkout.sessions.list",
        "GET",
        "/v1/checkout/sessions",
        list_shape(
            customer=Field(),
            payment_intent=Field(),
            subscription=Field(),
            status=Field(choices=("open", "complete", "expired")),
        ),
        _list,
    ),
    Operation(
        "checkout.sessions.retrieve",
        "GET",
        "/v1/checkout/sessions/{session}",
        Object(EXPAND),
        lambda call: call.account.find(_KIND, call.id, "session"),
    ),
    Operation("checkout.sessions.expire", "POST", "/v1/checkout/sessions/{session}/expire", Object(EXPAND), _expire),
    Operation(
        "checkout.sessions.line_items",
        "GET",
        "/v1/checkout/sessions/{session}/line_items",
        list_shape(created=False),
        _line_items,
    ),
]
