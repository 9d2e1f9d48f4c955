"""Events: list and retrieve."""

from catalyst.local.sandbox_stripe.listing import EXPAND, list_kind, list_shape
from catalyst.local.sandbox_stripe.routing import Call, Operation
from catalyst.local.sandbox_stripe.shape import Array, Field, Object
from catalyst.local.sandbox_stripe.wire import Json


def _list(call: Call) -> Json:
    given = call.parameters
    wanted = [given["type"]] if "type" in given else given.get("types", [])
    delivered = given.get("delivery_success")
    return list_kind(
        call.account,
        "event",
        given,
        call.path,
        lambda thing: (
            (not wanted or thing["type"] in wanted)
            and (delivered is None or (thing["pending_webhooks"] == 0) is delivered)
        ),
    )


OPERATIONS = [
    Operation(
        "events.list",
        "GET",
        "/v1/events",
        list_shape(type=Field(), types=Array(Field(), longest=20), delivery_success=Field("boolean")),
        _list,
    ),
    Operation(
        "events.retrieve",
        "GET",
        "/v1/events/{event}",
        Object(EXPAND),
        lambda call: call.account.find("event", call.id),
    ),
]
