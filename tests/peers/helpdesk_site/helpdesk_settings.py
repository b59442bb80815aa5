"""Settings of the django-helpdesk that tests run: SQLite, this machine only, no mail leaves, webhooks to where HELPDESK_HOOK says."""

import os
from pathlib import Path

HOME = Path(os.environ["HELPDESK_HOME"])

SECRET_KEY = "a-helpdesk-that-lives-for-one-test-run"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
SITE_ID = 1
ROOT_URLCONF = "helpdesk_urls"
STATIC_URL = "/static/"
MEDIA_URL = "/media/"
MEDIA_ROOT = str(HOME / "media")
LOGIN_URL = "/login/"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(HOME / "helpdesk.sqlite3")}}
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    *(
        f"django.contrib.{name}"
        for name in ("auth", "contenttypes", "sessions", "messages", "staticfiles", "sites", "humanize")
    ),
    "django.contrib.admin",
    "rest_framework",
    "helpdesk",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
_CONTEXT = "django.template.context_processors.request", "django.contrib.auth.context_processors.auth"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": [*_CONTEXT, "django.contrib.messages.context_processors.messages"]},
    }
]
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"]}

HELPDESK_TEAMS_MODE_ENABLED = False  # else it wants pinax-teams
HELPDESK_SUBMIT_A_TICKET_PUBLIC = True
HELPDESK_VIEW_A_TICKET_PUBLIC = True
HELPDESK_ALLOW_NON_STAFF_TICKET_UPDATE = True  # so that a customer who logs in may answer on the web


def _hooks() -> list[str]:
    return [url for url in [os.environ.get("HELPDESK_HOOK", "")] if url]


HELPDESK_GET_NEW_TICKET_WEBHOOK_URLS = _hooks
HELPDESK_GET_FOLLOWUP_WEBHOOK_URLS = _hooks
