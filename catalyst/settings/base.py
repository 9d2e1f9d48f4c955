"""Settings that every deployment shares, by topic. The environment is read here and nowhere else."""

import logging
from pathlib import Path

import environ
import structlog
from celery.schedules import crontab
from csp.constants import NONE, SELF

from catalyst.local.runtime import service_urls

env = environ.Env()

ROOT = Path(__file__).resolve().parent.parent.parent
CATALYST_HOME = Path(env.str("CATALYST_HOME", default=str(ROOT / "var"))).resolve()
CATALYST_PORT = env.int("CATALYST_PORT", default=8000)
#: The address under which people reach this Sovereign; links in e-mails and on the card page begin with it.
PUBLIC_URL = env.str("CATALYST_PUBLIC_URL", default=f"http://localhost:{CATALYST_PORT}").rstrip("/")
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)

# --- Applications ---------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "catalyst.core",
    "tenancy",
    "marketplace",
    "billing",
    "catalyst.admin.CatalystAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "csp",
    "django_filters",
    "django_htmx",
    "django_structlog",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "template_partials",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "catalyst.core.http.middleware.security_headers",
    "catalyst.core.http.middleware.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "tenancy.views.language.personal_language",
    "catalyst.core.http.middleware.log_address",
    "django_structlog.middlewares.RequestMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "catalyst.core.http.middleware.domain_errors",
]

ROOT_URLCONF = "catalyst.urls"
WSGI_APPLICATION = "catalyst.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "tenancy.User"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "tenancy.views.context.sovereign",
                "billing.views.context.cart",
            ],
            "builtins": ["catalyst.core.templatetags.ui", "catalyst.core.templatetags.money"],
        },
    }
]

# --- Postgres and Redis ---------------------------------------------------------------------------------------------
# DATABASE_URL and REDIS_URL win; otherwise the embedded servers of `make run` are found through their runtime file.
_services = service_urls(CATALYST_HOME)
DATABASE_URL = env.str(
    "DATABASE_URL", default=_services.get("DATABASE_URL", "postgres://catalyst@127.0.0.1:5432/catalyst")
)
REDIS_URL = env.str("REDIS_URL", default=_services.get("REDIS_URL", "redis://127.0.0.1:6379/0"))

#: The role that the application's connections switch to; empty for migrations, which run as the owner.
DATABASE_ROLE = env.str("CATALYST_DB_ROLE", default="catalyst_app")
#: Migrations (the owner, no role) may take their time; a request may not.
_STATEMENT_TIMEOUT_MS = env.int("CATALYST_STATEMENT_TIMEOUT_MS", default=5000 if DATABASE_ROLE else 0)
DATABASES = {"default": environ.Env.db_url_config(DATABASE_URL)}
DATABASES["default"].update(
    ENGINE="django.db.backends.postgresql",
    ATOMIC_REQUESTS=False,
    CONN_MAX_AGE=None,
    # A dead connection is noticed at the start of a request, not in the middle of a sale.
    CONN_HEALTH_CHECKS=False,
    OPTIONS={
        "application_name": env.str("CATALYST_PROCESS", default="manage"),
        "options": " ".join(
            [
                *([f"-c role={DATABASE_ROLE}"] if DATABASE_ROLE else []),
                "-c lock_timeout=3000",
                f"-c statement_timeout={_STATEMENT_TIMEOUT_MS}",
                "-c idle_in_transaction_session_timeout=10000",
            ]
        ),
    },
)

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "catalyst",
    }
}

