"""WSGI entry: every page and the API, everything but live streams."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "catalyst.settings.dev")

application = get_wsgi_application()
