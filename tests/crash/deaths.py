"""The ways in which a process, its database connection or its answer is lost at a named place.

Each takes an act and says whether the place was come to. ``raising`` dies inside the test's own process. ``killed``
dies by ``kill -9`` in a child that is forked from it, so that an act may be any closure and lives in the test's time.
"""

import os
import signal
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import OperationalError, connection

from catalyst.core.database import fetch_one
from catalyst.core.failpoints import Crash, armed
from tests.conftest import owner_connection
from tests.life.chaos import doomed
from tests.stripe_standin import Fault, StripeStandIn

Act = Callable[[], object]
Death = Callable[[StripeStandIn, Act, str, int], bool]

_SURVIVED, _FAILED = 70, 71
_PATIENCE_SECONDS = 30
#: A child must not say good-bye on the connection of its parent, which dropping the object would do.
_inherited: list[Any] = []


class Nth:
    """An action for the nth hit of a point, and for no other."""

    def __init__(self, nth: int, action: Callable[[], None]) -> None:
        self._left = nth
        self._action = action

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._action()

    @property
    def was_reached(self) -> bool:
        return self._left <= 0


def raising(standin: StripeStandIn, act: Act, point: str, nth: int) -> bool:
    """Die by an exception that nothing catches."""
    try:
        with armed(point, Nth(nth, _raise)):
            act()
    except Crash:
        return True
    return False


def somewhere(nth: int) -> Death:
    """Return a death by an exception at the nth named place that an act comes to, whichever that is."""

    def dying(standin: StripeStandIn, act: Act, point: str, number: int) -> bool:
        fallen = Counter[str]()
        with suppress(Crash), doomed(nth=nth, note=fallen):
            act()
        return fallen.total() > 0

    return dying


def killed(standin: StripeStandIn, act: Act, point: str, nth: int) -> bool:
    """Die by ``kill -9``."""
    connection.ensure_connection()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _die(act, point, nth, write_end)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, f"ended by signal {os.WTERMSIG(status)}"
        return True
    assert os.WEXITSTATUS(status) == _SURVIVED, said
    return False


def cut(standin: StripeStandIn, act: Act, point: str, nth: int) -> bool:
    """Lose the connection to Postgres, as when an administrator or a failing server ends it."""
    return _in_thread(act, point, nth, end_backend)


def unanswered(standin: StripeStandIn, act: Act, point: str, nth: int) -> bool:
    """Lose the answer to the COMMIT that comes next; it has happened."""
    lost = list[str]()
    return _in_thread(act, point, nth, lambda: lose_the_commit(lost)) and bool(lost)


def lost_reply(standin: StripeStandIn, act: Act, operation: str, nth: int) -> bool:
    """Lose the processor's answer, and the one to the repetition as well; what was asked for has happened."""
    standin.script(operation, Fault.DROP_AFTER, times=2, skip=nth - 1)
    return _is_hit(standin, act, operation)


def reset_reply(standin: StripeStandIn, act: Act, operation: str, nth: int) -> bool:
    """Lose the processor's answer once, by a connection that is reset."""
    standin.script(operation, Fault.RESET_AFTER, skip=nth - 1)
    return _is_hit(standin, act, operation)


def _is_hit(standin: StripeStandIn, act: Act, operation: str) -> bool:
    before = len(standin.calls.find(operation))
    act()
    return any(call.fault for call in standin.calls.find(operation)[before:])


def end_backend() -> None:
    """End this connection from outside, and wait up to five seconds for its end."""
    mine = fetch_one("SELECT pg_backend_pid()")
    with owner_connection() as owner:
        owner.execute("SELECT pg_terminate_backend(%s, 5000)", mine)


def lose_the_commit(lost: list[str] | None = None) -> None:
    """Let the next COMMIT of this connection happen, its answer be lost with the connection, and ``lost`` tell it."""
    mine: Any = connection
    right: Callable[[], None] = mine._commit

    def commit_and_lose() -> None:
        del mine._commit
        right()
        if lost is not None:
            lost.append("COMMIT")
        raise OperationalError("server closed the connection unexpectedly")

    mine._commit = commit_and_lose


def _raise() -> None:
    raise Crash


def _in_thread(act: Act, point: str, nth: int, action: Callable[[], None]) -> bool:
    """Act on a connection that nobody else needs; what the act raises, its caller has seen."""
    at = Nth(nth, action)

    def run() -> None:
        try:
            with suppress(Exception), armed(point, at):
                act()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return at.was_reached


def _die(act: Act, point: str, nth: int, write_end: int) -> None:
    """The child: whatever happens here, it never returns into the test."""
    code, said = _SURVIVED, ""
    try:
        signal.alarm(_PATIENCE_SECONDS)
        mine: Any = connection
        _inherited.append(mine.connection)
        mine.connection = None
        with armed(point, Nth(nth, lambda: os.kill(os.getpid(), signal.SIGKILL))):
            act()
    except BaseException:
        code, said = _FAILED, traceback.format_exc()
    os.write(write_end, said.encode()[-60_000:])
    os._exit(code)
