"""Sweeps of what is billed by card: renewals that no event told of, calls without an outcome."""

from celery import shared_task
from django.utils import timezone

from billing.services import card_calls, card_sweep


@shared_task(name="billing.sweep_card_renewals")
def sweep_card_renewals_task() -> None:
    """Ask about every card subscription whose period is over."""
    card_sweep.sweep_card_renewals(now=timezone.now())


@shared_task(name="billing.sweep_card_calls")
def sweep_card_calls_task() -> None:
    """Bring every call about cards to an outcome."""
    card_calls.sweep_card_calls(now=timezone.now())
