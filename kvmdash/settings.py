"""Settings, all from the environment (docs/configuration.md has the table).

Mode ``production`` refuses to start with an unsafe setting (kvmdash.checks); ``development`` makes its own keys in the data
folder, so that `make up` needs no preparation.
"""

from __future__ import annotations

import os
from pathlib import Path

import environ
from csp.constants import NONCE, NONE, SELF

from kvmdash import keys, logs, version

VERSION = version.VERSION
BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

MODE = env.str("KVMDASH_MODE", default="development")
DEBUG = env.bool("KVMDASH_DEBUG", default=False)
DATA_DIR = Path(env.str("KVMDASH_DATA_DIR", default=str(BASE_DIR / "var")))
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
RUN_DIR = DATA_DIR / "run"

SECRET_KEY = keys.from_environment("KVMDASH_SECRET_KEY", DATA_DIR / "secret.key", MODE, keys.new_secret_key)
ENCRYPTION_KEYS = keys.from_environment(
    "KVMDASH_ENCRYPTION_KEYS", DATA_DIR / "encryption.key", MODE, keys.new_encryption_key
).split(",")
ALLOWED_HOSTS = env.list("KVMDASH_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
PUBLIC_ORIGINS: list[str] = env.list("KVMDASH_ORIGINS", default=[])
CSRF_TRUSTED_ORIGINS = PUBLIC_ORIGINS
TLS_PROXY = env.bool("KVMDASH_TLS_PROXY", default=False)

INSTALLED_APPS = [
    "kvmdash",
    "hosts.apps.HostsConfig",
    "vms.apps.VmsConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "channels",
    "csp",
    "django_htmx",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "kvmdash.middleware.RequestContextMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "kvmdash.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "kvmdash.urls"
ASGI_APPLICATION = "kvmdash.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "kvmdash.context.shell",
            ],
        },
    },
]

SQLITE_OPTIONS = {
    # Without IMMEDIATE two writers deadlock and one fails at once with "database is locked".
    "transaction_mode": "IMMEDIATE",
    "timeout": env.float("KVMDASH_SQLITE_SECONDS", default=20.0),
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA mmap_size=134217728; "
        "PRAGMA cache_size=-16000; PRAGMA temp_store=MEMORY;"
    ),
}


def _database(variable: str, file: str) -> dict[str, object]:
    """One database from its URL, with the options that were measured to work for its engine."""
    config: dict[str, object] = env.db_url(variable, default=f"sqlite:///{DATA_DIR / file}")
    if config["ENGINE"] == "django.db.backends.sqlite3":
        config["OPTIONS"] = SQLITE_OPTIONS
    else:
        config["CONN_MAX_AGE"] = 0
        # What the URL says (sslmode, sslrootcert) stays.
        config["OPTIONS"] = {**(config.get("OPTIONS") or {}), "pool": {"min_size": 1, "max_size": 20}}  # type: ignore[dict-item]
    return config


DATABASES = {
    "default": _database("KVMDASH_DATABASE_URL", "kvmdash.sqlite3"),
    "metrics": _database("KVMDASH_METRICS_DATABASE_URL", "metrics.sqlite3"),
}
DATABASE_ROUTERS = ["kvmdash.routers.MetricsRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("KVMDASH_REDIS_URL", default="")
if REDIS_URL:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL], "prefix": "kvmdash"},
        }
    }
    CACHES = {
        "default": {
            "BACKEND": "kvmdash.cache.ForgivingRedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "kvmdash",
            # Without them a Redis that hangs would hang every page.
            "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
        }
    }
else:
    CHANNEL_LAYERS = {
        # The default capacity of 100 drops messages without a word.
        "default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 20000}}
    }
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 50000},
        }
    }

AUTH_USER_MODEL = "hosts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "overview"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "kvmdash.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_RATE_LIMITS = {
    "login": env.str("KVMDASH_LOGIN_RATE", default="30/m/ip"),
    "login_failed": env.str("KVMDASH_LOGIN_FAILED_RATE", default="10/m/ip,5/5m/key"),
}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "kvmdash"
MFA_ADAPTER = "kvmdash.accounts.MfaAdapter"

