"""Scripted faults: what goes wrong with the next calls of an operation."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from threading import Event, Lock

from catalyst.local.sandbox_stripe.wire import ConnectionDropped, Reply, StripeRefusal


class Fault(StrEnum):
    """What can go wrong. "Stored" replies stay under their idempotency key, as Stripe keeps them."""

    #: The connection closes; nothing happened.
    DROP_BEFORE = "drop_before"
    #: It happened, the reply is lost.
    DROP_AFTER = "drop_after"
    #: As above, by a TCP reset.
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    #: Waits ``seconds`` with the idempotency key in use, then happens and is answered.
    DELAY_BEFORE = "delay_before"
    #: It happened, the reply waits ``seconds``.
    DELAY_AFTER = "delay_after"
    #: A stored 500 without / with the object made.
    STORED_500_WITHOUT_EFFECT = "stored_500_without_effect"
    STORED_500_WITH_EFFECT = "stored_500_with_effect"
    #: Stored refusals of the endpoint; nothing happened.
    ERROR_400 = "error_400"
    ERROR_402 = "error_402"
    #: Refusals before the endpoint; nothing is stored, nothing happened.
    ERROR_401 = "error_401"
    ERROR_403 = "error_403"
    ERROR_409 = "error_409"
    ERROR_429 = "error_429"
    ERROR_500 = "error_500"
    ERROR_503 = "error_503"


_STORED = {
    Fault.STORED_500_WITHOUT_EFFECT: (500, "api_error", "", "An unknown error occurred."),
    Fault.STORED_500_WITH_EFFECT: (500, "api_error", "", "An unknown error occurred."),
    Fault.ERROR_400: (400, "invalid_request_error", "parameter_invalid_string", "Scripted: invalid request."),
    Fault.ERROR_402: (402, "card_error", "card_declined", "Your card was declined."),
}
_AT_THE_DOOR = {
    Fault.ERROR_401: (401, "invalid_request_error", "", "Invalid API Key provided: sk_test_****"),
    Fault.ERROR_403: (403, "invalid_request_error", "", "The provided key does not have the required permissions."),
    Fault.ERROR_409: (409, "invalid_request_error", "lock_timeout", "This object cannot be accessed right now."),
    Fault.ERROR_429: (429, "invalid_request_error", "rate_limit", "Request rate limit exceeded."),
    Fault.ERROR_500: (500, "api_error", "", "An unknown error occurred."),
    Fault.ERROR_503: (503, "api_error", "", "Service unavailable."),
}


@dataclass(slots=True)
class Plan:
    """One line of the script: skip some calls, then hit the next ``times`` (None: for ever)."""

    operation: str
    fault: Fault
    times: int | None
    skip: int
    seconds: float
    retry_after: int | None
    code: str = ""


class FaultScript:
    """The plans of one stand-in; the first plan that matches a call takes it."""

    def __init__(self) -> None:
        self._plans: list[Plan] = []
        self._lock = Lock()

    def add(self, plan: Plan) -> None:
        """Append a line."""
        with self._lock:
            self._plans.append(plan)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._plans.clear()

    def take(self, operation: str) -> Plan | None:
        """Return the plan that hits this call and count it."""
        with self._lock:
            for plan in self._plans:
                if plan.operation not in (operation, "*") or plan.times == 0:
                    continue
                if plan.skip:
                    plan.skip -= 1
                    continue
                if plan.times is not None:
                    plan.times -= 1
                return plan
        return None


class FaultyCall:
    """Plays one plan around one call; ``None`` plays nothing. Counts whether the effect happened."""

    def __init__(self, plan: Plan | None, stopped: Event) -> None:
        self._plan = plan
        self._stopped = stopped
        self.has_effect = False

    @property
    def fault(self) -> Fault | None:
        """Return what goes wrong with this call."""
        return self._plan.fault if self._plan else None

    def at_the_door(self) -> None:
        """Refuse or drop before the API sees the call."""
        if self.fault in (Fault.DROP_BEFORE, Fault.RESET_BEFORE):
            raise ConnectionDropped(reset=self.fault == Fault.RESET_BEFORE)
        if self._plan and self.fault in _AT_THE_DOOR:
            raise self._refusal(_AT_THE_DOOR[self._plan.fault])

    def before_effect(self) -> None:
        """Wait with the idempotency key in use."""
        if self.fault == Fault.DELAY_BEFORE:
            self._wait()

    def decide(self, run: Callable[[], Reply]) -> Reply:
        """Run the effect, or store something else."""
        if self._plan and self._plan.fault in _STORED:
            if self.fault == Fault.STORED_500_WITH_EFFECT:
                self.has_effect = run().status < 300
            return self._refusal(_STORED[self._plan.fault]).reply()
        reply = run()
        self.has_effect = reply.status < 300
        return reply

    def after_effect(self) -> None:
        """Lose or delay the reply."""
        if self.fault in (Fault.DROP_AFTER, Fault.RESET_AFTER):
            raise ConnectionDropped(reset=self.fault == Fault.RESET_AFTER)
        if self.fault == Fault.DELAY_AFTER:
            self._wait()

    def _wait(self) -> None:
        if self._plan and self._stopped.wait(self._plan.seconds):
            raise ConnectionDropped

    def _refusal(self, row: tuple[int, str, str, str]) -> StripeRefusal:
        status, type_, code, message = row
        headers = {}
        if self._plan and self._plan.retry_after is not None:
            headers["Retry-After"] = str(self._plan.retry_after)
        code = self._plan.code or code if self._plan else code
        return StripeRefusal(message, status=status, type_=type_, code=code, headers=headers)
