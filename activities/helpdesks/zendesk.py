"""Zendesk's API (v2): tickets with their audits, by the incremental export; internal notes and fields, written in one update.

Needs a user's address and an API token (HTTP Basic); without the address the token is an OAuth one. An update carries the stamp
of the ticket as it was read (`safe_update`), so one that an agent makes meanwhile is never overwritten: it is tried again.
"""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from activities import http
from activities.helpdesks.client import Account, HelpdeskRefused, HelpdeskUnavailable, Json, Writing, alone, listed
from sla.intake import part, text_of

MOST_PAGES = 500
WRITTEN = {
    "comment": "an internal note", "assignee_id": "the assignee", "assignee_email": "the assignee", "custom_fields": "the due date",
}  # fmt: skip
RECENT = timedelta(seconds=70)
"""The export leaves out the last minute, and refuses a start that lies in it."""


class Zendesk:
    """One Zendesk account."""

    def __init__(self, account: Account) -> None:
        self.account = account
        pair = base64.b64encode(f"{account.user}/token:{account.token}".encode()).decode()
        told = f"Basic {pair}" if account.user else f"Bearer {account.token}"
        self.json = Json(account, {"authorization": told}, "Zendesk")

    async def changed(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        """Every ticket that changed, the one that changed first before the others; deleted ones as well."""
        start = min(since, datetime.now(UTC) + http.ahead(self.account.url) - RECENT)
        page = await self.json.get("/api/v2/incremental/tickets/cursor", start_time=max(int(start.timestamp()), 0))
        for _ in range(MOST_PAGES):
            for ticket in listed(page, "tickets"):
                if (id := text_of(ticket.get("id"))) and (whole := await alone(self._whole(ticket), id)) is not None:
                    yield whole
            cursor = text_of(part(page, "after_cursor"), 10_000)
            if part(page, "end_of_stream") is not False or cursor is None:
                return
            page = await self.json.get("/api/v2/incremental/tickets/cursor", cursor=cursor)
        raise HelpdeskUnavailable(f"Zendesk has more than {MOST_PAGES} pages of changes; it is read on from there")

    async def ticket(self, id: str) -> dict[str, Any] | None:
        """One ticket with its audits and the people in it."""
        ticket = await self._ticket(id)
        return None if ticket is None else await self._whole(ticket)

    async def write(self, id: str, writing: Writing) -> str:
        """The fields that differ, and the internal note unless a comment has its mark: all in one update."""
        ticket = await self._ticket(id)
        if ticket is None:
            raise HelpdeskRefused(f"Zendesk has no ticket {id!r}, or the user may not see it", 404)
        if ticket.get("status") == "closed":
            return "nothing: the ticket is closed, and Zendesk changes no closed ticket"
        fields = await self._fields(ticket, writing)
        if writing.note is not None and not await self._noted(id, writing.mark):
            fields["comment"] = {"body": f"{writing.note}\n\n{writing.mark}", "public": False}
        if not fields:
            return "nothing that was not there"
        body = {"ticket": {**fields, "safe_update": True, "updated_stamp": ticket.get("updated_at")}}
        await self.json.send("PUT", f"/api/v2/tickets/{quote(id, safe='')}", body)
        return ", ".join(WRITTEN.get(name, f"the {name}") for name in fields)

    async def check(self) -> str:
        """As whom, and that it is an agent: a wrong token is answered as if nobody had asked."""
        me = part(await self.json.get("/api/v2/users/me"), "user")
        name, role = text_of(part(me, "name")) or self.account.user, text_of(part(me, "role"))
        if text_of(part(me, "id")) is None:
            raise HelpdeskRefused(
                "Zendesk does not know this user and token; turn on token access, or make a new token"
            )
        if role not in ("agent", "admin"):
            raise HelpdeskRefused(f"Zendesk knows {name}, who is no agent and may neither read all tickets nor write")
        return f"Zendesk lets us read and write as {name} ({text_of(part(me, 'id'))}), {role}"

    async def _ticket(self, id: str) -> dict[str, Any] | None:
        try:
            found = part(await self.json.get(f"/api/v2/tickets/{quote(id, safe='')}"), "ticket")
        except HelpdeskRefused as refused:
            if refused.status == 404:
                return None
            raise
        return found if isinstance(found, dict) else None

    async def _whole(self, ticket: dict[str, Any]) -> dict[str, Any]:
        """With all its audits, which a deleted ticket has no more, and everybody who wrote in it."""
        stamp = ticket.get("generated_timestamp")
        changed = ticket.get("updated_at")
        if isinstance(stamp, int) and 0 < stamp < 2**32:
            changed = datetime.fromtimestamp(stamp, UTC).isoformat()
        try:
            audits = await self._pages(
                f"/api/v2/tickets/{quote(text_of(ticket.get('id')) or '', safe='')}/audits", "audits"
            )
        except HelpdeskRefused as refused:
            if refused.status != 404:
                raise
            audits = []
        said = [event for audit in audits for event in listed(audit, "events")]
        who = [text_of(ticket.get("requester_id")), *(text_of(one.get("author_id")) for one in [*audits, *said])]
        ids = list(dict.fromkeys(id for id in who if id and id.isdigit()))
        users = [user for at in range(0, len(ids), 100) for user in await self._users(ids[at : at + 100])]
        return {"_changed": changed, "ticket": ticket, "audits": audits, "users": users}

    async def _users(self, ids: list[str]) -> list[dict[str, Any]]:
        found = listed(await self.json.get("/api/v2/users/show_many", ids=",".join(ids)), "users")
        return [{name: one.get(name) for name in ("id", "email", "role")} for one in found]

    async def _pages(self, path: str, name: str, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        asked: dict[str, str | int] = {"page[size]": 100, **query}
        for _ in range(MOST_PAGES):
            page = await self.json.get(path, **asked)
            found += listed(page, name)
            cursor = text_of(part(page, "meta", "after_cursor"), 10_000)
            if part(page, "meta", "has_more") is not True or cursor is None:
                return found
            asked["page[after]"] = cursor
        raise HelpdeskRefused(f"Zendesk has more than {MOST_PAGES} pages of its {name}", 413)

    async def _noted(self, id: str, mark: str) -> bool:
        comments = await self._pages(f"/api/v2/tickets/{quote(id, safe='')}/comments", "comments", sort="-created_at")
        return any(mark in (text_of(one.get("body"), 70_000) or "") for one in comments)

    async def _fields(self, ticket: dict[str, Any], writing: Writing) -> dict[str, Any]:
        """What differs from the ticket."""
        fields: dict[str, Any] = {}
        if writing.assignee and writing.assignee.isdigit():
            if text_of(ticket.get("assignee_id")) != writing.assignee:
                fields["assignee_id"] = int(writing.assignee)
        elif writing.assignee:
            now = text_of(ticket.get("assignee_id"))
            users = await self._users([now]) if now else []
            if not any((text_of(one.get("email")) or "").casefold() == writing.assignee.casefold() for one in users):
                fields["assignee_email"] = writing.assignee
        if writing.priority and text_of(ticket.get("priority")) != writing.priority.lower():
            fields["priority"] = writing.priority.lower()
        if writing.due is not None and self.account.due_field:
            due = writing.due.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            known = {text_of(one.get("id")): one.get("value") for one in listed(ticket, "custom_fields")}
            if known.get(self.account.due_field) != due:
                named = int(self.account.due_field) if self.account.due_field.isdigit() else self.account.due_field
                fields["custom_fields"] = [{"id": named, "value": due}]
        tags = [one for one in ticket.get("tags") or () if isinstance(one, str)]
        if new := [tag for one in writing.tags if (tag := one.replace(" ", "_").lower()) not in tags]:
            fields["tags"] = [*tags, *new]
        return fields
