"""A Sovereign in production: every secret comes from the environment, and a missing one stops the start."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured

# Before the base settings build the loggers: machines read production logs.
os.environ.setdefault("CATALYST_LOG_FORMAT", "json")

from .base import *
from .base import SECRET_STORE, SECRET_STORE_URL, STRIPE_API_BASE, env

DEBUG = False
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS]
SECRET_KEY = env.str("SECRET_KEY")
CATALYST_MASTER_KEYS = env.list("CATALYST_MASTER_KEYS")
VOUCHER_PEPPER = env.str("VOUCHER_PEPPER")

SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 63_072_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_NAME = "__Host-session"
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-csrf"
CSRF_COOKIE_SECURE = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

if STRIPE_API_BASE:
    raise ImproperlyConfigured(
        "STRIPE_API_BASE is set: the sandbox card page takes no money and production refuses it. Unset it."
    )
if SECRET_STORE and not SECRET_STORE_URL.startswith("https://"):
    raise ImproperlyConfigured(
        "SECRET_STORE_URL must begin with https://: secrets would pass in plain. The sandbox store is for one machine."
    )
if any(argument.startswith("sandbox") for argument in sys.argv[1:2]):
    raise ImproperlyConfigured("Sandbox commands do not run on production settings.")
STRIPE_LIVEMODE = env.bool("STRIPE_LIVEMODE", default=True)
