"""What passes over the wire: requests, replies, refusals, and Stripe's bracketed form encoding."""

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

Json = dict[str, Any]

_SEGMENT = re.compile(r"\[([^\[\]]*)\]")
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; header names are lower case."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def idempotency_key(self) -> str:
        """Return the key the caller chose; only POST has one."""
        return self.headers.get("idempotency-key", "") if self.method == "POST" else ""

    def parameters(self) -> Json:
        """Return body (POST) or query (GET, DELETE) as nested values of text."""
        return decode_form(self.body.decode("utf-8", "replace") if self.method == "POST" else self.query)


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, value: Json, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> "Reply":
        """Return a JSON reply, indented as Stripe's are."""
        body = (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
        return cls(status, body, {"Content-Type": "application/json", **(headers or {})})


class StripeRefusal(Exception):
    """A refusal in the shape of Stripe's errors.

    Source: docs.stripe.com/api/errors.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = HTTPStatus.BAD_REQUEST,
        type_: str = "invalid_request_error",
        code: str = "",
        param: str = "",
        headers: dict[str, str] | None = None,
        keeps_effect: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        #: A declined card was tried: what that left behind stays.
        self.keeps_effect = keeps_effect
        self.headers = headers or {}
        members = {"message": message, "type": type_, "code": code, "param": param}
        self.error = {name: value for name, value in members.items() if value}

    def reply(self) -> Reply:
        """Return the HTTP reply that tells this refusal."""
        return Reply.of_json({"error": self.error}, self.status, self.headers)


class ConnectionDropped(Exception):
    """The server shall close the connection without answering; with ``reset`` by a TCP reset."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__("connection dropped")
        self.reset = reset


def decode_form(text: str) -> Json:
    """Decode ``a[b][0][c]=1`` and ``a[]=1`` into nested dictionaries and lists.

    :raises StripeRefusal: the names contradict each other or nest too deep.
    """
    root: Json = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        match = _NAME.fullmatch(name)
        path = [match[1], *_SEGMENT.findall(match[2])] if match else []
        if not path or len(path) > _DEEPEST:
            raise StripeRefusal(f"Invalid parameter name: {name}", param=name)
        _place(root, path, value, name)
    return {key: _lists(value) for key, value in root.items()}


def _place(root: Json, path: list[str], value: str, name: str) -> None:
    node = root
    for segment in path[:-1]:
        child = node.setdefault(segment or str(len(node)), {})
        if not isinstance(child, dict):
            raise StripeRefusal(f"Invalid parameter name: {name}", param=name)
        node = child
    last = path[-1] or str(len(node))
    if last in node:
        raise StripeRefusal(f"Parameter given twice: {name}", param=name)
    node[last] = value


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if all(key.isdecimal() for key in value):
        return [_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _lists(child) for key, child in value.items()}
