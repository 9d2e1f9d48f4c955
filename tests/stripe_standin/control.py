"""Remote control of a stand-in that runs as a process: ``POST /_standin/<method>`` with keyword arguments as JSON."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from catalyst.local.sandbox_stripe.wire import Reply, Request

if TYPE_CHECKING:
    from tests.stripe_standin.standin import StripeStandIn

CONTROL = "/_standin/"
_ALLOWED = frozenset(
    {
        "accept",
        "add_card",
        "all",
        "captured_minor",
        "clear_faults",
        "close_dispute",
        "collect",
        "decline",
        "dispute",
        "expire",
        "fail",
        "fail_refund",
        "finalize",
        "get",
        "mark_uncollectible",
        "pay",
        "pay_later",
        "refunded_minor",
        "renew",
        "script",
        "sessions",
        "settle",
        "tamper",
        "void",
    }
)


def control(standin: StripeStandIn, request: Request) -> Reply:
    """Call one method of the stand-in and return ``{"result": …}``."""
    name = request.path.removeprefix(CONTROL)
    arguments = json.loads(request.body or b"{}")
    result: Any
    if name in _ALLOWED:
        result = getattr(standin, name)(**arguments)
    elif name == "advance":
        standin.clock.advance(**arguments)
        result = standin.clock.now()
    elif name == "events":
        result = standin.events(*arguments.get("types", []))
    elif name in ("count", "effect_count"):
        result = getattr(standin.calls, name)(**arguments)
    elif name == "violations":
        result = standin.violations
    else:
        return Reply.of_json({"error": f"no such method: {name}"}, HTTPStatus.NOT_FOUND)
    return Reply.of_json({"result": result})
