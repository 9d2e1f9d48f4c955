"""The stand-in: the sandbox's core behind real HTTP, with faults, a call log and the customer's hands."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

import stripe

from catalyst.local.sandbox_stripe.account import API_VERSION, Account, visible
from catalyst.local.sandbox_stripe.api import Api, find_operation
from catalyst.local.sandbox_stripe.clock import Clock
from catalyst.local.sandbox_stripe.due import run_due
from catalyst.local.sandbox_stripe.payment import expire_session, find_open, pay_session, settle_async
from catalyst.local.sandbox_stripe.server import Answer, Server, answer_with
from catalyst.local.sandbox_stripe.store import Store
from catalyst.local.sandbox_stripe.webhooks import event_body, post_event, sign
from catalyst.local.sandbox_stripe.wire import Json, Reply, Request, StripeRefusal
from tests.stripe_standin.calls import Call, CallLog
from tests.stripe_standin.control import CONTROL, control
from tests.stripe_standin.faults import Fault, FaultScript, FaultyCall, Plan
from tests.stripe_standin.life import LifeControls
from tests.stripe_standin.openapi import ShapeViolation, check_reply, check_request

DEFAULT_KEY = "sk_test_standin"
DEFAULT_WEBHOOK_SECRET = "whsec_standin"


class StripeStandIn(LifeControls):
    """A Stripe of one's own; see the package's docstring for the whole interface."""

    def __init__(self, *, port: int = 0, keys: set[str] | None = None, validate: bool = True) -> None:
        self.keys = {DEFAULT_KEY} if keys is None else keys
        self.webhook_secret = DEFAULT_WEBHOOK_SECRET
        self.validate = validate
        self.violations: list[str] = []
        self.calls = CallLog()
        self.clock = Clock()
        self.clock.on_advance(lambda: run_due(self.account))
        self._faults = FaultScript()
        self._port = port
        self._server: Server | None = None
        self._stopped = Event()
        self.account = Account(Store(), self.clock)
        self._api = Api(self.account, self.keys)
        self._answer: Answer = answer_with(self.account, self._api)

    # --- life -------------------------------------------------------------------------------------------------------
    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        self.account.store.close()

    def start(self) -> None:
        """Listen; after a stop on the same port, with everything remembered."""
        self._stopped.clear()
        self._server = Server(self._port)
        self._port = int(self._server.server_address[1])
        self._server.answer = self._intercept
        self.account.url = self._server.url
        Thread(target=self._server.serve_forever, args=(0.02,), name="stripe-standin", daemon=True).start()

    def stop(self) -> None:
        """Stop listening and cut all connections: callers are refused."""
        self._stopped.set()
        if self._server is not None:
            self._server.stop()
            self._server = None

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Be unreachable inside the block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @property
    def url(self) -> str:
        """Return the address: the value of ``STRIPE_API_BASE``."""
        return self.account.url

    def client(self, key: str = DEFAULT_KEY, *, timeout: float = 4.0) -> stripe.StripeClient:
        """Return an official client that talks to this stand-in and never retries by itself."""
        return stripe.StripeClient(
            key,
            base_addresses={"api": self.url},
            max_network_retries=0,
            http_client=stripe.RequestsClient(timeout=timeout),
        )

    # --- faults -----------------------------------------------------------------------------------------------------
    def script(
        self,
        operation: str,
        fault: Fault,
        *,
        times: int | None = 1,
        skip: int = 0,
        seconds: float = 0.0,
        retry_after: int | None = None,
        code: str = "",
    ) -> None:
        """Let ``fault`` hit the next ``times`` calls of ``operation`` ("*": any; times None: until cleared)."""
        self._faults.add(Plan(operation, Fault(fault), times, skip, seconds, retry_after, code))

    def clear_faults(self) -> None:
        """Work again."""
        self._faults.clear()

    # --- the customer -----------------------------------------------------------------------------------------------
    def pay(self, session_id: str) -> Json:
        """Pay an open session by card, as the customer."""
        return self._shown(pay_session(self.account, session_id))

    def pay_later(self, session_id: str) -> Json:
        """Complete an open session by an asynchronous method: complete, not yet paid."""
        return self._shown(pay_session(self.account, session_id, is_async=True))

    def settle(self, session_id: str) -> Json:
        """Let the asynchronous payment arrive."""
        return self._shown(settle_async(self.account, session_id, succeeded=True))

    def fail(self, session_id: str) -> Json:
        """Let the asynchronous payment fail."""
        return self._shown(settle_async(self.account, session_id, succeeded=False))

    def expire(self, session_id: str) -> Json:
        """Expire an open session as Stripe's clock would."""
        return self._shown(expire_session(self.account, find_open(self.account, session_id)))

    # --- what it knows ----------------------------------------------------------------------------------------------
    def get(self, kind: str, id_: str) -> Json:
        """Return an object as the API shows it."""
        return self._shown(self.account.find(kind, id_))

    def all(self, kind: str, **equal: Any) -> list[Json]:
        """Return the objects of a kind, oldest first, whose members equal the given ones."""
        run_due(self.account)
        rows = reversed(self.account.store.newest_first(kind))
        return [self._shown(row) for row in rows if all(row.get(name) == value for name, value in equal.items())]

    def sessions(self, **equal: Any) -> list[Json]:
        """Return sessions, for example ``sessions(status="open")`` for the payable ones."""
        return self.all("checkout.session", **equal)

    def tamper(self, kind: str, id_: str, **changes: Any) -> Json:
        """Change members of an object behind everybody's back."""
        thing = self.account.find(kind, id_)
        due_at = thing["expires_at"] if thing.get("status") == "open" and "expires_at" in thing else None
        return self._shown(self.account.save(thing, due_at, **changes))

    def keys_in_use(self) -> frozenset[str]:
        """Return the idempotency keys of the calls under way."""
        return self._api.keys_in_use()

    def captured_minor(self, currency: str = "omr") -> int:
        """Return the sum of all money captured, in minor units, refunds not taken off."""
        return sum(charge["amount_captured"] for charge in self.all("charge", currency=currency))

    def refunded_minor(self, currency: str = "omr") -> int:
        """Return the sum of all refunds, in minor units."""
        return sum(refund["amount"] for refund in self.all("refund", currency=currency))

    # --- events -----------------------------------------------------------------------------------------------------
    def events(self, *types: str) -> list[Json]:
        """Return the events emitted so far, oldest first, of the given types or all."""
        return [event for event in self.all("event") if not types or event["type"] in types]

    def build_event(self, type_: str, thing: Json, *, id_: str = "", stored: bool = False) -> Json:
        """Return an event about ``thing``; unless ``stored`` it exists nowhere at Stripe (a forged one)."""
        event: Json = {
            "id": id_ or self.account.new_id("evt"),
            "object": "event",
            "created": self.clock.now(),
            "livemode": False,
            "api_version": API_VERSION,
            "data": {"object": visible(thing)},
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": type_,
        }
        if stored:
            self.account.store.put(event)
        return event

    def signed(self, event: Json, *, secret: str = "", timestamp: int | None = None) -> tuple[bytes, dict[str, str]]:
        """Return body and headers of the webhook for a test client; the signature's time is real time unless given."""
        body = event_body(event)
        moment = int(time.time()) if timestamp is None else timestamp
        signature = sign(body, secret or self.webhook_secret, moment)
        return body, {"Content-Type": "application/json", "Stripe-Signature": signature}

    def deliver(self, event: Json, url: str, *, secret: str = "", timestamp: int | None = None) -> int:
        """Post a signed event over HTTP and return the status (0: nobody answered). Call twice for a duplicate."""
        moment = int(time.time()) if timestamp is None else timestamp
        return post_event(url, event, secret or self.webhook_secret, moment)

    # --- inside -----------------------------------------------------------------------------------------------------
    def _intercept(self, request: Request) -> Reply:
        if request.path.startswith(CONTROL):
            return control(self, request)
        found = find_operation(request.method, request.path)
        if found is None:
            reply = self._answer(request)
            self._log(request, "unknown", FaultyCall(None, self._stopped), reply.status, is_replayed=False)
            return reply
        faulty = FaultyCall(self._faults.take(found[0].name), self._stopped)
        status, is_replayed = 0, False
        try:
            faulty.at_the_door()
            reply = self._checked(request, faulty)
            is_replayed = "Idempotent-Replayed" in reply.headers
            faulty.after_effect()
            status = reply.status
            return reply
        except StripeRefusal as refusal:
            status = refusal.status
            return refusal.reply()
        finally:
            self._log(request, found[0].name, faulty, status, is_replayed=is_replayed)

    def _checked(self, request: Request, faulty: FaultyCall) -> Reply:
        try:
            if self.validate:
                check_request(request)
            reply = self._api.answer(request, faulty)
            if self.validate and reply.status < 300:
                check_reply(request, reply, json.loads(reply.body))
        except ShapeViolation as violation:
            self.violations.append(str(violation))
            raise StripeRefusal(str(violation), code="parameter_unknown") from None
        return reply

    def _log(self, request: Request, operation: str, faulty: FaultyCall, status: int, *, is_replayed: bool) -> None:
        method, key = request.method, request.idempotency_key
        # Reads change nothing, however often they succeed.
        has_effect = faulty.has_effect and method != "GET"
        try:
            parameters = request.parameters()
        except StripeRefusal:
            parameters = {}
        call = Call(operation, method, request.path, key, parameters, status, is_replayed, has_effect, faulty.fault)
        self.calls.add(call)
