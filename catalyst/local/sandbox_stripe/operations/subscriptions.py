"""Subscriptions: create, retrieve, update, list, cancel."""

from catalyst.local.sandbox_stripe.listing import EXPAND, list_kind, list_shape
from catalyst.local.sandbox_stripe.operations import subscription_change
from catalyst.local.sandbox_stripe.renewal import end_subscription
from catalyst.local.sandbox_stripe.routing import Call, Operation
from catalyst.local.sandbox_stripe.shape import Field, Object
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

_STATES = "active all canceled ended incomplete incomplete_expired past_due paused trialing unpaid"


def _list(call: Call) -> Json:
    customer, status = call.parameters.get("customer"), call.parameters.get("status")

    def matches(thing: Json) -> bool:
        if customer and thing["customer"] != customer:
            return False
        # Without a filter Stripe leaves the canceled ones out.
        if status is None:
            return bool(thing["status"] != "canceled")
        return bool(status == "all" or thing["status"] == ("canceled" if status == "ended" else status))

    return list_kind(call.account, "subscription", call.parameters, call.path, matches)


def _cancel(call: Call) -> Json:
    thing = call.account.find("subscription", call.id)
    if thing["status"] in ("canceled", "incomplete_expired"):
        raise StripeRefusal(f"No such subscription: '{call.id}'", status=404, code="resource_missing", param="id")
    end_subscription(call.account, thing)
    return thing


OPERATIONS = [
    Operation(
        "subscriptions.create", "POST", "/v1/subscriptions", subscription_change.CREATE, subscription_change.create
    ),
    Operation(
        "subscriptions.retrieve",
        "GET",
        "/v1/subscriptions/{subscription}",
        Object(EXPAND),
        lambda call: call.account.find("subscription", call.id),
    ),
    Operation(
        "subscriptions.update",
        "POST",
        "/v1/subscriptions/{subscription}",
        subscription_change.UPDATE,
        subscription_change.update,
    ),
    Operation(
        "subscriptions.list",
        "GET",
        "/v1/subscriptions",
        list_shape(customer=Field(), status=Field(choices=tuple(_STATES.split()))),
        _list,
    ),
    Operation(
        "subscriptions.cancel",
        "DELETE",
        "/v1/subscriptions/{subscription}",
        Object({**EXPAND, "invoice_now": Field("boolean"), "prorate": Field("boolean")}),
        _cancel,
    ),
]
