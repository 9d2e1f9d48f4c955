"""Sweeps of refunds and disputes: each only wakes the service up, which finds its work in Postgres."""

from celery import shared_task
from django.utils import timezone

from billing.services import refund_sweep


@shared_task(name="billing.sweep_refunds")
def sweep_refunds_task() -> None:
    """Send the card refunds that are due."""
    refund_sweep.sweep_refunds(now=timezone.now())


@shared_task(name="billing.follow_pending_refunds")
def follow_pending_refunds_task() -> None:
    """Ask about refunds that the processor had accepted and not finished."""
    refund_sweep.follow_pending_refunds(now=timezone.now())


@shared_task(name="billing.sweep_disputes")
def sweep_disputes_task() -> None:
    """Look for new disputes and for the end of open ones."""
    refund_sweep.sweep_disputes(now=timezone.now())
