"""escalated-django's API (0.7), under `/support/api/v1/`: needs a token of an agent or admin, and `API_ENABLED`.

An answer does not touch a ticket's `updated_at`, and there is no search by time: so what changed is read from the tickets
saved last, and from the last answers of all that are not closed.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from activities.helpdesks.client import Account, HelpdeskRefused, HelpdeskUnavailable, Json, Writing, alone, listed
from sla.civil import parsed
from sla.intake import part, text_of

API = "/support/api/v1"
PAGE = 100
MOST_PAGES = 1000
LIVE = (
    "open", "in_progress", "waiting_on_customer", "waiting_on_agent", "escalated", "reopened", "resolved"
)  # fmt: skip


class Escalated:
    """One escalated-django. Where its API has another prefix, that is part of the account's `url`."""

    def __init__(self, account: Account) -> None:
        self.json = Json(account, {"authorization": f"Bearer {account.token}"}, "escalated-django")
        self.api = "" if "/api/" in account.url else API

    async def changed(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        """Each ticket that was saved or answered since then."""
        found = {id: at async for id, at in self._list(since, {}) if at >= since}
        for status in LIVE:
            found |= {id: at async for id, at in self._list(None, {"status": status}) if at >= since}
        agents = await self._agents() if found else []
        for id, at in sorted(found.items(), key=lambda one: one[1]):
            if (ticket := await alone(self._ticket(id), id)) is not None:
                yield {**ticket, "_agents": agents, "_changed": at.isoformat()}

    async def ticket(self, id: str) -> dict[str, Any] | None:
        """One ticket with its answers, its newest activities, and who the agents are."""
        found = await self._ticket(id)
        return None if found is None else {**found, "_agents": await self._agents()}

    async def write(self, id: str, writing: Writing) -> str:
        """An internal note, and what differs. It has no due date that could be set, and its tags must be there."""
        ticket = await self._ticket(id)
        if ticket is None:
            raise HelpdeskRefused(f"escalated-django has no ticket {id[:80]}", 404)
        path, done = f"tickets/{quote(id, safe='')}", list[str]()
        if writing.note and not any(writing.mark in str(one.get("body")) for one in listed(ticket, "replies")):
            note = {"body": f"{writing.note}\n\n{writing.mark}", "is_internal_note": True}
            await self._send("POST", f"{path}/reply/", note)
            done.append("a note")
        if writing.priority is not None and writing.priority != ticket.get("priority"):
            await self._send("PATCH", f"{path}/priority/", {"priority": writing.priority})
            done.append("the priority")
        return "; ".join([
            ", ".join([*done, *await self._assign(path, ticket, writing), *await self._tag(path, ticket, writing)])
            or "nothing that was not there",
            *(["it takes no due date"] if writing.due is not None else []),
        ])  # fmt: skip

    async def check(self) -> str:
        """As whom the token speaks, and whether that is somebody who may write notes."""
        told = await self._send("POST", "auth/validate/")
        who = text_of(part(told, "user", "email")) or text_of(part(told, "user", "name")) or "a user without a name"
        if part(told, "is_agent") is not True and part(told, "is_admin") is not True:
            raise HelpdeskRefused(f"escalated-django knows {who}, who is no agent; make the token for one")
        return f"reads and writes escalated-django as {who}, user {text_of(part(told, 'user', 'id'))}"

    async def _assign(self, path: str, ticket: dict[str, Any], writing: Writing) -> list[str]:
        wanted = (writing.assignee or "").casefold()
        if not wanted or wanted in _ids(ticket.get("assignee")):
            return []
        agent = next((one for one in await self._agents() if wanted in _ids(one)), None)
        if agent is None:
            return [f"no assignee, for {writing.assignee!r} is none of its agents"]
        await self._send("POST", f"{path}/assign/", {"agent_id": agent["id"]})
        return ["the assignee"]

    async def _tag(self, path: str, ticket: dict[str, Any], writing: Writing) -> list[str]:
        """Tags are sent as a whole; so those that are there are sent, too."""
        there = {one["id"]: str(one.get("name")) for one in listed(ticket, "tags") if "id" in one}
        wanted = {tag.casefold() for tag in writing.tags} - {name.casefold() for name in there.values()}
        if not wanted:
            return []
        all_tags = listed(await self._send("GET", "tags/"), "data")
        known = {str(one.get("name")).casefold(): one["id"] for one in all_tags if "id" in one}
        added = sorted(wanted & known.keys())
        if added:
            await self._send("POST", f"{path}/tags/", {"tag_ids": [*there, *(known[name] for name in added)]})
        missing = sorted(wanted - known.keys())
        return [
            *(["the tags"] if added else []),
            *([f"no tag {', '.join(missing)}, which it lacks"] if missing else []),
        ]

    async def _list(self, since: datetime | None, only: dict[str, str]) -> AsyncIterator[tuple[str, datetime]]:
        """Ids, and when each was saved or answered last; those saved last first, and no page that is older than `since`."""
        for number in range(1, MOST_PAGES + 1):
            query: dict[str, str | int] = {
                "sort_by": "updated_at",
                "sort_dir": "desc",
                "per_page": PAGE,
                "page": number,
            }
            page = await self.json.get(f"{self.api}/tickets/", **query, **only)
            saved = []
            for one in listed(page, "data"):
                times = [at for name in ("updated_at", "last_reply_at") if (at := parsed(one.get(name))) is not None]
                if times and (id := text_of(one.get("id"))) is not None:
                    saved.append(parsed(one.get("updated_at")) or times[0])
                    yield id, max(times)
            last = part(page, "meta", "last_page")
            if not saved or not isinstance(last, int) or number >= last or (since is not None and min(saved) < since):
                return
        raise HelpdeskUnavailable(f"escalated-django has more than {MOST_PAGES} pages of tickets")

    async def _ticket(self, id: str) -> dict[str, Any] | None:
        try:
            found = part(await self._send("GET", f"tickets/{quote(id, safe='')}/"), "data")
        except HelpdeskRefused as error:
            if error.status == 404:
                return None
            raise
        return found if isinstance(found, dict) else None

    async def _agents(self) -> list[dict[str, Any]]:
        return list(listed(await self._send("GET", "agents/"), "data"))

    async def _send(self, method: str, path: str, body: Any = None) -> Any:
        return await self.json.send(method, f"{self.api}/{path}", body)


def _ids(person: Any) -> set[str]:
    """How an agent may be called: by id or address."""
    return {told.casefold() for name in ("id", "email") if (told := text_of(part(person, name))) is not None}
