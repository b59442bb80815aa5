"""Settings of the escalated-django that tests run: SQLite, this machine only, no mail leaves, webhooks may go to this machine."""

import os
from pathlib import Path

HOME = Path(os.environ["ESCALATED_HOME"])

SECRET_KEY = "a-helpdesk-that-lives-for-one-test-run"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
ROOT_URLCONF = "escalated_urls"
STATIC_URL = "/static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(HOME / "escalated.sqlite3")}}
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    *(f"django.contrib.{name}" for name in ("auth", "contenttypes", "sessions", "messages", "staticfiles")),
    "inertia",
    "escalated",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "escalated_tokens.ApiTokens",
]
_CONTEXT = "django.template.context_processors.request", "django.contrib.auth.context_processors.auth"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": list(_CONTEXT)},
    }
]
INERTIA_LAYOUT = "base.html"
ESCALATED = {
    "API_ENABLED": True,
    "ALLOW_PRIVATE_WEBHOOK_URLS": True,
    "NOTIFICATION_CHANNELS": [],
    "UI_ENABLED": False,
}
