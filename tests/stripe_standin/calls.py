"""The log of every call the stand-in received, and what it counts."""

from dataclasses import dataclass
from threading import Lock
from typing import Any

from tests.stripe_standin.faults import Fault


@dataclass(frozen=True, slots=True)
class Call:
    """One received call. ``status`` is 0 when the caller got no reply; ``has_effect``: this call changed something."""

    operation: str
    method: str
    path: str
    idempotency_key: str
    parameters: dict[str, Any]
    status: int
    is_replayed: bool
    has_effect: bool
    fault: Fault | None


class CallLog:
    """Calls in the order of their end."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._lock = Lock()

    def add(self, call: Call) -> None:
        """Append a call."""
        with self._lock:
            self._calls.append(call)

    def clear(self) -> None:
        """Forget all calls."""
        with self._lock:
            self._calls.clear()

    def find(self, operation: str = "", key: str | None = None) -> list[Call]:
        """Return the calls of an operation, of one idempotency key, or all."""
        with self._lock:
            return [
                call
                for call in self._calls
                if (not operation or call.operation == operation) and (key is None or call.idempotency_key == key)
            ]

    def count(self, operation: str = "", key: str | None = None) -> int:
        """Return how many calls arrived, retries and replays included."""
        return len(self.find(operation, key))

    def effect_count(self, operation: str, key: str | None = None) -> int:
        """Return how many calls changed something: what "at most one external effect" counts."""
        return sum(call.has_effect for call in self.find(operation, key))

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Return the number of calls per (method, path, idempotency key)."""
        result: dict[tuple[str, str, str], int] = {}
        for call in self.find():
            place = (call.method, call.path, call.idempotency_key)
            result[place] = result.get(place, 0) + 1
        return result
