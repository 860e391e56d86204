"""The one settings module. Every value that an operator may change is read from the environment here,
and documented in `.env.example`."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy

from config.env import Env
from config.look import UNFOLD  # noqa: F401 - a setting of the admin

BASE_DIR = Path(__file__).resolve().parent.parent
env = Env(Path.cwd() / ".env")

# --- Deployment -----------------------------------------------------------------------------------

SECRET_KEY = env.required("DJANGO_SECRET_KEY")
DEBUG = env.boolean("DJANGO_DEBUG", default=False)
VERSION = "0.1.0"
SERVICE_NAME = env.text("SERVICE_NAME", "z-billing")
ALLOWED_HOSTS = env.words("DJANGO_ALLOWED_HOSTS") or ["*"]
CSRF_TRUSTED_ORIGINS = env.words("DJANGO_CSRF_TRUSTED_ORIGINS")
DATA_DIR = Path(env.text("PAYMENTS_DATA_DIR", str(Path.cwd() / "data")))

# `make run` serves plain HTTP on this machine; behind TLS set this, and cookies are sent over HTTPS only.
HTTPS_ONLY = env.boolean("PAYMENTS_HTTPS_ONLY", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS_ONLY
SECURE_SSL_REDIRECT = False  # Nothing ever redirects an API call; the proxy may redirect browsers.
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS_ONLY
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS_ONLY else None
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
# W008: see above. axes.W002: `core.middleware.StaffLoginGuard` is the axes middleware, for staff pages.
# security.W003: `core.middleware.StaffCsrf` is the CSRF middleware.
SILENCED_SYSTEM_CHECKS = ["security.W003", "security.W008", "axes.W002"]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
API_ROOT_PATH = env.text("PAYMENTS_API_ROOT_PATH").strip("/")
# One mebibyte above the contract's cap, so that the API answers in its own words before Django does.
DATA_UPLOAD_MAX_MEMORY_SIZE = 3 * 1024 * 1024

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # Its default would replace our staff site by its own.
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "config.apps.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "core",
    "billing",
    "sessions_app",
]

# Sessions, CSRF and login belong to staff pages; `core.middleware` keeps them off the API's paths.
MIDDLEWARE = [
    "core.middleware.RequestId",
    "core.middleware.TrailingSlash",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "core.middleware.StaffSession",
    "core.middleware.StaffCommon",
    "core.middleware.StaffCsrf",
    "core.middleware.StaffAuthentication",
    "core.middleware.StaffMessages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "core.middleware.StaffLoginGuard",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True  # A checkout serves its assets before anyone ran collectstatic.

LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["ip_address", "username"]]
AXES_CLIENT_IP_CALLABLE = "core.net.request_ip"

# --- Database and broker --------------------------------------------------------------------------

DATABASES: dict[str, dict[str, Any]] = {"default": environ.Env.db_url_config(env.required("DATABASE_URL"))}
DATABASES["default"].update(
    # Each blocking thread of a web process keeps its own connection: as fast as a pool, and bounded by
    # the number of threads. Server-side prepared statements stay valid because the connection does.
    CONN_MAX_AGE=None,
    CONN_HEALTH_CHECKS=True,
)
DATABASES["default"]["OPTIONS"] = {
    "connect_timeout": 2,
    # Nothing is prepared because it came often, which is what this counts; but None, Django's default, would
    # also ignore `core.db.prepared`, which asks for it.
    "prepare_threshold": 2**31,
    **DATABASES["default"].get("OPTIONS", {}),
}

REDIS_URL = env.required("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        # A cache that does not answer is a cache that is down, and no request waits for it.
        "OPTIONS": {"socket_connect_timeout": 0.5, "socket_timeout": 0.5},
    }
}

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_TIME_LIMIT = 600
CELERY_TASK_SOFT_TIME_LIMIT = 570
# With late acknowledgement a killed worker's tasks come back only if the transport looks for them.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 660,
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
}

# --- API ------------------------------------------------------------------------------------------

ENABLE_DOCS = env.boolean("PAYMENTS_ENABLE_DOCS", default=False)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["core.rendering.WireRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_SCHEMA_CLASS": "core.openapi.Schema",
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "core.api.handle_exception",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Embody Payments",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "DESCRIPTION": "Registry, session metering, leases and ledger of a network of GPU hosts.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVERS": [{"url": f"/{API_ROOT_PATH}"}] if API_ROOT_PATH else [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_PERMISSIONS": ["core.access.DocsReaders"],
    "SERVE_AUTHENTICATION": ["rest_framework.authentication.SessionAuthentication"],
    "COMPONENT_SPLIT_REQUEST": True,
}

# --- Logging --------------------------------------------------------------------------------------

LOG_LEVEL = env.text("PAYMENTS_LOG_LEVEL", "INFO").upper()
LOG_JSON = env.boolean("PAYMENTS_LOG_JSON", default=not DEBUG)
LOGGING_CONFIG = "core.logs.configure"
LOGGING = {"level": LOG_LEVEL, "json": LOG_JSON}

# --- Access ---------------------------------------------------------------------------------------

API_ADMIN_TOKEN = env.secret("PAYMENTS_API_ADMIN_TOKEN")
VIEWER_TOKENS = env.secret("PAYMENTS_VIEWER_TOKENS").replace(",", " ").split()
SESSION_REPORTER_TOKEN = env.secret("PAYMENTS_SESSION_REPORTER_TOKEN")


def _addresses(text: str) -> list[str]:
    return [str(ip_address(word)) for word in text.replace(",", " ").split()]


MANAGER_IP_ALLOWLIST: list[str] = env.parsed("PAYMENTS_MANAGER_IP_ALLOWLIST", [], _addresses)


def _networks(text: str) -> list[IPv4Network | IPv6Network]:
    """CIDRs as a list of words or a JSON list."""
    return [ip_network(word, strict=False) for word in text.translate(str.maketrans('[]",', "    ")).split()]


TRUSTED_PROXY_CIDRS: list[IPv4Network | IPv6Network] = env.parsed(
    "PAYMENTS_TRUSTED_PROXY_CIDRS", [], _networks
)

# --- Registry -------------------------------------------------------------------------------------


def _ethereum_address(text: str) -> str:
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise ValueError("expected 0x and 40 hexadecimal digits")
    return text


def _wallets(text: str) -> frozenset[str]:
    # A wallet with a typo in it would not be kept out.
    return frozenset(_ethereum_address(word).lower() for word in text.replace(",", " ").split())


REGISTRATION_PER_MINUTE = env.positive("PAYMENTS_REGISTRATION_PER_MINUTE", 5)
REGISTRATION_BURST = env.positive("PAYMENTS_REGISTRATION_BURST", 5)
ADDRESS_DENYLIST: frozenset[str] = env.parsed("PAYMENTS_ADDRESS_DENYLIST", frozenset(), _wallets)
TOP_CONTRACT_ADDRESS = env.parsed("TOP_CONTRACT_ADDRESS", "", _ethereum_address)
TOP_CACHE_TTL_SECONDS = env.positive("TOP_CACHE_TTL_SECONDS", 300)
ETH_RPC_URL = env.text("ETH_RPC_URL", "http://localhost:8545")
ETH_CHAIN_ID = env.positive("ETH_CHAIN_ID", 42161)
FORWARDER_HEALTH_TTL_SECONDS = env.positive("PAYMENTS_FORWARDER_HEALTH_TTL_SECONDS", 120)
DEFAULT_MIN_SERVICE_UPTIME = env.decimal("PAYMENTS_DEFAULT_MIN_SERVICE_UPTIME", "80")
SINGLE_ORCHESTRATOR_MODE = env.boolean("PAYMENTS_SINGLE_ORCHESTRATOR_MODE", default=False)
SINGLE_ORCHESTRATOR = {
    "orchestrator_id": env.text("ORCHESTRATOR_ID"),
    "address": env.text("ORCHESTRATOR_ADDRESS"),
    "health_url": env.text("ORCHESTRATOR_HEALTH_URL"),
    "health_timeout": env.text("ORCHESTRATOR_HEALTH_TIMEOUT"),
}
if SINGLE_ORCHESTRATOR_MODE and not (
    SINGLE_ORCHESTRATOR["orchestrator_id"] and SINGLE_ORCHESTRATOR["address"]
):
    raise ImproperlyConfigured(
        "PAYMENTS_SINGLE_ORCHESTRATOR_MODE is on, so ORCHESTRATOR_ID and ORCHESTRATOR_ADDRESS are required."
    )
BOOTSTRAP_ORCHESTRATORS = env.text("PAYMENTS_BOOTSTRAP_ORCHESTRATORS")
BOOTSTRAP_ORCHESTRATORS_PATH = env.text(
    "PAYMENTS_BOOTSTRAP_ORCHESTRATORS_PATH", "/app/data/orchestrators.json"
)
BOOTSTRAP_SKIP_RANK_VALIDATION = env.boolean("PAYMENTS_BOOTSTRAP_SKIP_RANK_VALIDATION", default=True)

# --- Sessions and leases --------------------------------------------------------------------------

SESSION_CREDIT_ETH_PER_MINUTE = env.decimal("PAYMENTS_SESSION_CREDIT_ETH_PER_MINUTE", "0")
SESSION_SEGMENT_SECONDS = env.positive("PAYMENTS_SESSION_SEGMENT_SECONDS", 2400)
SESSION_MAX_GAP_SECONDS = env.positive("PAYMENTS_SESSION_MAX_GAP_SECONDS", 180, minimum=0)
SESSION_IDLE_TIMEOUT_SECONDS = env.positive("PAYMENTS_SESSION_IDLE_TIMEOUT_SECONDS", 120)
ACTIVITY_LEASE_SECONDS = env.positive("PAYMENTS_ACTIVITY_LEASE_SECONDS", 900)
ACTIVITY_LEASE_MAX_SECONDS = env.positive("PAYMENTS_ACTIVITY_LEASE_MAX_SECONDS", 3600)


def _gate(text: str) -> frozenset[str]:
    words = frozenset(text.replace(",", " ").split())
    if words - {"eligible", "awake"}:
        raise ValueError("expected a list of eligible, awake")
    return words


SESSION_CREDIT_GATE: frozenset[str] = env.parsed("PAYMENTS_SESSION_CREDIT_GATE", frozenset(), _gate)
ALLOW_PRIVATE_HOSTS = env.boolean("PAYMENTS_ALLOW_PRIVATE_HOSTS", default=False)

# --- Ledger ---------------------------------------------------------------------------------------

CREDIT_UNIT = env.text("PAYMENTS_CREDIT_UNIT", "eth").lower()
TEST_RUN_ID = env.text("PAYMENTS_TEST_RUN_ID")
LEDGER_JOURNAL_PATH = env.path("PAYMENTS_LEDGER_JOURNAL_PATH", "/app/data/audit/ledger-events.log")
REGISTRY_LOG_PATH = env.path("PAYMENTS_AUDIT_LOG_PATH", "/app/data/audit/registry.log")
PASSIVE_CREDIT_ETH_PER_MINUTE = env.decimal("PAYMENTS_POWER_CREDIT_ETH_PER_MINUTE", "0")
PAYOUT_STRATEGY = env.choice(
    "PAYMENTS_PAYOUT_STRATEGY", "eth_transfer", frozenset({"eth_transfer", "livepeer_ticket"})
)
