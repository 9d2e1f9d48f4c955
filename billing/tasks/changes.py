"""The processor's side of changes: the sweep makes it bill what a subscription consists of."""

from celery import shared_task

from billing.services import change_calls


@shared_task(name="billing.sweep_change_calls")
def sweep_change_calls_task() -> None:
    """Move the processor's items of every change that is due."""
    change_calls.sweep_items()