# --- Background work ------------------------------------------------------------------------------------------------
# Redis is a doorbell: every task is also found by a sweep of Postgres, so results are not kept and losses cost latency.
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 3, "socket_connect_timeout": 3, "max_retries": 1}
CELERY_BEAT_SCHEDULE = {
    "heartbeat": {"task": "core.heartbeat", "schedule": 15.0},
    "watch-invariants": {"task": "core.watch_invariants", "schedule": 900.0},
    "sweep-deliveries": {"task": "core.sweep_deliveries", "schedule": 10.0},
    "sweep-checkouts": {"task": "billing.sweep_checkouts", "schedule": 15.0},
    "sweep-psp-calls": {"task": "billing.sweep_psp_calls", "schedule": 15.0},
    "sweep-stripe-events": {"task": "billing.sweep_stripe_events", "schedule": 15.0},
    "sweep-refunds": {"task": "billing.sweep_refunds", "schedule": 15.0},
    "follow-pending-refunds": {"task": "billing.follow_pending_refunds", "schedule": 3600.0},
    "sweep-disputes": {"task": "billing.sweep_disputes", "schedule": 3600.0},
    "reconcile": {"task": "billing.reconcile", "schedule": crontab(hour=4, minute=10)},
    "fetch-missed-stripe-events": {"task": "billing.fetch_missed_stripe_events", "schedule": 3600.0},
    "sweep-subscriptions": {"task": "billing.sweep_subscriptions", "schedule": 60.0},
    "sweep-card-renewals": {"task": "billing.sweep_card_renewals", "schedule": 300.0},
    "sweep-card-calls": {"task": "billing.sweep_card_calls", "schedule": 30.0},
    "issue-missing-invoices": {"task": "billing.issue_missing_invoices", "schedule": 3600.0},
    "sweep-change-calls": {"task": "billing.sweep_change_calls", "schedule": 30.0},
    "sweep-changes": {"task": "marketplace.sweep_changes", "schedule": 15.0},
    "sweep-gates": {"task": "marketplace.sweep_gates", "schedule": 15.0},
    "sweep-branches": {"task": "marketplace.sweep_branches", "schedule": 60.0},
    "sweep-jobs": {"task": "marketplace.sweep_jobs", "schedule": 15.0},
    "sweep-kept-data": {"task": "marketplace.sweep_kept_data", "schedule": 3600.0},
    "sweep-flux-messages": {"task": "marketplace.sweep_flux_messages", "schedule": 15.0},
    "look-at-clusters": {"task": "marketplace.look_at_clusters", "schedule": 10.0},
    "take-pushed": {"task": "marketplace.take_pushed", "schedule": 30.0},
    "sweep-platform": {"task": "marketplace.sweep_platform", "schedule": 3600.0},
    "sweep-secrets": {"task": "marketplace.sweep_secrets", "schedule": 15.0},
    "sweep-domains": {"task": "billing.sweep_domains", "schedule": 60.0},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(CATALYST_HOME / "run" / "celerybeat-schedule")

# --- People ---------------------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/console/"
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "catalyst.core.http.errors.csrf_failure"

#: How long an e-mailed code works; the e-mail says the same number.
SIGN_IN_CODE_MINUTES = 10
ACCOUNT_ADAPTER = "tenancy.views.account_adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = SIGN_IN_CODE_MINUTES * 60
ACCOUNT_LOGIN_BY_CODE_MAX_ATTEMPTS = 3
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT = SIGN_IN_CODE_MINUTES * 60
ACCOUNT_PREVENT_ENUMERATION = True
# The library allows about nine guesses a minute at one address; this is thirty an hour.
ACCOUNT_RATE_LIMITS = {"request_login_code": "3/m/key,10/h/key,20/m/ip"}
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""

# --- Languages ------------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ar", "العربية")]
LOCALE_PATHS = [ROOT / "locale"]
FORMAT_MODULE_PATH = ["catalyst.formats"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Asia/Muscat"

# --- Files ----------------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [ROOT / "static"]
STATIC_ROOT = CATALYST_HOME / "static"
WHITENOISE_USE_FINDERS = False
BLUEPRINT_ROOTS = [ROOT / "blueprints" / "platform", ROOT / "blueprints" / "products"]
GIT_ROOT = CATALYST_HOME / "git"
#: Whether members may push change/<name> to the repository of an Environment; off, they only fetch.
GIT_PUSH = env.bool("CATALYST_GIT_PUSH", default=False)

# --- Cluster --------------------------------------------------------------------------------------------------------
# The API of the cluster in which Environments run; "{environment}" in it is the Environment's name. Empty: nobody looks
# into a cluster, and only a sandbox deletes data.
KUBERNETES_API_URL = env.str("CATALYST_KUBERNETES_API_URL", default="")
KUBERNETES_TOKEN_FILE = env.str("CATALYST_KUBERNETES_TOKEN_FILE", default="")
KUBERNETES_CA_FILE = env.str("CATALYST_KUBERNETES_CA_FILE", default="")
#: How long the data of a removed Application is kept before it is deleted for good.
APPLICATION_DATA_DAYS = 14

# --- Secret store ---------------------------------------------------------------------------------------------------
# Where secrets of Applications go: "openbao" (also HashiCorp Vault), or nothing, and then none are taken.
SECRET_STORE = env.str("SECRET_STORE", default="")
SECRET_STORE_URL = env.str("SECRET_STORE_URL", default="")
#: A token, a file that an agent keeps a token in, or an AppRole.
SECRET_STORE_TOKEN = env.str("SECRET_STORE_TOKEN", default="")
SECRET_STORE_TOKEN_FILE = env.str("SECRET_STORE_TOKEN_FILE", default="")
SECRET_STORE_ROLE_ID = env.str("SECRET_STORE_ROLE_ID", default="")
SECRET_STORE_SECRET_ID = env.str("SECRET_STORE_SECRET_ID", default="")
#: Where the key-value engine, version 2, is mounted.
SECRET_STORE_MOUNT = env.str("SECRET_STORE_MOUNT", default="secret")
SECRET_STORE_NAMESPACE = env.str("SECRET_STORE_NAMESPACE", default="")
SECRET_STORE_CA_FILE = env.str("SECRET_STORE_CA_FILE", default="")

# --- Domains --------------------------------------------------------------------------------------------------------
#: Whom to ask for the proof of a domain: addresses of resolvers that validate DNSSEC, each with or without ":port".
#: Empty: those of this machine.
DNS_RESOLVERS = env.list("CATALYST_DNS_RESOLVERS", default=[])
#: Names under which this platform itself gives addresses, besides the Sovereign's own; nobody can claim one.
POOL_DOMAINS = env.list("CATALYST_POOL_DOMAINS", default=["omani.rest", "omani.works", "omani.trade", "omani.homes"])

# --- E-mail ---------------------------------------------------------------------------------------------------------
EMAIL_CONFIG = env.email("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Catalyst <no-reply@localhost>")

# --- Limits on input ------------------------------------------------------------------------------------------------
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 300
WEBHOOK_MAX_BYTES = 1024 * 1024

# --- Security -------------------------------------------------------------------------------------------------------
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
#: Where the card processor answers; empty means Stripe itself. A stand-in on this machine sets it.
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="")
#: A payment of the other mode (test, live) than the stored keys is never accepted.
STRIPE_LIVEMODE = env.bool("STRIPE_LIVEMODE", default=False)
STRIPE_API_VERSION = "2026-10-28.endive"
STRIPE_TIMEOUT_SECONDS = env.float("STRIPE_TIMEOUT_SECONDS", default=4.0)
#: All calls to the processor that one shopper's request makes, together.
STRIPE_REQUEST_BUDGET_SECONDS = env.float("STRIPE_REQUEST_BUDGET_SECONDS", default=9.0)
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        # Chromium applies form-action to the redirect that follows a form, so the card page's origin is named.
        "form-action": [
            SELF,
            "https://checkout.stripe.com",
            "https://billing.stripe.com",
            *([STRIPE_API_BASE] if STRIPE_API_BASE else []),
        ],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# --- API ------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "tenancy.api.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["tenancy.api.permissions.DeclaredPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["catalyst.core.http.parsers.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "catalyst.core.http.problems.exception_handler",
    "DEFAULT_PAGINATION_CLASS": None,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Catalyst",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "EnvironmentType": "catalyst.core.names.ENVIRONMENT_TYPES",
        "OrderState": ["pending_payment", "paid", "cancelled", "refunded"],
        "SubscriptionState": ["active", "past_due", "suspended"],
        "LineKind": ["plan", "blueprint", "addon", "discount"],
        "ItemKind": ["plan", "blueprint", "addon"],
        "ChangeKind": ["now", "period_end"],
    },
}

# --- Failpoints: named places where a test makes the program die. Only the test settings may turn them on. ----------
FAILPOINTS_ENABLED = False

# --- Logs -----------------------------------------------------------------------------------------------------------
_shared_processors: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
]
LOG_FORMAT = env.str("CATALYST_LOG_FORMAT", default="text")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _shared_processors,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer()
                if LOG_FORMAT == "json"
                else structlog.dev.ConsoleRenderer(colors=False),
            ],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["console"], "level": env.str("CATALYST_LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.server": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        # The Stripe library logs whole requests at INFO; they hold names and addresses.
        "stripe": {"level": "WARNING"},
    },
}
# One line for each request, when it is answered: it has everything but the user agent, and two were measurable.
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG
# The library would believe headers that any caller can write; ``log_address`` asks the trusted proxies only.
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
structlog.configure(
    # What the level forbids is dropped before anything is spent on it.
    processors=[
        structlog.stdlib.filter_by_level,
        *_shared_processors,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
