"""The relay: gives committed events their place in the log, feeds the projections, rings for the consumers."""

import signal
import threading
import time
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Max

from catalyst.core import doorbell, outbox
from catalyst.core.http import heartbeat, wakeups
from catalyst.core.models import Outbox
from catalyst.core.projections import run_projectors

log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.2
_PAUSE_AFTER_FAILURE_SECONDS = 1.0
_BEAT_SECONDS = 10.0


class Command(BaseCommand):
    help = "Relay events until told to stop. Several may run; one works at a time."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stop = threading.Event()
        self._next_beat = 0.0
        self._rung = -1

    def handle(self, *args: Any, **options: Any) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        log.info("relay_started")
        while not self._stop.is_set():
            self._stop.wait(self.turn())
        log.info("relay_stopped")

    def turn(self) -> float:
        """Do what is waiting; return how long to pause."""
        try:
            self._beat()
            busy = self._relay()
        except (OperationalError, InterfaceError) as error:
            log.warning("relay_database_unavailable", error=str(error))
            connection.close()
            return _PAUSE_AFTER_FAILURE_SECONDS
        except Exception:
            # A projector with a bug: its events wait, all others have been relayed before.
            log.exception("relay_turn_failed")
            return _PAUSE_AFTER_FAILURE_SECONDS
        return 0.0 if busy else _POLL_SECONDS

    def _relay(self) -> bool:
        deliveries = outbox.relay_once()
        try:
            run_projectors()
        finally:
            is_busy = self._ring(deliveries)
        return is_busy

    def _ring(self, deliveries: list[int]) -> bool:
        """Wake workers and live streams; return whether there was anything new."""
        for delivery_id in deliveries:
            doorbell.ring("core.run_delivery", delivery_id=delivery_id)
        last = Outbox.objects.aggregate(last=Max("sequence"))["last"] or 0
        if last == self._rung:
            return False
        wakeups.ring(last)
        self._rung = last
        return True

    def _beat(self) -> None:
        if time.monotonic() >= self._next_beat:
            heartbeat.beat("relay")
            self._next_beat = time.monotonic() + _BEAT_SECONDS
