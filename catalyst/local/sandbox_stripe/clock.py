"""The sandbox's clock: real time plus an offset that tests move."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, local


class Clock:
    """Seconds since the epoch, as Stripe counts them; ``advance`` moves the hand forward."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._lock = Lock()
        self._held = local()
        self._listeners: list[Callable[[], object]] = []

    def now(self) -> int:
        """Return the current moment in whole seconds; inside ``held`` the moment that is held."""
        held: int | None = getattr(self._held, "moment", None)
        if held is not None:
            return held
        with self._lock:
            return int(time.time() + self._offset)

    def advance(self, seconds: float) -> None:
        """Move the clock forward and let everything that became due happen before returning."""
        if seconds < 0:
            raise ValueError("The clock only moves forward.")
        with self._lock:
            self._offset += seconds
        for listener in self._listeners:
            listener()

    @contextmanager
    def held(self, moment: int) -> Iterator[None]:
        """Let it be ``moment`` for this thread: what became due long ago happens at its own time."""
        before = getattr(self._held, "moment", None)
        self._held.moment = moment
        try:
            yield
        finally:
            self._held.moment = before

    def on_advance(self, listener: Callable[[], object]) -> None:
        """Call ``listener`` after every move."""
        self._listeners.append(listener)
