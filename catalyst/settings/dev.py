"""One machine: `make run`. Plain HTTP on localhost, e-mail into a folder, secrets made once under CATALYST_HOME."""

from catalyst.local.secrets import local_secret

from .base import *
from .base import CATALYST_HOME, EMAIL_CONFIG, env

DEBUG = env.bool("CATALYST_DEBUG", default=False)
GIT_PUSH = env.bool("CATALYST_GIT_PUSH", default=True)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
SECRET_KEY = env.str("SECRET_KEY", default="") or local_secret(CATALYST_HOME, "secret-key")
CATALYST_MASTER_KEYS = env.list("CATALYST_MASTER_KEYS", default=[local_secret(CATALYST_HOME, "master-key")])
VOUCHER_PEPPER = env.str("VOUCHER_PEPPER", default="") or local_secret(CATALYST_HOME, "voucher-pepper")
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
if EMAIL_CONFIG["EMAIL_BACKEND"].endswith("console.EmailBackend"):
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = CATALYST_HOME / "mail"
