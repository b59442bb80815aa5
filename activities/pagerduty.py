"""The PagerDuty channel (Events API v2): one alert an incident and service; acknowledged and resolved there as here.

A trigger for an alert that is resolved opens a new one, and pages. So what we resolved is remembered before PagerDuty is
told of it, and a notice that fell due before that is not sent any more.
"""

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self
from weakref import WeakValueDictionary

from sqlalchemy.exc import SQLAlchemyError

from activities import http
from activities.message import ChannelRefused, ChannelUnavailable, Message, one_line
from activities.settings import origin, secret_of, web_address
from records.threads import Thread, ThreadStore
from sla.civil import parsed

PAGERDUTY_KEY = "PACTKEEPER_PAGERDUTY_KEY"
PAGERDUTY_URL = "PACTKEEPER_PAGERDUTY_URL"
URL = "https://events.pagerduty.com/v2/enqueue"
INCIDENT = "incident/"
UPDATE, OVER = "update", ("resolved", "closed")
_KEY = re.compile(r"[A-Za-z0-9]{32}")
_LATER = frozenset({408, 425, 429})
_INFORMS = ("withdrawal", "resumption", "suspension", "disposition", "reclassification")
_SUMMARY, _DEDUP, _DETAIL = 1024, 255, 4000
_DETAILS = ("customer", "priority", "clock", "left", "due", "assignee")
_log = logging.getLogger(__name__)
_turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class PagerDutySettings:
    """Where events go, the integration key for addresses that name none, and how long (seconds) one event may take."""

    url: str = URL
    routing_key: str | None = field(default=None, repr=False)
    connect_seconds: float = 5.0
    total_seconds: float = 10.0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """The settings of the environment; nothing of it has to be set, as an address may be a key by itself.

        Raises:
            ValueError: one sentence that names the setting and what is allowed, and never a secret.
        """
        key, url = secret_of(environ, PAGERDUTY_KEY), environ.get(PAGERDUTY_URL, "").strip()
        if key and not _KEY.fullmatch(key):
            raise ValueError(
                f"{PAGERDUTY_KEY} is no integration key; write the 32 letters and digits that PagerDuty shows"
            )
        return cls(web_address(url, PAGERDUTY_URL) if url else URL, key or None)


async def send(
    settings: PagerDutySettings, message: Message, address: str, threads: ThreadStore | None, now: datetime
) -> str:
    """Trigger for a notice; for an update (`kind` is `update`) acknowledge or resolve. Half a sentence for the receipt.

    `address` is an integration key; empty: the one of the settings.

    Raises:
        ChannelUnavailable: try the same message again, after `retry_after` seconds where that is given.
        ChannelRefused: trying again is of no use.
    """
    key = address.strip() or settings.routing_key or ""
    if not _KEY.fullmatch(key):
        raise ChannelRefused("the address is no integration key of PagerDuty's; write its 32 letters and digits")
    # An account lives for ever: each of its messages is an alert by itself.
    about = message.incident if message.incident.startswith(INCIDENT) else message.key
    async with _turns.setdefault((about, address), asyncio.Lock()):
        row = Thread(about, f"pagerduty:{address.strip()}", dedup_key(about), now)
        return await _Sending(settings, message, key, row, threads).send()


def dedup_key(incident: str) -> str:
    """By what PagerDuty knows the alert: the incident's workflow id, or, where that is too long, a hash of it."""
    if len(incident) <= _DEDUP and incident.isprintable():
        return incident
    return "x-" + hashlib.sha256(incident.encode("utf-8", "surrogatepass")).hexdigest()


def severity(message: Message) -> str:
    """`critical` for what is missed or most urgent, `info` for what only informs."""
    late = "declared_missed" in message.data or (message.step or "").startswith(("100%", "miss"))
    if message.quiet or message.kind in _INFORMS:
        return "info"
    if message.kind in ("escalation", "reassignment"):
        return "critical" if late or message.data.get("priority") in ("P1", "1") else "error"
    return "warning"


def trigger(message: Message) -> dict[str, Any]:
    """The event that opens the alert, or adds to it. The title ends with the incident's id, by which webhooks are told apart."""
    mark = f" [{dedup_key(message.incident)}]" if message.incident.startswith(INCIDENT) else ""
    details = {name: one_line(message.data[name], 400) for name in _DETAILS if message.data.get(name)}
    details |= {"clause": message.clause or "", "kind": message.kind, "what": message.text[:_DETAIL]}
    customer = one_line(message.data.get("customer", ""), 200)
    payload: dict[str, Any] = {
        "summary": one_line(message.subject, _SUMMARY - len(mark)) + mark,
        "source": customer or "pactkeeper",
        "severity": severity(message),
        "timestamp": message.at.isoformat(),
        "class": message.kind,
        "custom_details": {name: value for name, value in details.items() if value},
    }
    if message.clock:
        payload["component"] = one_line(message.clock, 200)
    links = {name: url for name, url in message.links.items() if url.startswith(("https://", "http://"))}
    told: dict[str, Any] = {"payload": payload, "client": "Pactkeeper"}
    if "incident" in links:
        told["client_url"] = links["incident"]
    return told | {"links": [{"href": url, "text": one_line(name, 100).capitalize()} for name, url in links.items()]}


