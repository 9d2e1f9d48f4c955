"""The one Stripe account of a sandbox: its objects, its clock, and the events it emits."""

import secrets
from http import HTTPStatus
from typing import Any

from catalyst.local.sandbox_stripe.clock import Clock
from catalyst.local.sandbox_stripe.store import Store
from catalyst.local.sandbox_stripe.wire import Json, StripeRefusal

#: Version of the objects' shapes; the one that the pinned ``stripe`` library asks for.
API_VERSION = "2026-10-28.endive"


def visible(thing: Any) -> Any:
    """Return an object without the sandbox's own notes, whose names start with an underscore."""
    if isinstance(thing, dict):
        return {
            name: value if name == "metadata" else visible(value)
            for name, value in thing.items()
            if not name.startswith("_")
        }
    if isinstance(thing, list):
        return [visible(value) for value in thing]
    return thing


class Account:
    """Objects are dictionaries in Stripe's shape; whoever changes one saves it and emits what happened."""

    def __init__(self, store: Store, clock: Clock, *, url: str = "", has_webhook: bool = False) -> None:
        self.store = store
        self.clock = clock
        self.url = url
        self.has_webhook = has_webhook
        #: Seconds until an asynchronous payment succeeds by itself; None waits for a caller.
        self.async_delay: int | None = None

    def new_id(self, prefix: str) -> str:
        """Return a fresh identifier like ``cs_test_…``."""
        return f"{prefix}_{secrets.token_hex(12)}"

    def next_invoice_number(self) -> str:
        """Return a number that no other invoice has; a draft has none yet."""
        numbered = sum(1 for each in self.store.newest_first("invoice") if each["number"])
        return f"SANDBOX-{numbered + 1:04d}"

    def create(self, kind: str, id_: str, due_at: int | None = None, **members: Any) -> Json:
        """Save a new object with the members that every Stripe object has."""
        # Two kinds differ: an invoice item calls its moment otherwise, a refund does not say whether it is live.
        common: Json = {"id": id_, "object": kind, "date" if kind == "invoiceitem" else "created": self.clock.now()}
        if kind != "refund":
            common["livemode"] = False
        thing = {**common, **members}
        self.store.put(thing, thing.get("_due_at") if due_at is None else due_at)
        return thing

    def find(self, kind: str, id_: str, param: str = "", status: int = HTTPStatus.NOT_FOUND) -> Json:
        """Return an object.

        :raises StripeRefusal: ``resource_missing``; 404 when it is the path's, 400 when it is a parameter's.
        """
        thing = self.store.get(kind, id_)
        if thing is None:
            noun = kind.replace("_", " ") if kind != "checkout.session" else "checkout session"
            message = f"No such {noun}: '{id_}'"
            raise StripeRefusal(message, status=status, code="resource_missing", param=param or "id")
        return thing

    def save(self, thing: Json, due_at: int | None = None, **changes: Any) -> Json:
        """Apply changes to an object and save it; its next moment is ``due_at`` or its own note ``_due_at``."""
        thing.update(changes)
        self.store.put(thing, thing.get("_due_at") if due_at is None else due_at)
        return thing

    def emit(self, type_: str, thing: Json) -> Json:
        """Record an event with a snapshot of the object and queue it for the webhook."""
        event = self.create(
            "event",
            self.new_id("evt"),
            api_version=API_VERSION,
            data={"object": visible(thing)},
            pending_webhooks=int(self.has_webhook),
            request={"id": None, "idempotency_key": None},
            type=type_,
        )
        if self.has_webhook:
            # Real time: the injected clock moves days, the shop's server must still be awake.
            self.store.queue_delivery(event["id"], 0)
        return event
