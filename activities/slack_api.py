"""Slack's Web API: one call, whose answer says by itself whether it went well, as Slack answers 200 to errors too."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode

from activities import http
from activities.message import ChannelRefused, ChannelUnavailable
from activities.settings import origin, secret_of, web_address

SLACK_TOKEN = "PACTKEEPER_SLACK_TOKEN"  # noqa: S105 (the name of a setting)
SLACK_URL = "PACTKEEPER_SLACK_URL"
BASE = "https://slack.com/api"
_TOKENS = ("xoxb-", "xoxe.xoxb-")
_LATER = frozenset({408, 425, 429})
_PASSING = frozenset(
    {"ratelimited", "rate_limited", "service_unavailable", "team_added_to_org", "org_login_required", "external_channel_migrating"}
)  # fmt: skip
_HALF_DONE = frozenset({"fatal_error", "internal_error", "request_timeout", "update_failed"})
"""Errors after which, as Slack says, some of it may have been done."""
NOBODYS = frozenset({"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"})
"""Errors by which the token is nobody's, or nobody's any more: no other call fares better."""
_PAGES = 5
_ADVICE = {
    "channel_not_found": "look at the address, and invite the app into the channel",
    "not_in_channel": "invite the app into the channel",
    "is_archived": "the channel is archived; name another",
    **dict.fromkeys(NOBODYS, "look at {token}"),
    "missing_scope": "give the app the scopes that docs/sources/slack.md lists, and install it again",
}


@dataclass(frozen=True, slots=True)
class SlackSettings:
    """The app's bot token, where its Web API is, and how long (seconds) one call may take."""

    token: str = field(repr=False)
    base: str = BASE
    connect_seconds: float = 5.0
    total_seconds: float = 10.0
    named: str = SLACK_TOKEN
    """Where the token stands, for whoever is to look at it."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self | None:
        """The settings of the environment; None where no token is set.

        Raises:
            ValueError: one sentence that names the setting and what is allowed, and never a secret.
        """
        token = secret_of(environ, SLACK_TOKEN)
        if not token:
            return None
        if not token.isascii() or not token.isprintable() or " " in token or not token.startswith(_TOKENS):
            raise ValueError(f"{SLACK_TOKEN} is no bot token; write the one that begins with xoxb-")
        base = environ.get(SLACK_URL, "").strip()
        return cls(token, web_address(base, SLACK_URL).rstrip("/") if base else BASE)


class Unclear(ChannelUnavailable):
    """The call may have taken effect: look before it is made again. `reached`: another call may well be answered."""

    def __init__(self, sentence: str, retry_after: float | None = None, *, reached: bool = True) -> None:
        super().__init__(sentence, retry_after)
        self.reached = reached


class SlackRefused(ChannelRefused):
    """Slack said no. `error`: in its own word."""

    def __init__(self, sentence: str, error: str) -> None:
        super().__init__(sentence)
        self.error = error


async def call(settings: SlackSettings, method: str, said: Mapping[str, Any], *, form: bool = False) -> dict[str, Any]:
    """Call one method; what it answers, `ok` included. `form`: for methods that read, which take no JSON.

    Raises:
        ChannelUnavailable: it was surely not done, and may be later. `Unclear`: it may have been done.
        SlackRefused: it will never be done as it is.
    """
    where = f"Slack at {origin(settings.base)}"
    content = urlencode(said).encode() if form else json.dumps(said, separators=(",", ":")).encode()
    kind = "application/x-www-form-urlencoded" if form else "application/json; charset=utf-8"
    headers = {"authorization": f"Bearer {settings.token}", "content-type": kind, "user-agent": "Pactkeeper"}
    try:
        answer = await http.request(
            "POST", f"{settings.base}/{method}", content, headers,
            connect=settings.connect_seconds, total=settings.total_seconds,
        )  # fmt: skip
    except http.Forbidden as reason:
        raise ChannelRefused(f"{where} {reason}") from None
    except http.NoAnswer as silence:
        raise Unclear(f"{where} {silence}", reached=isinstance(silence, http.Silence)) from None
    if answer.status in _LATER:
        raise ChannelUnavailable(f"{where} answered {answer.status} to {method}", answer.retry_after)
    if answer.status >= 500:
        raise Unclear(f"{where} answered {answer.status} to {method}", answer.retry_after)
    if answer.status != 200:
        raise ChannelRefused(f"{where} answered {answer.status} to {method}")
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise Unclear(f"{where} answered {method} with something that is no JSON, or less than all of it")
    if told.get("ok") is True:
        return told
    error = str(told.get("error") or "no reason")
    error = error[:80] if error.isascii() and error.isprintable() else "no reason that can be read"
    if error in _PASSING:
        raise ChannelUnavailable(f"{where} said {error} to {method}", answer.retry_after)
    if error in _HALF_DONE:
        raise Unclear(f"{where} said {error} to {method}", answer.retry_after)
    advice = f"; {_ADVICE[error].format(token=settings.named)}" if error in _ADVICE else ""
    raise SlackRefused(f"{where} said {error} to {method}{_lacking(told)}{advice}", error)


def _lacking(told: Mapping[str, Any]) -> str:
    """The scopes that Slack would have: one for each kind of conversation that the method can be asked for."""
    needed = told.get("needed")
    right = isinstance(needed, str) and needed.isascii() and needed.isprintable() and 0 < len(needed) <= 200
    return f", which needs {needed}" if right else ""


async def pages(
    settings: SlackSettings, method: str, said: Mapping[str, Any], most: int
) -> AsyncIterator[dict[str, Any]]:
    """What a method that reads answers, a page after the other, at most so many.

    Raises:
        ChannelUnavailable, SlackRefused: as `call`.
    """
    cursor = ""
    for _ in range(most):
        told = await call(settings, method, {**said, **({"cursor": cursor} if cursor else {})}, form=True)
        yield told
        cursor = further(told)
        if not cursor:
            return


def further(told: Mapping[str, Any]) -> str:
    """Where the page after this one begins; empty where there is none."""
    said = told.get("response_metadata")
    return str(said.get("next_cursor") or "") if isinstance(said, dict) else ""


async def messages(settings: SlackSettings, method: str, said: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """The messages of a channel or a thread with their metadata, in Slack's order, at most five pages of them."""
    asked = {**said, "include_all_metadata": "true", "limit": "200"}
    async for told in pages(settings, method, asked, _PAGES):
        found = told.get("messages")
        for message in found if isinstance(found, list) else []:
            if isinstance(message, dict):
                yield message


Match = Callable[[Mapping[str, Any]], bool]


async def find(settings: SlackSettings, method: str, said: Mapping[str, Any], match: Match) -> dict[str, Any] | None:
    """The first message whose metadata, as we wrote it, fits; None where there is none.

    Raises:
        ChannelUnavailable, SlackRefused: as `call`.
    """
    async for message in messages(settings, method, said):
        metadata = message.get("metadata")
        payload = metadata.get("event_payload") if isinstance(metadata, dict) else None
        if isinstance(payload, dict) and match(payload) and isinstance(message.get("ts"), str):
            return message | {"payload": payload}
    return None
