"""The daily comparison of our books with the processor's."""

import structlog
from celery import shared_task
from django.utils import timezone

from billing.services.psp import ProcessorNotConfigured, ProcessorRejected, ProcessorUnavailable, get_processor
from billing.services.reconciliation import reconcile

log = structlog.get_logger(__name__)


@shared_task(name="billing.reconcile")
def reconcile_task() -> None:
    """Compare both sides; a run that could not read to the end judges nothing and comes again."""
    try:
        reconcile(processor=get_processor(), now=timezone.now())
    except (ProcessorNotConfigured, ProcessorUnavailable, ProcessorRejected) as error:
        log.warning("reconciliation_skipped", reason=error.code)
