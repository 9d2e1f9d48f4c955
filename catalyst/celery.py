"""The Celery application. Tasks are doorbells and sweeps; what must not be lost stands in Postgres."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "catalyst.settings.dev")

app = Celery("catalyst")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
