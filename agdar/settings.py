"""All settings, read from the environment in one place. Every variable is in ``.env.example`` with its default."""

from __future__ import annotations

from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.Env()
if (BASE_DIR / ".env").exists():
    env.read_env(str(BASE_DIR / ".env"))

DEFAULT_SECRET_KEY = "insecure-demo-key-never-for-production"  # noqa: S105  # refused when DEBUG is off
SECRET_KEY = env.str("SECRET_KEY", default=DEFAULT_SECRET_KEY)
# Former keys: sessions signed with them hold, and what they encrypted can be read, until they are taken away.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", cast=str.strip, default=[])
DEBUG = env.bool("DEBUG", default=True)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
# Where patients and providers reach us: links in messages and the providers' call-backs start with it.
PUBLIC_BASE_URL = env.str("PUBLIC_BASE_URL", default="http://127.0.0.1:8000").rstrip("/")
CSRF_TRUSTED_ORIGINS = [PUBLIC_BASE_URL]
# Further hosts that lead to us, which a clinic group may choose for the short links in its messages. Networks in the
# region pass only links of hosts that were registered with them, so each clinic group has one of its own.
SHORT_LINK_HOSTS = env.list("SHORT_LINK_HOSTS", cast=lambda host: host.strip().lower(), default=[])
ALLOWED_HOSTS = [*ALLOWED_HOSTS, *SHORT_LINK_HOSTS]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_scopes",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "csp",
    "core",
    "notifications",
    "integrations",
    "appointments",
    "finance",
]

MIDDLEWARE = [
    # Before everything that is there for people.
    "core.middleware.MachineMiddleware",
    "notifications.middleware.IdlePollMiddleware",
    "notifications.middleware.KeptPanelMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "core.middleware.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "core.auth.AccountMiddleware",
    "core.middleware.RequestLogMiddleware",
    "core.middleware.SecondFactorMiddleware",
    "core.middleware.TenantMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "agdar.urls"
WSGI_APPLICATION = "agdar.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "core.context.shell",
            ],
        },
    }
]

# --- Database -------------------------------------------------------------------------------------------------------
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'agdar.sqlite3'}")}
DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
USES_SQLITE = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
if USES_SQLITE:
    DATABASES["default"]["OPTIONS"] = {
        # Writers queue at the door instead of failing half-way.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    # A real file, so that a worker process can share the test database.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / env.str("AGDAR_TEST_DB", default="test.sqlite3"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Accounts -------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "core.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "core.auth.AccountBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name_en", "name_ar")},
    },
]
LOGIN_URL = "core:sign_in"
LOGIN_REDIRECT_URL = "core:home"
LOGOUT_REDIRECT_URL = "core:sign_in"
SESSION_ENGINE = "core.sessions"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
# The sign-in form calls the email "username" whatever the model calls it; axes' own default would find nothing.
AXES_USERNAME_FORM_FIELD = "username"
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "core/locked_out.html"
AXES_ENABLE_ADMIN = False
# Who came in stands in the audit trail (core/sign_in_signals.py), without addresses and browsers.
AXES_DISABLE_ACCESS_LOG = True
AXES_CLIENT_IP_CALLABLE = "core.clients.client_ip"
# The longest life of a link to choose a password; core.accounts cuts it shorter where it should be.
PASSWORD_RESET_TIMEOUT = 3 * 24 * 3600
# The platform's own accounts reach every clinic group: where it is not a demo, a password alone is not enough for that.
SUPPORT_REQUIRES_SECOND_FACTOR = env.bool("SUPPORT_REQUIRES_SECOND_FACTOR", default=not DEBUG)

# --- Language and time ----------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ar", _("Arabic"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
# Western digits in both languages (product decision): no thousands separator by locale.
USE_THOUSAND_SEPARATOR = False
FORMAT_MODULE_PATH = ["agdar.formats"]
USE_TZ = True
TIME_ZONE = "Asia/Riyadh"

# --- Static files ---------------------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG

# --- Security -------------------------------------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ["/admin"],
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
        "worker-src": [SELF],
    },
}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("SECURE_COOKIES", default=not DEBUG)
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=not DEBUG)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=0 if DEBUG else 31536000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not DEBUG
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
REFERRER_POLICY = SECURE_REFERRER_POLICY = "same-origin"

# --- Broker and workers ---------------------------------------------------------------------------------------------
REDIS_URL = env.str("REDIS_URL", default="")
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=REDIS_URL or f"sqlite:///{VAR_DIR / 'broker.sqlite3'}")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 4
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")
if CELERY_BROKER_URL.startswith("sqlite"):
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, float] = {"visibility_timeout": 60}
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        # Longer than the longest task, shorter than anybody's patience.
        "visibility_timeout": 300,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        # A broker that does not answer must not hold up a booking (invariant 9).
        "socket_connect_timeout": 0.5,
        # Without this kombu tries again for six seconds, in the middle of the booking.
        "max_retries": 0,
        "socket_timeout": 5,
    }

