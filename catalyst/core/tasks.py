"""Doorbells of the event log: each only says "look now", and the sweep finds what no doorbell rang for."""

import os
import socket
import uuid

from celery import shared_task
from django.utils import timezone

from catalyst.core import doorbell, invariants, outbox
from catalyst.core.http import heartbeat


@shared_task(name="core.run_delivery")
def run_delivery_task(*, delivery_id: int) -> None:
    """Run one consumer for one event."""
    # The owner is new for each run: a run that lost its lease must not close the delivery of the next one.
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    outbox.run_delivery(delivery_id=delivery_id, owner=owner)


@shared_task(name="core.sweep_deliveries")
def sweep_deliveries_task() -> None:
    """Ring for every delivery that is due: lost messages, retries, workers that died."""
    for delivery_id in outbox.due_deliveries(now=timezone.now()):
        doorbell.ring("core.run_delivery", delivery_id=delivery_id)


@shared_task(name="core.heartbeat")
def heartbeat_task() -> None:
    """Show that beat sends and a worker runs."""
    heartbeat.beat("beat")
    heartbeat.beat("worker")


@shared_task(name="core.watch_invariants")
def watch_invariants_task() -> None:
    """Look whether everything holds that must hold; what does not becomes an incident."""
    invariants.watch_invariants()
