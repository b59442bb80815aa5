"""Freshdesk's API (v2): tickets with their conversations; private notes, and fields where they differ.

Needs an agent's API key. The list of tickets can't be held still while it is read, so each page is asked for from the last
ticket's time on: nothing is left out when a ticket moves to the end meanwhile.
"""

import base64
import html
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from activities.helpdesks.client import Account, HelpdeskRefused, HelpdeskUnavailable, Json, Writing, alone, listed
from sla.intake import part, text_of

PAGE = 100
MOST_PAGES = 300
"""Freshdesk's own limit of pages."""
LEVELS = {"low": 1, "medium": 2, "high": 3, "urgent": 4}
WRITTEN = {"priority": "the priority", "responder_id": "the agent", "tags": "the tags"}


class Freshdesk:
    """One Freshdesk account."""

    def __init__(self, account: Account) -> None:
        self.account = account
        pair = base64.b64encode(f"{account.token}:X".encode()).decode()
        self.json = Json(account, {"authorization": f"Basic {pair}"}, "Freshdesk")

    async def changed(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        """Every ticket that changed, the one that changed first before the others. Deleted ones and spam are not listed."""
        seen: set[tuple[str, str]] = set()
        begin, page = since.astimezone(UTC), 1
        while page <= MOST_PAGES:
            found = listed(
                await self.json.get(
                    "/api/v2/tickets", updated_since=f"{begin:%Y-%m-%dT%H:%M:%SZ}", order_by="updated_at", order_type="asc",
                    per_page=PAGE, page=page,
                )
            )  # fmt: skip
            new = [one for one in found if (_id(one), _changed(one)) not in seen]
            for ticket in new:
                seen.add((_id(ticket), _changed(ticket)))
                if _id(ticket) and (whole := await alone(self.ticket(_id(ticket)), _id(ticket))) is not None:
                    yield {**whole, "_changed": _changed(ticket)}
            if len(found) < PAGE:
                return
            last = _instant(_changed(found[-1]))
            ahead = last is not None and last - timedelta(seconds=1) > begin
            if ahead and last is not None:
                begin, page = last - timedelta(seconds=1), 1
            else:
                page += 1
        raise HelpdeskUnavailable(
            f"Freshdesk lists no more than {MOST_PAGES} pages of tickets that changed in one second"
        )

    async def ticket(self, id: str) -> dict[str, Any] | None:
        """One ticket with its conversations."""
        ticket = await self._ticket(id, include="requester,stats,company")
        if ticket is None:
            return None
        return {"_changed": _changed(ticket), "ticket": ticket, "conversations": await self._conversations(id)}

    async def write(self, id: str, writing: Writing) -> str:
        """The fields that differ, then the private note, unless one of the conversations has its mark."""
        ticket = await self._ticket(id)
        if ticket is None:
            raise HelpdeskRefused(f"Freshdesk has no ticket {id!r}, or the key's agent may not see it", 404)
        fields = await self._fields(ticket, writing)
        if fields:
            await self.json.send("PUT", f"/api/v2/tickets/{quote(id, safe='')}", fields)
        told = [WRITTEN.get(name, "the due date") for name in fields]
        if writing.note is not None and not await self._noted(id, writing.mark):
            text = html.escape(f"{writing.note}\n\n{writing.mark}").replace("\n", "<br>")
            body = {"body": f"<div>{text}</div>", "private": True}
            await self.json.send("POST", f"/api/v2/tickets/{quote(id, safe='')}/notes", body)
            told.append("a private note")
        return ", ".join(told) or "nothing that was not there"

    async def check(self) -> str:
        """As which agent, and that tickets may be read."""
        me = await self.json.get("/api/v2/agents/me")
        await self.json.get("/api/v2/tickets", per_page=1)
        name = text_of(part(me, "contact", "name")) or text_of(part(me, "contact", "email")) or "an agent"
        return f"Freshdesk lets us read and write as {name} ({text_of(part(me, 'id')) or 'no id'})"

    async def _ticket(self, id: str, **query: str | int) -> dict[str, Any] | None:
        try:
            found = await self.json.get(f"/api/v2/tickets/{quote(id, safe='')}", **query)
        except HelpdeskRefused as refused:
            if refused.status == 404:
                return None
            raise
        return found if isinstance(found, dict) else None

    async def _conversations(self, id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for page in range(1, MOST_PAGES + 1):
            try:
                new = listed(
                    await self.json.get(f"/api/v2/tickets/{quote(id, safe='')}/conversations", per_page=PAGE, page=page)
                )
            except HelpdeskRefused as refused:
                if refused.status != 404:
                    raise
                new = []
            found += new
            if len(new) < PAGE:
                return found
        raise HelpdeskRefused(f"Freshdesk has more than {MOST_PAGES} pages of its conversations", 413)

    async def _noted(self, id: str, mark: str) -> bool:
        return any(
            mark in (text_of(one.get("body_text"), 100_000) or "") or mark in (text_of(one.get("body"), 100_000) or "")
            for one in await self._conversations(id)
        )

    async def _fields(self, ticket: dict[str, Any], writing: Writing) -> dict[str, Any]:
        """What differs from the ticket."""
        fields: dict[str, Any] = {}
        if writing.priority:
            code = LEVELS.get(writing.priority.lower(), writing.priority)
            if text_of(ticket.get("priority")) != str(code):
                fields["priority"] = int(code) if str(code).isdigit() else code
        if writing.assignee:
            agent = writing.assignee if writing.assignee.isdigit() else await self._agent(writing.assignee)
            if text_of(ticket.get("responder_id")) != agent:
                fields["responder_id"] = int(agent)
        if writing.due is not None:
            due = writing.due.astimezone(UTC).replace(microsecond=0)
            own = self.account.due_field
            if own and part(ticket, "custom_fields", own) != f"{due:%Y-%m-%dT%H:%M:%SZ}":
                fields["custom_fields"] = {own: f"{due:%Y-%m-%dT%H:%M:%SZ}"}
            elif not own and _instant(text_of(ticket.get("due_by")) or "") != due:
                fields["due_by"] = f"{due:%Y-%m-%dT%H:%M:%SZ}"
        tags = [one for one in ticket.get("tags") or () if isinstance(one, str)]
        if new := [tag for tag in writing.tags if tag.casefold() not in {one.casefold() for one in tags}]:
            fields["tags"] = [*tags, *new]
        return fields

    async def _agent(self, email: str) -> str:
        found = listed(await self.json.get("/api/v2/agents", email=email))
        id = next((id for one in found if (id := text_of(one.get("id")))), None)
        if id is None:
            raise HelpdeskRefused(f"Freshdesk knows no agent {email!r}")
        return id


def _id(ticket: dict[str, Any]) -> str:
    return text_of(ticket.get("id")) or ""


def _changed(ticket: dict[str, Any]) -> str:
    return text_of(ticket.get("updated_at")) or ""


def _instant(told: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(told)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else None
