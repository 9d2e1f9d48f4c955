"""Sweeps and doorbells of the money flows: each only wakes a service up, which finds its work in Postgres."""

import os
import socket
import uuid

import structlog
from celery import shared_task
from django.utils import timezone

from billing.services import checkout_sweep, order_mail, stripe_events
from billing.services.psp import ProcessorNotConfigured, ProcessorUnavailable
from catalyst.core.outbox import Message, subscribe

log = structlog.get_logger(__name__)

_LOOK_BACK_DAYS = 3
#: Once a day everything of the last days is fetched, not only what the processor knows to be undelivered.
_FULL_FETCH_HOUR = 3


@shared_task(name="billing.sweep_checkouts")
def sweep_checkouts_task() -> None:
    """Drive on every checkout that is due."""
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    checkout_sweep.sweep_checkouts(owner=owner, now=timezone.now())


@shared_task(name="billing.sweep_psp_calls")
def sweep_psp_calls_task() -> None:
    """End the calls to the processor whose outcome is not known."""
    checkout_sweep.sweep_psp_calls(now=timezone.now())


@shared_task(name="billing.process_stripe_event")
def process_stripe_event_task(*, event_id: str) -> None:
    """Follow one stored event."""
    stripe_events.process_event(event_id=event_id, now=timezone.now())


@shared_task(name="billing.sweep_stripe_events")
def sweep_stripe_events_task() -> None:
    """Follow every stored event that is due."""
    stripe_events.sweep_events(now=timezone.now())


@shared_task(name="billing.fetch_missed_stripe_events")
def fetch_missed_stripe_events_task() -> None:
    """Fetch what the processor could not deliver; the next sweep follows it."""
    now = timezone.now()
    only_undelivered = now.hour != _FULL_FETCH_HOUR
    try:
        new = stripe_events.fetch_missed_events(now=now, days=_LOOK_BACK_DAYS, only_undelivered=only_undelivered)
    except (ProcessorNotConfigured, ProcessorUnavailable) as error:
        log.info("stripe_events_not_fetched", reason=error.code)
        return
    if new:
        log.warning("stripe_events_missed", count=new)


@subscribe("order.paid", name="billing.mail_order_confirmed")
def mail_order_confirmed(message: Message) -> None:
    """Send the confirmation; the delivery row keeps it to one, a crash at the wrong moment may make it two."""
    order_mail.mail_order_confirmed(order_number=message.payload["order"], event=message.key)


@subscribe("order.ready", name="billing.mail_order_ready")
def mail_order_ready(message: Message) -> None:
    """Say that everything runs; once, as above."""
    order_mail.mail_order_ready(order_number=message.payload["order"], event=message.key)