@dataclass
class _Sending:
    """One message on its way to one service."""

    settings: PagerDutySettings
    message: Message
    key: str
    row: Thread
    threads: ThreadStore | None

    async def send(self) -> str:
        state, at = await self._recall(), self.message.at.isoformat()
        if self.message.kind == UPDATE:
            return await self._update(state, at)
        over = parsed(state.get("resolved_at"))
        if over is not None and self.message.at <= over:
            return "not sent: it was resolved after this fell due, and a trigger would page anew"
        if over is not None and self.message.kind in _INFORMS:
            raise ChannelRefused("PagerDuty would page anew for what is resolved, and this notice only informs")
        if self.message.quiet and (over is not None or "triggered_at" not in state):
            raise ChannelRefused("PagerDuty would wake somebody, and this notice is to wake nobody")
        done = await self._enqueue("trigger", trigger(self.message))
        state = await self._recall()
        over = parsed(state.get("resolved_at"))
        if over is not None and self.message.at <= over:
            # Another process resolved it meanwhile; which of the two PagerDuty heard first is not known.
            return await self._enqueue("resolve", {})
        await self._remember({"triggered_at": at})
        return done

    async def _update(self, state: Mapping[str, Any], at: str) -> str:
        if self.message.data.get("phase") in OVER:
            triggered = parsed(state.get("triggered_at"))
            if triggered is not None and triggered > self.message.at:
                return "not resolved: it was triggered again since"
            # Before PagerDuty hears of it: from here on no earlier notice may open the alert again.
            await self._remember(dict(state) | {"resolved_at": at})
            return await self._enqueue("resolve", {})
        if not self.message.data.get("acknowledged_by"):
            return "nothing that PagerDuty could be told"
        first, triggered = parsed(self.message.data.get("acknowledged_at")), parsed(state.get("triggered_at"))
        if first is not None and triggered is not None and first < triggered and "taken" not in self.message.data:
            # Somebody acted long ago, and this page went out all the same; it is not for an old word to silence it.
            return "acknowledged before it was triggered"
        if "acknowledged_at" in state:
            # Told once only: an acknowledgement that ran out in PagerDuty is to page again.
            return "acknowledged there before"
        done = await self._enqueue("acknowledge", {})
        await self._remember(dict(state) | {"acknowledged_at": at})
        return done

    async def _enqueue(self, action: str, further: Mapping[str, Any]) -> str:
        event = {"routing_key": self.key, "event_action": action, "dedup_key": self.row.reference, **further}
        content = json.dumps(event, separators=(",", ":")).encode()
        where = f"PagerDuty at {origin(self.settings.url)}"
        headers = {"content-type": "application/json", "user-agent": "Pactkeeper"}
        try:
            answer = await http.post(
                self.settings.url, content, headers,
                connect=self.settings.connect_seconds, total=self.settings.total_seconds,
            )  # fmt: skip
        except http.Forbidden as reason:
            raise ChannelRefused(f"{where} {reason}") from None
        except http.NoAnswer as silence:
            raise ChannelUnavailable(f"{where} {silence}") from None
        if 200 <= answer.status < 300:
            return f"{action}: {answer.status} from {origin(self.settings.url)}"
        if answer.status in _LATER or answer.status >= 500:
            raise ChannelUnavailable(f"{where} answered {answer.status} to {action}", answer.retry_after)
        advice = "; look at the integration key" if answer.status == 400 else ""
        raise ChannelRefused(f"{where} answered {answer.status} to {action}{advice}")

    async def _recall(self) -> Mapping[str, Any]:
        if self.threads is None:
            return {}
        try:
            found = await self.threads.get(self.row.incident, self.row.channel)
        except (SQLAlchemyError, OSError) as error:
            # A page must go out though the database is down.
            _log.warning("the record of PagerDuty's alerts can't be read (%s)", type(error).__name__)
            return {}
        return {} if found is None else found.state

    async def _remember(self, state: Mapping[str, Any]) -> None:
        if self.threads is None:
            return
        try:
            await self.threads.put(replace(self.row, state=state))
        except (SQLAlchemyError, OSError) as error:
            _log.warning("what PagerDuty was told is not in the record (%s)", type(error).__name__)
