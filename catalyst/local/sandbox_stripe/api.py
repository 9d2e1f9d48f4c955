"""The API: authorization, routing, idempotency, and one transaction per operation."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable
from http import HTTPStatus
from threading import Lock
from typing import Protocol

from catalyst.local.sandbox_stripe.account import API_VERSION, Account, visible
from catalyst.local.sandbox_stripe.due import run_due
from catalyst.local.sandbox_stripe.expand import expand
from catalyst.local.sandbox_stripe.operations import (
    cards,
    coupons,
    customers,
    events,
    invoice_items,
    invoices,
    money_back,
    products,
    sessions,
    subscriptions,
)
from catalyst.local.sandbox_stripe.routing import Call, Operation
from catalyst.local.sandbox_stripe.shape import read
from catalyst.local.sandbox_stripe.wire import Json, Reply, Request, StripeRefusal

OPERATIONS: list[Operation] = [
    *customers.OPERATIONS,
    *coupons.OPERATIONS,
    *sessions.OPERATIONS,
    *products.OPERATIONS,
    *subscriptions.OPERATIONS,
    *invoices.OPERATIONS,
    *invoice_items.OPERATIONS,
    *cards.OPERATIONS,
    *money_back.OPERATIONS,
    *events.OPERATIONS,
]
_KEY_LIFETIME = 24 * 60 * 60


class Script(Protocol):
    """What a test may do to a call that passed validation; see ``tests/stripe_standin``."""

    def before_effect(self) -> None:
        """Run with the idempotency key in use and no transaction open."""

    def decide(self, run: Callable[[], Reply]) -> Reply:
        """Return the reply that is stored under the key, usually ``run()``."""


class PlainScript:
    """Does what was asked."""

    def before_effect(self) -> None:
        """Do nothing."""

    def decide(self, run: Callable[[], Reply]) -> Reply:
        """Run the operation."""
        return run()


def find_operation(method: str, path: str) -> tuple[Operation, str] | None:
    """Return the operation behind a method and path, with the identifier in the path."""
    for operation in OPERATIONS:
        match = operation.pattern.fullmatch(path)
        if match and operation.method == method:
            return operation, match.groupdict().get("id", "")
    return None


class Api:
    """Answers requests. ``keys`` are the accepted secret keys; None accepts every test key."""

    def __init__(self, account: Account, keys: set[str] | None) -> None:
        self.account = account
        self.keys = keys
        self._keys_in_use: set[str] = set()
        self._lock = Lock()

    def answer(self, request: Request, script: Script | None = None) -> Reply:
        """Return Stripe's reply to one request, with the headers that every reply has."""
        request_id = self.account.new_id("req")
        try:
            self._authorize(request)
            reply = self._route(request, script or PlainScript(), request_id)
        except StripeRefusal as refusal:
            reply = refusal.reply()
        headers = {"Request-Id": request_id, "Stripe-Version": request.headers.get("stripe-version", API_VERSION)}
        if request.idempotency_key:
            headers["Idempotency-Key"] = request.idempotency_key
        return Reply(reply.status, reply.body, {**headers, **reply.headers})

    def keys_in_use(self) -> frozenset[str]:
        """Return the idempotency keys of the calls under way."""
        with self._lock:
            return frozenset(self._keys_in_use)

    def _authorize(self, request: Request) -> None:
        key = _presented_key(request.headers.get("authorization", ""))
        if not key:
            message = "You did not provide an API key."
            raise StripeRefusal(message, status=HTTPStatus.UNAUTHORIZED)
        accepted = key in self.keys if self.keys is not None else key.startswith(("sk_test_", "rk_test_"))
        if not accepted:
            shown = f"{key[:8]}{'*' * 8}{key[-4:]}" if len(key) > 12 else "*" * len(key)
            raise StripeRefusal(f"Invalid API Key provided: {shown}", status=HTTPStatus.UNAUTHORIZED)

    def _route(self, request: Request, script: Script, request_id: str) -> Reply:
        found = find_operation(request.method, request.path)
        if found is None:
            message = f"Unrecognized request URL ({request.method}: {request.path})."
            raise StripeRefusal(message, status=HTTPStatus.NOT_FOUND)
        operation, id_ = found
        run_due(self.account)
        # What fails here never began to execute, so nothing is stored under its key.
        raw = request.parameters()
        if not request.idempotency_key:
            return self._run(operation, Call(self.account, id_, read(raw, operation.shape), request.path), script)
        fingerprint = _fingerprint(request, raw)
        with _KeyInUse(self, request.idempotency_key):
            kept = self.account.store.reply_of(request.idempotency_key, self.account.clock.now() - _KEY_LIFETIME)
            if kept is not None:
                return _replay(kept, fingerprint, request.idempotency_key)
            call = Call(self.account, id_, read(raw, operation.shape), request.path)
            return self._run(operation, call, script, (request.idempotency_key, fingerprint, request_id))

    def _run(self, operation: Operation, call: Call, script: Script, keep: tuple[str, str, str] | None = None) -> Reply:
        script.before_effect()
        store = self.account.store
        with store.transaction():
            reply = script.decide(lambda: self._execute(operation, call))
            if keep is not None:
                key, fingerprint, request_id = keep
                store.keep_reply(key, fingerprint, self.account.clock.now(), request_id, reply)
        return reply

    def _execute(self, operation: Operation, call: Call) -> Reply:
        try:
            with self.account.store.savepoint():
                try:
                    thing = operation.run(call)
                except StripeRefusal as refusal:
                    if refusal.keeps_effect:
                        return refusal.reply()
                    raise
                return Reply.of_json(visible(expand(self.account, thing, call.parameters.get("expand", []))))
        except StripeRefusal as refusal:
            # Execution began, so the refusal is stored under the key although its writes are undone.
            return refusal.reply()


class _KeyInUse:
    """Two calls with one key never run at the same time: the second is told so."""

    def __init__(self, api: Api, key: str) -> None:
        self._api, self._key = api, key

    def __enter__(self) -> None:
        with self._api._lock:
            if self._key in self._api._keys_in_use:
                message = "There is currently another in-progress request using this Idempotent Key."
                raise StripeRefusal(
                    message, status=HTTPStatus.CONFLICT, type_="idempotency_error", code="idempotency_key_in_use"
                )
            self._api._keys_in_use.add(self._key)

    def __exit__(self, *_: object) -> None:
        with self._api._lock:
            self._api._keys_in_use.discard(self._key)


def _presented_key(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _fingerprint(request: Request, parameters: Json) -> str:
    content = json.dumps([request.method, request.path, parameters], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _replay(kept: tuple[str, str, Reply], fingerprint: str, key: str) -> Reply:
    original, request_id, reply = kept
    if original != fingerprint:
        message = (
            "Keys for idempotent requests can only be used with the same parameters they were first used with. "
            f"Try using a key other than '{key}' if you meant to execute a different request."
        )
        raise StripeRefusal(message, type_="idempotency_error")
    headers = {**reply.headers, "Idempotent-Replayed": "true", "Original-Request": request_id}
    return Reply(reply.status, reply.body, headers)