# --- Messaging ------------------------------------------------------------------------------------------------------
# Which adapters carry a channel, the preferred first: sandbox, twilio or unifonic (SMS only); email: smtp, anymail.
SMS_PROVIDER = env.list("SMS_PROVIDER", cast=str.strip, default=["sandbox"] if DEBUG else [])
WHATSAPP_PROVIDER = env.list("WHATSAPP_PROVIDER", cast=str.strip, default=["sandbox"] if DEBUG else [])
EMAIL_PROVIDER = env.list("EMAIL_PROVIDER", cast=str.strip, default=["smtp"])
SANDBOX_URL = env.str("SANDBOX_URL", default="http://127.0.0.1:8025").rstrip("/")
# The sandbox takes WhatsApp templates only when they are approved, as Twilio does; the demo shows it.
SANDBOX_WHATSAPP_APPROVAL = env.bool("SANDBOX_WHATSAPP_APPROVAL", default=False)
SANDBOX_ENABLED = DEBUG and "sandbox" in SMS_PROVIDER + WHATSAPP_PROVIDER
TWILIO_ACCOUNT_SID = env.str("TWILIO_ACCOUNT_SID", default="")
TWILIO_AUTH_TOKEN = env.str("TWILIO_AUTH_TOKEN", default="")
TWILIO_SMS_FROM = env.str("TWILIO_SMS_FROM", default="")
TWILIO_WHATSAPP_FROM = env.str("TWILIO_WHATSAPP_FROM", default="")
TWILIO_API_BASE_URL = env.str("TWILIO_API_BASE_URL", default="")
UNIFONIC_APP_SID = env.str("UNIFONIC_APP_SID", default="")
UNIFONIC_SENDER_ID = env.str("UNIFONIC_SENDER_ID", default="")
UNIFONIC_API_BASE_URL = env.str("UNIFONIC_API_BASE_URL", default="https://el.cloud.unifonic.com")
UNIFONIC_WEBHOOK_SECRET = env.str("UNIFONIC_WEBHOOK_SECRET", default="")
# The demo's mail goes to the sandbox's own SMTP server, over the wire like any other.
EMAIL_URL = env.str("EMAIL_URL", default="smtp://127.0.0.1:8026" if DEBUG else "")
if EMAIL_URL:
    vars().update(env.email_url_config(EMAIL_URL))
# The whole of one mail, from the connection to the last reply: with the rest of its batch it ends within the lease.
EMAIL_TIMEOUT = 15
# Connections to the mail server that one process keeps open. Hosted services allow a client few at a time.
EMAIL_CONNECTIONS = env.int("EMAIL_CONNECTIONS", default=5)
# A mail service by HTTP instead of a mail server: its name in django-anymail and its settings there.
ANYMAIL_ESP = env.str("ANYMAIL_ESP", default="")
ANYMAIL = env.json("ANYMAIL", default={})
# Letters about accounts (core/account_letters.py) go past the adapters, by Django's own way of mailing. None: EMAIL_URL.
ACCOUNT_EMAIL_BACKEND = f"anymail.backends.{ANYMAIL_ESP}.EmailBackend" if EMAIL_PROVIDER[:1] == ["anymail"] else None
# "user:password", which the service sends along when it reports; several of them, separated by commas, while it changes.
ANYMAIL_WEBHOOK_SECRET = env.list("ANYMAIL_WEBHOOK_SECRET", cast=str.strip, default=[])
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Agdar <no-reply@agdar.example>")

# --- Bell -----------------------------------------------------------------------------------------------------------
# Milliseconds between two polls of a visible tab (±10 %).
BELL_POLL_MS = env.int("BELL_POLL_MS", default=5000)
NOTIFICATION_RETENTION_DAYS = env.int("NOTIFICATION_RETENTION_DAYS", default=90)
# Category → days, where they are others: {"SYSTEM": 365}.
NOTIFICATION_RETENTION = env.json("NOTIFICATION_RETENTION", default={"SYSTEM": 365, "ANNOUNCEMENT": 365})

# --- Staff beside the bell ------------------------------------------------------------------------------------------
# The key by which push services know us, and whom they write to when it misbehaves. `manage.py make_vapid_keys`.
VAPID_PRIVATE_KEY = env.str("VAPID_PRIVATE_KEY", default="")
VAPID_SUBJECT = env.str("VAPID_SUBJECT", default="")
# The browsers' push services. Nothing else is ever called.
PUSH_HOSTS = env.list(
    "PUSH_HOSTS",
    cast=lambda host: host.strip().lower(),
    default=[
        "fcm.googleapis.com",
        "*.push.services.mozilla.com",
        "*.push.apple.com",
        "*.notify.windows.com",
    ],
)
# Leads Slack's messages to another address (a test double). Empty: Slack's own.
SLACK_API_BASE_URL = env.str("SLACK_API_BASE_URL", default="").rstrip("/")

# --- Logs: structured, ids only (invariant 12) -----------------------------------------------------------------------
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOG_JSON = env.bool("LOG_JSON", default=not DEBUG)
from agdar.logs import logging_config  # noqa: E402  # needs the two values above

LOGGING = logging_config(level=LOG_LEVEL, as_json=LOG_JSON)

# --- Production starts on nothing that is good for the demo only -----------------------------------------------------
from core.production import refuse_unsafe_production  # noqa: E402  # reads all of the above

refuse_unsafe_production(globals())
