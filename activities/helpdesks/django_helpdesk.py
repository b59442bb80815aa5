"""django-helpdesk's API (2.6): Django REST framework under `/api/`, for a user who is staff.

It has no search by time. Its follow-ups are listed in the order of their dates, so what changed is read from their last
page backwards; a change without a follow-up (a priority set by the API, say) is heard of with the ticket's next one.
"""

import base64
import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from activities.helpdesks.client import Account, HelpdeskRefused, Json, Writing, alone, listed
from sla.civil import parsed

PAGE = 100
_SPEAKS_TEMPLATE = re.compile(r"\{(?=[{%#])|%(?=\})|#(?=\d)")
"""The helpdesk renders a comment as a template (a lone `%}` ends in its error 500), and #7 makes a follow-up in ticket 7."""


class DjangoHelpdesk:
    """One django-helpdesk. With a user, `token` is the password; without one, a token of `rest_framework.authtoken`."""

    def __init__(self, account: Account) -> None:
        pair = base64.b64encode(f"{account.user}:{account.token}".encode()).decode()
        how = f"Basic {pair}" if account.user else f"Token {account.token}"
        self.json = Json(account, {"authorization": how}, "django-helpdesk")

    async def changed(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        """Each ticket with a follow-up since then, by the date of its newest."""
        newest: dict[str, datetime] = {}
        page = await self.json.get("/api/followups/", page_size=PAGE, page="last")
        number = -(-_count(page) // PAGE)
        while True:
            dates = []
            for entry in listed(page, "results"):
                if (at := parsed(entry.get("date"))) is not None:
                    dates.append(at)
                    if at >= since:
                        id = str(entry.get("ticket"))
                        newest[id] = max(at, newest.get(id, at))
            number -= 1
            if number < 1 or not dates or min(dates) < since:
                break
            page = await self.json.get("/api/followups/", page_size=PAGE, page=number)
        for id, at in sorted(newest.items(), key=lambda item: item[1]):
            if (found := await alone(self.ticket(id), id)) is not None:
                yield {**found, "_changed": at.isoformat()}

    async def ticket(self, id: str) -> dict[str, Any] | None:
        """One ticket with all its follow-ups, as its webhooks bring it."""
        try:
            ticket = await self.json.get(f"/api/tickets/{quote(id, safe='')}/")
        except HelpdeskRefused as error:
            if error.status == 404:
                return None
            raise
        return {"ticket": ticket} if isinstance(ticket, dict) else None

    async def write(self, id: str, writing: Writing) -> str:
        """A private follow-up, and the fields that differ. It has no tags."""
        found = await self.ticket(id)
        if found is None:
            raise HelpdeskRefused(f"django-helpdesk has no ticket {id[:80]}", 404)
        ticket, done = found["ticket"], []
        comments = [str(entry.get("comment")) for entry in listed(ticket, "followup_set")]
        if writing.note and not any(writing.mark in comment for comment in comments):
            text = f"{_SPEAKS_TEMPLATE.sub(lambda found: f'{found[0]} ', writing.note)}\n\n{writing.mark}"
            # Without a title, for that would rename the ticket.
            await self.json.send("POST", "/api/followups/", {"ticket": ticket["id"], "comment": text, "public": False})
            done.append("a note")
        fields, left = _fields(writing, ticket)
        if fields:
            await self.json.send("PATCH", f"/api/tickets/{quote(id, safe='')}/", fields)
            done += [
                {"assigned_to": "the owner", "due_date": "the due date"}.get(name, f"the {name}") for name in fields
            ]
        return "; ".join([", ".join(done) or "nothing that was not there", *left])

    async def check(self) -> str:
        """Whether the user may read and write: one right, that of staff, is for both."""
        page = await self.json.get("/api/followups/", page_size=1)
        tickets = await self.json.get("/api/tickets/", page_size=1)
        who = self.json.account.user or "the token's user"
        return f"reads and writes django-helpdesk as {who}: {_count(tickets)} tickets, {_count(page)} follow-ups"


def _fields(writing: Writing, ticket: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What is to be set, and what can't be: one half sentence each."""
    fields: dict[str, Any] = {}
    left = []
    for name, given in ("assigned_to", writing.assignee), ("priority", writing.priority):
        if given is not None and not given.isdecimal():
            left.append(f"{name} {given!r} is no number, which is all that django-helpdesk takes there")
        elif given is not None and ticket.get(name) != int(given):
            fields[name] = int(given)
    if writing.due is not None and parsed(ticket.get("due_date")) != writing.due:
        fields["due_date"] = writing.due.isoformat()
    return fields, left


def _count(page: Any) -> int:
    count = page.get("count") if isinstance(page, dict) else None
    return count if isinstance(count, int) else 0
