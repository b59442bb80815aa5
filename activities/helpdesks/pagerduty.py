"""PagerDuty's REST API (v2): what was done with each of its incidents, from the log entries of the account. Read only.

Needs a REST API key, of the account or of a user; one that may only read is enough. The list gives at most 10,000 entries to
one question, in an order that is not documented: a stretch of time that has more is asked for in halves, the older one first,
and one that can't be halved breaks off.
"""

import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

from activities.helpdesks.client import Account, HelpdeskRefused, HelpdeskUnavailable, Json, Writing, alone, listed
from sla.civil import parsed
from sla.intake import part, text_of

PAGE = 100
MOST = 10_000
"""PagerDuty's own limit of `offset` and `limit` together."""
SHORTEST = timedelta(seconds=2)
"""A stretch that is not halved any more: times of entries are whole seconds."""
TOLD = frozenset(
    {"acknowledge_log_entry", "resolve_log_entry", "assign_log_entry", "delegate_log_entry", "escalate_log_entry"}
)
"""Types of entries that tell anything; most of the others are notifications."""


class PagerDuty:
    """One PagerDuty account, at https://api.pagerduty.com or https://api.eu.pagerduty.com."""

    def __init__(self, account: Account, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = now
        version = "application/vnd.pagerduty+json;version=2"
        self.json = Json(account, {"authorization": f"Token token={account.token}", "accept": version}, "PagerDuty")

    async def changed(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        """Each incident with which anything was done, and what that was since then."""
        begin = since.astimezone(UTC).replace(microsecond=0)
        stretches = [(begin, max(self.now(), begin))]
        while stretches:
            begin, end = stretches.pop()
            entries, complete = await self._log("/log_entries", {"include[]": "incidents", **_between(begin, end)})
            if not complete and end - begin <= SHORTEST:
                raise HelpdeskUnavailable(
                    f"PagerDuty lists no more than {MOST} entries of its log at {begin:%Y-%m-%d %H:%M:%S} UTC"
                )
            if not complete:
                middle = begin + timedelta(seconds=(end - begin) // timedelta(seconds=2))
                stretches += [(middle, end), (begin, middle)]
                continue
            for ticket in _by_incident(entries, begin):
                if (found := await alone(self._whole(ticket), ticket["incident"]["id"])) is not None:
                    yield {**found, "_changed": ticket["_changed"]}

    async def ticket(self, id: str) -> dict[str, Any] | None:
        """One incident with the entries of its log that tell anything, of the last 10,000."""
        incident = await self._incident(id)
        if incident is None:
            return None
        entries, _ = await self._log(f"/incidents/{quote(id, safe='')}/log_entries", {})
        return {"incident": incident, "entries": entries}

    async def write(self, id: str, writing: Writing) -> NoReturn:
        """Refused: what PagerDuty is told goes out as notices, by its Events API."""
        raise HelpdeskRefused("nothing is written into PagerDuty's incidents; what it is told goes out as notices")

    async def check(self) -> str:
        """Which account, and as whom; and that its log may be read."""
        log = listed(await self.json.get("/log_entries", limit=1), "log_entries")
        try:
            me = part(await self.json.get("/users/me"), "user")
        except HelpdeskRefused as refused:
            if refused.status == 401:
                raise
            me = None  # A key of the account is nobody's: PagerDuty answers 400.
        where = next(
            (host for one in (me, *log) if (host := _host(part(one, "html_url")))), "an account without a name"
        )
        name = text_of(part(me, "name")) or text_of(part(me, "email")) or "a user"
        who = "with a key of the account" if me is None else f"as {name} ({text_of(part(me, 'id')) or 'no id'})"
        return f"PagerDuty lets us read {where} {who}"

    async def _whole(self, ticket: dict[str, Any]) -> dict[str, Any] | None:
        """With its incident, where the log gave no more than a reference to it; None: there is none any more."""
        if {"title", "incident_key"} & ticket["incident"].keys():
            return ticket
        incident = await self._incident(ticket["incident"]["id"])
        return None if incident is None else {**ticket, "incident": incident}

    async def _incident(self, id: str) -> dict[str, Any] | None:
        try:
            found = part(await self.json.get(f"/incidents/{quote(id, safe='')}"), "incident")
        except HelpdeskRefused as refused:
            if refused.status == 404:
                return None
            raise
        return found if isinstance(found, dict) else None

    async def _log(self, path: str, query: dict[str, str]) -> tuple[list[dict[str, Any]], bool]:
        """The entries that tell anything; and whether these are all, as PagerDuty gives no more than MOST."""
        found: list[dict[str, Any]] = []
        for offset in range(0, MOST, PAGE):
            page = await self.json.get(path, **query, time_zone="UTC", limit=PAGE, offset=offset)
            found += [one for one in listed(page, "log_entries") if one.get("type") in TOLD]
            if part(page, "more") is not True:
                return found, True
        return found, False


def _between(begin: datetime, end: datetime) -> dict[str, str]:
    """A stretch of time, for a query: whole seconds, both included."""
    last = datetime.fromtimestamp(math.ceil(end.timestamp()), UTC)
    return {"since": f"{begin:%Y-%m-%dT%H:%M:%SZ}", "until": f"{last:%Y-%m-%dT%H:%M:%SZ}"}


def _by_incident(entries: Sequence[dict[str, Any]], begin: datetime) -> Iterator[dict[str, Any]]:
    """Each incident with its entries, the one with which nothing more was done first before the others."""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        incident, at = entry.get("incident"), parsed(entry.get("created_at")) or begin
        if not isinstance(incident, dict) or (id := text_of(incident.get("id"), 100)) is None:
            continue
        ticket = found.setdefault(id, {"incident": {**incident, "id": id}, "entries": [], "last": at})
        ticket["entries"].append({name: value for name, value in entry.items() if name != "incident"})
        ticket["last"] = max(ticket["last"], at)
    for ticket in sorted(found.values(), key=lambda one: one["last"]):
        last = ticket.pop("last")
        yield {**ticket, "_changed": last.isoformat()}


def _host(url: Any) -> str | None:
    try:
        return urlsplit(text_of(url) or "").hostname
    except ValueError:
        return None
