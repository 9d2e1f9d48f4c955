"""Settings of the test run: real Postgres and Redis from the pytest plugin, fixed keys, failpoints on."""

import tempfile
from pathlib import Path

from .base import *

DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
SECRET_KEY = "test-only-secret-key-that-is-long-enough-to-pass-the-check-0123456789"
CATALYST_MASTER_KEYS = ["dGVzdC1vbmx5LW1hc3Rlci1rZXktMDEyMzQ1Njc4OWE="]
VOUCHER_PEPPER = "dGVzdC1vbmx5LXBlcHBlci0wMTIzNDU2Nzg5YWJjZGU="
# Migrations and the test database need the owner; fixtures switch to the application's role afterwards.
DATABASE_ROLE = ""
DATABASES["default"]["OPTIONS"]["options"] = "-c lock_timeout=10000 -c idle_in_transaction_session_timeout=30000"
DATABASES["default"]["CONN_MAX_AGE"] = 0
CATALYST_HOME = Path(tempfile.gettempdir()) / "catalyst-test-home"
GIT_ROOT = CATALYST_HOME / "git"
GIT_PUSH = True
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
CELERY_TASK_ALWAYS_EAGER = False
STRIPE_API_BASE = "http://127.0.0.1:9"
# Nobody answers there; tests that need the store start one (tests/secret_store.py).
SECRET_STORE = "openbao"
SECRET_STORE_URL = "http://127.0.0.1:9"
SECRET_STORE_TOKEN = "test-only-token"
# Nobody answers there; tests that need the DNS start a server (tests/dns_server.py).
DNS_RESOLVERS = ["127.0.0.1:9"]
FAILPOINTS_ENABLED = True
LOGGING["root"]["level"] = "WARNING"  # type: ignore[index]
