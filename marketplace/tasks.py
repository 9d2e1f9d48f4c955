"""Consumers, doorbells and sweeps of installation: each only wakes a service up, which finds its work in Postgres."""

import os
import socket
import uuid

from celery import shared_task
from django.utils import timezone

from catalyst.core.outbox import Message, subscribe
from marketplace.selectors.installed import EDITS
from marketplace.services import changes_commit, changes_sweep, delivery, flux_observe, subscription_news, take_pushed


def _owner() -> str:
    # New for each run: one that lost its lease must not write under the next one's.
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@subscribe("order.paid", name="marketplace.deliver_order")
def deliver_order(message: Message) -> None:
    """Install what a paid Order bought."""
    order = delivery.paid_order(message.payload, log_sequence=message.sequence)
    if not order.has_nothing_to_install:
        delivery.deliver_order(order=order, owner=_owner(), now=timezone.now())


@subscribe("subscription.changed", name="marketplace.install_scheduled")
def install_scheduled(message: Message) -> None:
    """Install what a change brings at the end of a period; what was ordered comes with ``order.paid``."""
    order = delivery.scheduled_order(message.payload, cause=message.key, log_sequence=message.sequence)
    if order is not None:
        delivery.deliver_order(order=order, owner=_owner(), now=timezone.now())


@subscribe("subscription.suspended", name="marketplace.pause_applications")
@subscribe("subscription.resumed", name="marketplace.resume_applications")
@subscribe("subscription.changed", name="marketplace.remove_applications")
@subscribe("subscription.canceled", name="marketplace.offboard_applications")
def follow_subscription(message: Message) -> None:
    """Pause, resume or remove what the subscription runs."""
    news = subscription_news.read_news(message)
    if news is not None:
        subscription_news.follow_subscription(news=news, owner=_owner(), now=timezone.now())


@subscribe("change.created", name="marketplace.commit_edit")
def commit_edit(message: Message) -> None:
    """Write what a person changes of what runs; every other Change is written by whoever planned it."""
    if message.payload["kind"] in EDITS:
        environment_id = message.payload["environment_id"]
        changes_commit.commit_changes(environment_id=environment_id, owner=_owner(), now=timezone.now())


@subscribe("application.observed", name="marketplace.settle_changes")
def settle_changes(message: Message) -> None:
    """Close the Changes that this observation completes."""
    changes_sweep.settle_changes(environment_id=message.payload["environment_id"], now=timezone.now())


@shared_task(name="marketplace.sweep_changes")
def sweep_changes_task() -> None:
    """Drive on every Change that is due."""
    changes_sweep.sweep_changes(owner=_owner(), now=timezone.now())


@shared_task(name="marketplace.process_flux_message")
def process_flux_message_task(*, message_id: int) -> None:
    """Look at one stored message of Flux."""
    flux_observe.process_message(message_id=message_id)


@shared_task(name="marketplace.sweep_flux_messages")
def sweep_flux_messages_task() -> None:
    """Look at every stored message of Flux that is due."""
    flux_observe.process_messages()


@shared_task(name="marketplace.take_pushed")
def take_pushed_task() -> None:
    """Register what was pushed and is not in the catalogue: its push died on the way."""
    take_pushed.take_all(now=timezone.now())
