"""Jira Service Management's API (cloud, REST v3): issues with their changelog and comments; notes as its service desk's internal comments.

Needs a user and an API token (HTTP Basic). JQL knows whole minutes only, and counts them in the user's own time zone: so what
changed is asked for by its age.
"""

import base64
import json
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from activities import http
from activities.helpdesks.client import Account, HelpdeskRefused, HelpdeskUnavailable, Json, Writing, alone, listed
from sla.intake import part, text_of

FIELDS = "*all,-comment,-attachment,-worklog"
SLACK = 2
"""Minutes that a search looks further back, for what its index learned late."""
MOST_PAGES = 1000
RIGHTS = {"BROWSE_PROJECTS": "browse projects", "ADD_COMMENTS": "add comments", "EDIT_ISSUES": "edit work items"}


class Jira:
    """One Jira site."""

    def __init__(self, account: Account) -> None:
        self.account = account
        pair = base64.b64encode(f"{account.user}:{account.token}".encode()).decode()
        self.json = Json(account, {"authorization": f"Basic {pair}"}, "Jira")

    async def changed(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        """Every issue that the user may see and that changed, the one that changed first before the others."""
        # By Jira's own clock, or by ours where that asks for more.
        there = datetime.now(UTC) + max(http.ahead(self.account.url), timedelta(0))
        age = math.ceil((there - since).total_seconds() / 60)
        asked: dict[str, str | int] = {
            "jql": f'updated >= "-{max(age, 0) + SLACK}m" ORDER BY updated ASC',
            "fields": FIELDS, "expand": "changelog", "maxResults": 50,
        }  # fmt: skip
        for _ in range(MOST_PAGES):
            page = await self.json.get("/rest/api/3/search/jql", **asked)
            for issue in listed(page, "issues"):
                if (key := text_of(issue.get("key"))) and (whole := await alone(self._whole(issue), key)) is not None:
                    yield whole
            following = text_of(part(page, "nextPageToken"), 10_000)
            if following is None:
                return
            if following == asked.get("nextPageToken"):
                raise HelpdeskUnavailable("Jira hands over the same page again")
            asked["nextPageToken"] = following
        raise HelpdeskUnavailable(f"Jira has more than {MOST_PAGES} pages of changes; it is read on from there")

    async def ticket(self, id: str) -> dict[str, Any] | None:
        """One issue with its changelog and its comments."""
        issue = await self._issue(id)
        return None if issue is None else await self._whole(issue)

    async def write(self, id: str, writing: Writing) -> str:
        """The fields that differ, then the internal comment, unless one of the comments has its mark."""
        issue = await self._issue(id)
        if issue is None:
            raise HelpdeskRefused(f"Jira has no issue {id!r}, or the user may not see it", 404)
        told = await self._fields(id, issue["fields"], writing)
        if writing.note is not None and not await self._noted(id, writing.mark):
            # Between these braces Jira's markup leaves the brackets of the mark alone.
            text = f"{writing.note.replace('{noformat}', '')}\n\n{{noformat}}{writing.mark}{{noformat}}"
            path = f"/rest/servicedeskapi/request/{quote(id, safe='')}/comment"
            await self.json.send("POST", path, {"body": text, "public": False})
            told.append("an internal comment")
        return ", ".join(told) or "nothing that was not there"

    async def check(self) -> str:
        """As whom, and whether the user has the rights that we need somewhere."""
        me = await self.json.get("/rest/api/3/myself")
        rights = await self.json.get("/rest/api/3/mypermissions", permissions=",".join(RIGHTS))
        lacking = [
            what for name, what in RIGHTS.items() if part(rights, "permissions", name, "havePermission") is not True
        ]
        who = text_of(part(me, "displayName")) or self.account.user
        if lacking:
            raise HelpdeskRefused(f"Jira knows {who}, who may not {' nor '.join(lacking)}")
        return f"Jira lets us read and write as {who} ({text_of(part(me, 'accountId'))})"

    async def _issue(self, id: str) -> dict[str, Any] | None:
        try:
            found = await self.json.get(f"/rest/api/3/issue/{quote(id, safe='')}", fields=FIELDS, expand="changelog")
        except HelpdeskRefused as refused:
            if refused.status == 404:
                return None
            raise
        if text_of(part(found, "key")) is None or not isinstance(part(found, "fields"), dict):
            raise HelpdeskRefused("Jira answered with something that is no issue")
        return dict(found)

    async def _whole(self, issue: dict[str, Any]) -> dict[str, Any]:
        """With its whole changelog (a search hands over the newest part of it alone) and all comments."""
        path = f"/rest/api/3/issue/{quote(str(issue['key']), safe='')}"
        changes = listed(issue, "changelog", "histories")
        if part(issue, "changelog", "total") != len(changes):
            changes = await self._pages(f"{path}/changelog", "values")
        comments = await self._pages(f"{path}/comment", "comments")
        bare = {name: value for name, value in issue.items() if name != "changelog"}
        return {
            "_changed": part(issue, "fields", "updated"),
            "issue": bare,
            "changes": list(changes),
            "comments": comments,
        }

    async def _pages(self, path: str, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for _ in range(MOST_PAGES):
            page = await self.json.get(path, startAt=len(found), maxResults=100)
            new = listed(page, name)
            found += new
            total = part(page, "total")
            if not new or not isinstance(total, int) or len(found) >= total:
                return found
        raise HelpdeskRefused(f"Jira has more than {MOST_PAGES} pages of its {name}", 413)

    async def _noted(self, id: str, mark: str) -> bool:
        comments = await self._pages(f"/rest/api/3/issue/{quote(id, safe='')}/comment", "comments")
        return any(mark in json.dumps(one.get("body"), ensure_ascii=False) for one in comments)

    async def _fields(self, id: str, now: dict[str, Any], writing: Writing) -> list[str]:
        """Write what differs; the names of what was written."""
        fields: dict[str, Any] = {}
        update: dict[str, Any] = {}
        if writing.priority and writing.priority not in (part(now, "priority", "name"), part(now, "priority", "id")):
            fields["priority"] = {"id" if writing.priority.isdigit() else "name": writing.priority}
        if writing.assignee:
            account = await self._account(writing.assignee)
            if account != part(now, "assignee", "accountId"):
                fields["assignee"] = {"accountId": account}
        if writing.due is not None:
            name, due = self.account.due_field or "duedate", writing.due.astimezone(UTC)
            # Jira's own due date knows no time of day.
            value = due.strftime("%Y-%m-%dT%H:%M:%S.000+0000") if self.account.due_field else due.date().isoformat()
            if not _same(now.get(name), value):
                fields[name] = value
        labels = now["labels"] if isinstance(now.get("labels"), list) else []
        if new := [tag for one in writing.tags if (tag := one.replace(" ", "-")) not in labels]:
            update["labels"] = [{"add": tag} for tag in new]
        if fields or update:
            body = {name: value for name, value in (("fields", fields), ("update", update)) if value}
            await self.json.send("PUT", f"/rest/api/3/issue/{quote(id, safe='')}", body)
        return [*fields, *update]

    async def _account(self, who: str) -> str:
        """The account's id of an address."""
        if "@" not in who:
            return who
        found = listed(await self.json.get("/rest/api/3/user/search", query=who))
        fits = [one for one in found if str(one.get("emailAddress", who)).casefold() == who.casefold()]
        if len(fits) != 1 or text_of(fits[0].get("accountId")) is None:
            raise HelpdeskRefused(f"Jira names no one account for {who!r}; put the account's id under `agents` instead")
        return str(fits[0]["accountId"])


def _same(now: Any, wanted: str) -> bool:
    """Whether a field holds that moment, whatever its offset."""
    try:
        return bool(datetime.fromisoformat(str(now)) == datetime.fromisoformat(wanted))
    except (ValueError, TypeError):
        return False
