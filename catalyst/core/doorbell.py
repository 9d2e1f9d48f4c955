"""Tell a worker that there is something to do now. What must not be lost stands in Postgres and is found by a sweep."""

import time

import structlog
from celery import current_app

log = structlog.get_logger(__name__)

#: After a broker that did not answer nobody waits for it again for so long.
_PAUSE_SECONDS = 5.0
_quiet_until = 0.0


def ring(task: str, **arguments: object) -> None:
    """Send one message to the task of this name. Never raises: a broker that does not answer costs latency only."""
    global _quiet_until
    if time.monotonic() < _quiet_until:
        return
    try:
        current_app.send_task(task, kwargs=arguments, retry=False)
    except Exception as error:
        # Whatever the broker's client raises, the work is recorded already.
        _quiet_until = time.monotonic() + _PAUSE_SECONDS
        log.warning("ring_failed", task=task, error=str(error))
