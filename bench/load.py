"""The shoppers: a load generator in a process of its own, on raw keep-alive sockets because it shares the machine.

``python -m bench.load JSON`` runs one ``Load`` and prints what came of it as JSON.
"""

import hashlib
import hmac
import json
import random
import selectors
import socket
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.seed_facts import BLUEPRINT, HOT, PLAN, SCARCE, VOUCHERS, WEBHOOK_SECRET, slug, token, voucher_code

_MOST_BYTES = 65536
_NO_ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Load:
    """One run. ``first`` is the Organization that buys first; ``requests`` bounds the run where it is not 0."""

    port: int
    kind: str
    connections: int
    seconds: float
    first: int = 0
    requests: int = 0
    seed: int = 0
    success: str = "201"


@dataclass
class Result:
    """``rate`` counts successes per second, until the last answer; ``milliseconds`` is the median answer time."""

    rate: float = 0.0
    milliseconds: float = 0.0
    sent: int = 0
    statuses: dict[str, int] = field(default_factory=dict)


def checkout_requests(load: Load) -> Iterator[bytes]:
    """Make the purchase of one Organization after the other, each by its own administrator's token."""
    choose = random.Random(load.seed)
    fixed = {"hot": HOT, "scarce": SCARCE}.get(load.kind)
    organization = load.first
    while True:
        body = {"plan": PLAN, "blueprints": [BLUEPRINT]}
        yield post(
            f"/api/v1/organizations/{slug(organization)}/checkouts/",
            body | {"voucher_code": voucher_code(fixed or choose.randint(1, VOUCHERS))},
            {"Authorization": f"Bearer {token(organization)}", "Idempotency-Key": uuid.uuid4().hex},
        )
        organization += 1


def peer_requests(load: Load) -> Iterator[bytes]:
    """Place one order after the other at the peer; its view does the whole flow in one request."""
    choose = random.Random(load.seed)
    while True:
        number = choose.randint(1, VOUCHERS)
        yield post("/place/", {"voucher": f"PEER{number:05d}"}, {"Cookie": f"sessionid=peer{number:028d}"})


def webhook_requests(load: Load) -> Iterator[bytes]:
    """Send one event after the other, each new; ``forged`` ones are signed with somebody else's secret."""
    secret = WEBHOOK_SECRET if load.kind == "webhook" else "whsec_forged"
    while True:
        now = int(time.time())
        event = {"id": f"evt_{uuid.uuid4().hex}", "object": "event", "type": "invoice.updated", "created": now}
        event |= {"livemode": False, "data": {"object": {"id": "in_1", "object": "invoice", "lines": [0] * 500}}}
        signed = f"{now}.{json.dumps(event)}".encode()
        signature = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        yield post("/webhooks/stripe/", event, {"Stripe-Signature": f"t={now},v1={signature}"})


def post(path: str, body: dict[str, Any], headers: dict[str, str]) -> bytes:
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: bench.example", "X-Forwarded-Proto: https"]
    lines += ["Content-Type: application/json", "Accept: application/json", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


_KINDS: dict[str, Callable[[Load], Iterator[bytes]]] = {
    "spread": checkout_requests,
    "hot": checkout_requests,
    "scarce": checkout_requests,
    "peer": peer_requests,
    "webhook": webhook_requests,
    "forged": webhook_requests,
}


class _Shopper:
    """One connection: sends a request, reads the whole answer, sends the next."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answer = b""
        self._sent_at = 0.0

    def send(self, request: bytes) -> None:
        self._answer, self._sent_at = b"", time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> tuple[str, float] | None:
        """Return status and seconds once the answer is complete."""
        data = self.socket.recv(_MOST_BYTES)
        if not data:
            return "closed", time.perf_counter() - self._sent_at
        self._answer += data
        head, separator, content = self._answer.partition(b"\r\n\r\n")
        if not separator or len(content) < _content_length(head):
            return None
        return head[9:12].decode(), time.perf_counter() - self._sent_at


def run(load: Load) -> Result:
    """Keep every connection busy until the time or the requests are used up, then wait for the last answers."""
    requests = _KINDS[load.kind](load)
    result, statuses, times = Result(), Counter[str](), list[float]()
    waiting = selectors.DefaultSelector()
    began = time.perf_counter()

    def is_over() -> bool:
        return time.perf_counter() - began > load.seconds or (bool(load.requests) and result.sent >= load.requests)

    for _ in range(load.connections):
        shopper = _Shopper(load.port)
        waiting.register(shopper.socket, selectors.EVENT_READ, shopper)
        shopper.send(next(requests))
        result.sent += 1
    while waiting.get_map():
        ready = waiting.select(_NO_ANSWER_SECONDS)
        if not ready:
            statuses["silence"] += len(waiting.get_map())
            break
        for key, _events in ready:
            answer = key.data.receive()
            if answer is None:
                continue
            statuses[answer[0]] += 1
            times.append(answer[1])
            if is_over() or answer[0] == "closed":
                waiting.unregister(key.fileobj)
                continue
            key.data.send(next(requests))
            result.sent += 1
    result.rate = statuses[load.success] / (time.perf_counter() - began)
    result.milliseconds = sorted(times)[len(times) // 2] * 1000 if times else 0.0
    result.statuses = dict(statuses)
    return result


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


if __name__ == "__main__":
    print(json.dumps(asdict(run(Load(**json.loads(sys.argv[1]))))))