SESSION_ENGINE = "hosts.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = env.str("KVMDASH_SESSION_COOKIE", default="kvmdash_session")
SESSION_COOKIE_AGE = env.int("KVMDASH_SESSION_SECONDS", default=12 * 3600)
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_NAME = "kvmdash_csrf"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if TLS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = env.bool("KVMDASH_TLS_REDIRECT", default=True)
    SECURE_HSTS_SECONDS = env.int("KVMDASH_HSTS_SECONDS", default=31536000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("KVMDASH_HSTS_SUBDOMAINS", default=True)
    SECURE_HSTS_PRELOAD = env.bool("KVMDASH_HSTS_PRELOAD", default=True)
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    LANGUAGE_COOKIE_SECURE = True
TRUSTED_PROXIES: list[str] = env.list("KVMDASH_TRUSTED_PROXIES", default=[])
METRICS_TOKEN = env.str("KVMDASH_METRICS_TOKEN", default="")
METRICS_FROM: list[str] = env.list("KVMDASH_METRICS_FROM", default=[])

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:", "blob:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 6000

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("vi", "Tiếng Việt")]
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SECURE = TLS_PROXY
LOCALE_PATHS = [BASE_DIR / "kvmdash" / "locale"]
TIME_ZONE = env.str("KVMDASH_TIME_ZONE", default="UTC")
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "kvmdash.storage.StaticStorage"
            if MODE == "production"
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}
WHITENOISE_USE_FINDERS = MODE != "production"
WHITENOISE_AUTOREFRESH = DEBUG

# Intervals, in seconds.
TICK_SECONDS = env.float("KVMDASH_TICK_SECONDS", default=2.0)
RECONCILE_SECONDS = env.float("KVMDASH_RECONCILE_SECONDS", default=60.0)
LEASE_SECONDS = env.float("KVMDASH_LEASE_SECONDS", default=15.0)
KEEPALIVE_SECONDS = env.int("KVMDASH_KEEPALIVE_SECONDS", default=2)
KEEPALIVE_COUNT = env.int("KVMDASH_KEEPALIVE_COUNT", default=2)
CONNECT_SECONDS = env.float("KVMDASH_CONNECT_SECONDS", default=10.0)
CALL_SECONDS = env.float("KVMDASH_CALL_SECONDS", default=30.0)
LOST_SECONDS = env.float("KVMDASH_LOST_SECONDS", default=90.0)
# How many versions of each guest's definition are kept.
DEFINITION_VERSIONS = env.int("KVMDASH_DEFINITION_VERSIONS", default=200)
OPERATIONS_PER_HOST = env.int("KVMDASH_OPERATIONS_PER_HOST", default=8)
BULK_CONCURRENCY = env.int("KVMDASH_BULK_CONCURRENCY", default=4)

# Seconds without a byte after which an upload is given up.
UPLOAD_SECONDS = env.float("KVMDASH_UPLOAD_SECONDS", default=3600.0)
# Names and networks that volumes may be fetched from although they are not on the public internet.
FETCH_FROM: list[str] = env.list("KVMDASH_FETCH_FROM", default=[])

CONSOLE_GATEWAY = env.str("KVMDASH_CONSOLE_GATEWAY", default="127.0.0.1:6080")
# How much is kept of what each guest writes on a text console, while somebody looks at it.
SERIAL_LOG_BYTES = env.int("KVMDASH_SERIAL_LOG_BYTES", default=1024 * 1024)
CONSOLE_PUBLIC_PATH = "/ws/console/"

LOG_FORMAT = env.str("KVMDASH_LOG_FORMAT", default="text")
LOG_LEVEL = env.str("KVMDASH_LOG_LEVEL", default="INFO")
LOGGING_CONFIG = None

SILENCED_SYSTEM_CHECKS: list[str] = []
TEST_URI_ALLOWED = MODE != "production" or os.environ.get("KVMDASH_ALLOW_TEST_URI") == "1"
logs.configure(LOG_FORMAT, LOG_LEVEL)
