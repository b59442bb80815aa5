"""Zammad's API: tickets by their last change, each with its articles and its history; notes as internal articles.

Needs an access token with the right `ticket.agent`. What changed is found by Zammad's search, which needs its Elasticsearch;
it takes a date and no more, so it is read from the newest change backwards. It hands over 10,000 tickets at most, and an
empty list as well where it fails, so neither is taken for the end.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from activities.helpdesks.client import Account, HelpdeskRefused, HelpdeskUnavailable, Json, Writing, alone, listed
from sla.intake import part, text_of

PAGE = 100
WINDOW = 10_000
"""Elasticsearch's own bound of what one search hands over."""
SLACK = timedelta(minutes=2)
"""How much further back is read, for what the search's index learned late."""


class Zammad:
    """One Zammad."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.json = Json(account, {"authorization": f"Token token={account.token}"}, "Zammad")

    async def changed(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        """Every ticket of the groups that the token's user may read, the one that changed first before the others."""
        found = await self._found(since - SLACK)
        for id in sorted(found, key=lambda one: _moment(found[one])):
            ticket = await alone(self.ticket(id), id)
            if ticket is not None:
                yield {**ticket, "_changed": found[id]}  # not what changed since, for others are still to come

    async def _found(self, since: datetime) -> dict[str, str]:
        """All that changed since then, and when. Where they are too many for one search, it is by their numbers: of a
        row of 10,000 numbers there can't be more tickets.
        """
        found, whole = await self._search(since, "")
        first = 0
        while not whole:
            some, _ = await self._search(since, f" AND id:[{first} TO {first + WINDOW - 1}]")
            found |= some
            first += WINDOW
            whole = not await self._page(since, f" AND id:>={first}", 1)
        return found

    async def _search(self, since: datetime, only: str) -> tuple[dict[str, str], bool]:
        """What one search finds, from the newest change back to `since`, and whether that is all."""
        found: dict[str, str] = {}
        for page in range(1, WINDOW // PAGE + 1):
            tickets = await self._page(since, only, page)
            found |= {id: at for id, at in tickets.items() if id not in found and _moment(at) >= since}
            # An older one ends it, for those that follow changed before it; a page may lack what we may not see.
            if not tickets or any(_moment(at) < since for at in tickets.values()):
                return found, True
        return found, False

    async def _page(self, since: datetime, only: str, page: int) -> dict[str, str]:
        query = f"updated_at:>={since.astimezone(UTC):%Y-%m-%d}{only}"
        asked: dict[str, str | int] = {"sort_by": "updated_at", "order_by": "desc", "page": page, "per_page": PAGE}
        found = _tickets(await self.json.get("/api/v1/tickets/search", query=query, **asked))
        if not found and not _tickets(await self.json.get("/api/v1/tickets/search", query="*", page=1, per_page=1)):
            raise HelpdeskUnavailable(
                "Zammad's search finds no ticket at all; look at its Elasticsearch, and at the groups that the token's user may read"
            )
        return found

    async def ticket(self, id: str) -> dict[str, Any] | None:
        """One ticket with its articles, its history and who is in it."""
        ticket = await self._ticket(id)
        if ticket is None:
            return None
        articles = listed(await self.json.get(f"/api/v1/ticket_articles/by_ticket/{quote(id, safe='')}"))
        past = await self.json.get(f"/api/v1/ticket_history/{quote(id, safe='')}")
        users = part(past, "assets", "User")
        return {
            "_changed": ticket.get("updated_at"), "ticket": ticket, "articles": list(articles),
            "history": list(listed(past, "history")), "users": users if isinstance(users, dict) else {},
        }  # fmt: skip

    async def write(self, id: str, writing: Writing) -> str:
        """The fields that differ, the tags that are not there, then the internal note, unless one of the articles has its mark."""
        ticket = await self._ticket(id)
        if ticket is None:
            raise HelpdeskRefused(f"Zammad has no ticket {id!r}, or the token may not see it", 404)
        told = await self._fields(id, ticket, writing)
        if writing.tags:
            there = part(await self.json.get("/api/v1/tags", object="Ticket", o_id=id), "tags")
            for tag in writing.tags:
                if not isinstance(there, list) or tag not in there:
                    await self.json.send(
                        "POST", "/api/v1/tags/add", {"item": tag, "object": "Ticket", "o_id": ticket["id"]}
                    )
                    told.append(f"tag {tag}")
        if writing.note is not None and not await self._noted(id, writing.mark):
            note = {
                "ticket_id": ticket["id"], "subject": "Pactkeeper", "body": f"{writing.note}\n\n{writing.mark}",
                "content_type": "text/plain", "type": "note", "internal": True,
            }  # fmt: skip
            await self.json.send("POST", "/api/v1/ticket_articles", note)
            told.append("an internal note")
        return ", ".join(told) or "nothing that was not there"

    async def check(self) -> str:
        """As whom, and whether tickets can be read and searched; whether they can be written to, only their groups tell."""
        me = await self.json.get("/api/v1/users/me")
        await self.json.get("/api/v1/tickets/search", query="*", page=1, per_page=1)
        who = text_of(part(me, "email")) or text_of(part(me, "login"))
        if who is None:
            raise HelpdeskRefused(
                "Zammad answers, but does not say as whom; the url is none of its API, or the token is nobody's"
            )
        return f"Zammad lets us read as {who} ({text_of(part(me, 'id'))}); to write, its groups must be set to Full for that user"

    async def _ticket(self, id: str) -> dict[str, Any] | None:
        try:
            found = await self.json.get(f"/api/v1/tickets/{quote(id, safe='')}", expand="true")
        except HelpdeskRefused as refused:
            if refused.status == 404:
                return None
            raise
        if not isinstance(found, dict) or text_of(found.get("id")) is None:
            raise HelpdeskRefused("Zammad answered with something that is no ticket")
        return found

    async def _noted(self, id: str, mark: str) -> bool:
        articles = listed(await self.json.get(f"/api/v1/ticket_articles/by_ticket/{quote(id, safe='')}"))
        return any(mark in str(one.get("body")) for one in articles)

    async def _fields(self, id: str, now: dict[str, Any], writing: Writing) -> list[str]:
        """Write what differs; the names of what was written."""
        fields: dict[str, Any] = {}
        if writing.priority and writing.priority not in (now.get("priority"), text_of(now.get("priority_id"))):
            number = writing.priority.isdigit()
            fields["priority_id" if number else "priority"] = int(writing.priority) if number else writing.priority
        if writing.assignee and writing.assignee not in (now.get("owner"), text_of(now.get("owner_id"))):
            number = writing.assignee.isdigit()
            fields["owner_id" if number else "owner"] = int(writing.assignee) if number else writing.assignee
        if writing.due is not None and self.account.due_field is not None:
            due = writing.due.astimezone(UTC).replace(microsecond=0)
            if _moment(now.get(self.account.due_field)) != due:
                fields[self.account.due_field] = due.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        if fields:
            await self.json.send("PUT", f"/api/v1/tickets/{quote(id, safe='')}", fields)
        return list(fields)


def _tickets(answer: Any) -> dict[str, str]:
    """The ids that a search names, each with the ticket's last change; newer Zammads may answer with a plain list."""
    assets, named = part(answer, "assets", "Ticket"), part(answer, "tickets")
    found = listed(list(assets.values())) if isinstance(assets, dict) else listed(answer)
    rows = ((text_of(one.get("id")), text_of(one.get("updated_at"))) for one in found)
    wanted = {text_of(one) for one in named} if isinstance(named, list) else None
    return {id: at for id, at in rows if id and at and (wanted is None or id in wanted)}


def _moment(told: Any) -> datetime:
    """An instant; what is none is the first of all."""
    try:
        at = datetime.fromisoformat(str(told))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
