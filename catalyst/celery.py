"""The Celery application. Tasks are doorbells and sweeps; what must not be lost stands in Postgres."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_ready

from catalyst.core.http import heartbeat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "catalyst.settings.dev")

app = Celery("catalyst")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect
def _worker_is_up(**_details: Any) -> None:
    """Be visible to /readyz at once, not only with the first beat."""
    heartbeat.beat("worker")


@beat_init.connect
def _beat_is_up(**_details: Any) -> None:
    heartbeat.beat("beat")
