"""Which channels are set up here, read from the environment. Secrets are in no `repr` and in no error."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from activities import guard

if TYPE_CHECKING:
    from activities.apprise import AppriseSettings
    from activities.pagerduty import PagerDutySettings
    from activities.slack_api import SlackSettings

SMTP_URL = "PACTKEEPER_SMTP_URL"
MAIL_FROM = "PACTKEEPER_MAIL_FROM"
WEBHOOK_URL = "PACTKEEPER_WEBHOOK_URL"
WEBHOOK_SECRET = "PACTKEEPER_WEBHOOK_SECRET"  # noqa: S105 (the name of a setting)
STATE = "PACTKEEPER_STATE"
URL = "PACTKEEPER_URL"
TEMPLATES = "PACTKEEPER_TEMPLATES"

_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_SWITCH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_MAX_FILE = 64 * 1024


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The mail server that takes our mail: `tls` from the first byte, or `starttls` before anything is said."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    starttls: bool = False
    tls: bool = False

    @property
    def place(self) -> str:
        """`host:port`, as it may stand in an error."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class CourierSettings:
    """Which channels are set up, and how long (seconds) one attempt may take."""

    state: Path = Path("var")
    """The folder that holds `notices.jsonl`."""
    smtp: SmtpServer | None = None
    mail_from: str | None = None
    webhook_url: str | None = field(default=None, repr=False)
    webhook_secret: str | None = field(default=None, repr=False)
    slack: "SlackSettings | None" = None
    pagerduty: "PagerDutySettings | None" = None
    apprise: "AppriseSettings | None" = None
    url: str | None = None
    """Where people reach our web pages, without a slash at the end; none: notices carry no links."""
    connect_seconds: float = 5.0
    total_seconds: float = 10.0
    all_seconds: float = 40.0
    """All ways of one message together, the log left out: well within the minute that carrying out a step may take."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings; each secret, and each URL that may hold one, may stand in a file (`…_FILE`) instead.

        Raises:
            ValueError: one sentence that names the setting and what is allowed, and never a secret.
        """
        # They read their settings by what stands here.
        from activities.apprise import AppriseSettings
        from activities.pagerduty import PagerDutySettings
        from activities.slack_api import SlackSettings

        guard.Allowed.of(environ)
        smtp = secret_of(environ, SMTP_URL)
        webhook = secret_of(environ, WEBHOOK_URL)
        return cls(
            state=Path(environ.get(STATE, "").strip() or "var"),
            smtp=_smtp(smtp) if smtp else None,
            mail_from=_mail_from(environ.get(MAIL_FROM, "").strip()) if smtp else None,
            webhook_url=web_address(webhook, WEBHOOK_URL) if webhook else None,
            webhook_secret=_webhook_secret(secret_of(environ, WEBHOOK_SECRET)) if webhook else None,
            slack=SlackSettings.from_env(environ),
            pagerduty=PagerDutySettings.from_env(environ),
            apprise=AppriseSettings.from_env(environ),
            url=base_url(environ),
        )


def origin(url: str) -> str:
    """Scheme, host and port of a URL: all of it that an error or a log may show."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def secret_of(environ: Mapping[str, str], name: str) -> str:
    """A secret of the environment, from `NAME` or the file that `NAME_FILE` names; empty where it is not set."""
    value, file = environ.get(name, "").strip(), environ.get(f"{name}_FILE", "").strip()
    if value and file:
        raise ValueError(f"{name} and {name}_FILE are both set; keep one of them")
    if not file:
        return value
    try:
        with Path(file).open("rb") as content:
            value = content.read(_MAX_FILE).decode().strip()
    except OSError as error:
        raise ValueError(f"{name}_FILE names {file}, which cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name}_FILE names {file}, which is not text; write the value alone into it") from None
    if not value:
        raise ValueError(f"{name}_FILE names {file}, which is empty; write the value into it")
    return value


def base_url(environ: Mapping[str, str]) -> str | None:
    """Where people reach our web pages (`PACTKEEPER_URL`), without a slash at the end; None: it is not set.

    Raises:
        ValueError: one sentence.
    """
    url = environ.get(URL, "").strip()
    if not url:
        return None
    if urlsplit(web_address(url, URL)).query:
        raise ValueError(f"{URL} holds a ?query; write the address of the web intake alone, such as https://HOST")
    return url.rstrip("/")


def _smtp(url: str) -> SmtpServer:
    allowed = "write smtp://USER:PASSWORD@HOST:PORT?starttls=1 or smtps://USER:PASSWORD@HOST:PORT"
    parts = _split(url, SMTP_URL, allowed)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path not in ("", "/") or parts.fragment:
        raise ValueError(f"{SMTP_URL} is no address of a mail server; {allowed}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    starttls = _SWITCH.get(options.pop("starttls", "0").lower())
    if options or starttls is None:
        raise ValueError(f"{SMTP_URL} has an option that is not known; the only one is starttls=1 (or 0)")
    tls = parts.scheme == "smtps"
    if tls and starttls:
        raise ValueError(f"{SMTP_URL} asks for smtps:// and starttls=1; keep one of them")
    if (parts.username is None) != (parts.password is None):
        raise ValueError(f"{SMTP_URL} has half of a user name and password; {allowed}")
    if parts.username and not (tls or starttls or _loopback(parts.hostname)):
        raise ValueError(f"{SMTP_URL} would send a password in clear; add ?starttls=1 or write smtps://")
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    if not f"{user}{password}".isascii():
        raise ValueError(f"{SMTP_URL} has a user name or password beyond ASCII, which mail servers do not agree on")
    return SmtpServer(
        host=parts.hostname,
        port=parts.port or (465 if tls else 587 if starttls else 25),
        user=user,
        password=password,
        starttls=starttls,
        tls=tls,
    )


def _mail_from(address: str) -> str:
    if not address:
        raise ValueError(f"{SMTP_URL} is set but {MAIL_FROM} is not; write the address that notices come from")
    if not _MAIL.fullmatch(address):
        raise ValueError(f"{MAIL_FROM} is {address!r}; write one bare address, such as support@example.com")
    return address


def web_address(url: str, name: str) -> str:
    """A web address of the setting `name`: encrypted, or on this machine.

    Raises:
        ValueError: one sentence, without the address.
    """
    allowed = "write https://HOST/PATH (http:// only to this machine itself)"
    parts = _split(url, name, allowed)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{name} is no web address; {allowed}")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError(f"{name} holds a user name, a password or a #fragment; {allowed}")
    if parts.scheme == "http" and not _loopback(parts.hostname):
        raise ValueError(f"{name} is not encrypted; {allowed}")
    return url


def _webhook_secret(secret: str) -> str:
    allowed = "write whsec_ and the base64 of 24 to 64 random bytes"
    if not secret:
        raise ValueError(f"{WEBHOOK_URL} is set but {WEBHOOK_SECRET} is not; {allowed}")
    try:
        size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not secret.startswith("whsec_") or not 24 <= size <= 64:
        raise ValueError(f"{WEBHOOK_SECRET} is no signing secret; {allowed}")
    return secret


def _split(url: str, name: str, allowed: str) -> SplitResult:
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{name} holds a character that no address has; {allowed}")
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
    except ValueError:
        raise ValueError(f"{name} cannot be read; {allowed}") from None
    return parts


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
