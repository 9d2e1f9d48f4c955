"""Changes: the processor bills what a subscription consists of, and what was not saved is given back."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from billing.services import change_calls, paid_changes
from catalyst.core.outbox import Message, subscribe


@shared_task(name="billing.sweep_change_calls")
def sweep_change_calls_task() -> None:
    """Move the processor's items of every change that is due."""
    change_calls.sweep_items()


@subscribe("change.failed", name="billing.give_change_back")
@subscribe("change.superseded", name="billing.give_change_back")
@subscribe("change.cancelled", name="billing.give_change_back")
def give_change_back(message: Message) -> None:
    """Give back what a person's Change had bought when it ended without a commit."""
    paid_changes.give_back(change_id=UUID(message.payload["change"]), now=timezone.now())
