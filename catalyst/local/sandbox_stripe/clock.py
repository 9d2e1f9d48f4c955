"""The sandbox's clock: real time plus an offset that tests move."""

import time
from collections.abc import Callable
from threading import Lock


class Clock:
    """Seconds since the epoch, as Stripe counts them; ``advance`` moves the hand forward."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._lock = Lock()
        self._listeners: list[Callable[[], object]] = []

    def now(self) -> int:
        """Return the current moment in whole seconds."""
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

    def on_advance(self, listener: Callable[[], object]) -> None:
        """Call ``listener`` after every move."""
        self._listeners.append(listener)
