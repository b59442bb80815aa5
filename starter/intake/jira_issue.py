"""One issue of Jira's, as far as it is told: its opening, its changes and comments as words, and who is who.

Statuses, priorities and assignees come as items of its changelog, the same in a webhook and over REST.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sla.automatic import automatic
from sla.events import Delivery
from sla.intake import Told, marked, moment, part, text_of, turned, word
from sla.source import Source, State

STATES: Mapping[str, State] = {
    **dict.fromkeys(("open", "to do", "reopened", "waiting for support", "in progress", "work in progress", "escalated"), "open"),
    **dict.fromkeys(("new", "backlog", "under investigation", "under review", "awaiting implementation", "implementing"), "open"),
    "waiting for customer": "waiting",
    **dict.fromkeys(("resolved", "done", "completed"), "resolved"),
    **dict.fromkeys(("closed", "canceled", "cancelled", "declined"), "closed"),
}  # fmt: skip
"""What the statuses of Atlassian's own templates mean; `Pending` waits on anybody, so only the team can say."""
CATEGORIES: Mapping[str, State] = {"new": "open", "indeterminate": "open", "done": "resolved"}
"""What Jira says of any status, whatever it is called. An `indeterminate` one may wait on the customer as well."""
PRIORITIES = {
    "highest": "P1", "high": "P2", "medium": "P3", "low": "P4", "lowest": "P4",
    "blocker": "P1", "critical": "P1", "major": "P3", "minor": "P4", "trivial": "P4",
}  # fmt: skip
"""Jira's own names, and those before them; `Critical` is the most urgent in many a scheme that has no `Blocker`."""
MOST_NESTED = 40
_BLOCKS = ("paragraph", "heading", "listItem", "codeBlock", "hardBreak", "rule")


class Issue:
    """One issue, as far as it is told."""

    def __init__(self, ticket: str, source: Source, received: datetime, fields: Any) -> None:
        self.ticket, self.source, self.received = ticket, source, received
        self.fields: Mapping[str, Any] = fields if isinstance(fields, Mapping) else {}
        self.reporter = self.fields.get("reporter")
        self.requester = address_of(self.reporter)
        self.doubts: list[str] = []
        key = text_of(part(self.fields, "project", "key")) or ticket.partition("-")[0]
        self.project = (key, text_of(part(self.fields, "project", "name")))

    def word(self, what: str, at: datetime, **said: Any) -> Delivery:
        """A word of this issue under its key."""
        return word(f"{self.source.name}:{self.ticket}:{what}", at, self.received, **said)

    def told(self, words: Sequence[Delivery], address: str | None = None, look: bool = False) -> Told:
        """All that is told of it."""
        given = {"words": tuple(words), "requester": self.requester or address, "organisation": self._organisation()}
        return Told(self.ticket, **given, doubts=tuple(dict.fromkeys(self.doubts)), look=look)  # type: ignore[arg-type]

    def opening(self, changes: Sequence[Mapping[str, Any]]) -> list[Delivery]:
        """The request as it was filed, with the priority that it had before the first of these changes."""
        if text_of(self.fields.get("created")) is None:
            return []
        first = next((item for change in changes for item in _items(change) if field_of(item) == "priority"), None)
        priority = part(self.fields, "priority", "name") if first is None else first.get("fromString")
        said = {
            "event": "opened", "channel": "ticket", "by": self.requester,
            "priority": self.source.priority(text_of(priority, 200), PRIORITIES),
            "product": self.source.product(_named(self.fields.get(self.source.product_field or ""))),
            "subject": text_of(self.fields.get("summary"), 1000), "body": plain(self.fields.get("description")),
        }  # fmt: skip
        return [self.word("opened", moment(self.fields["created"], self.received, unit="ms"), **said)]

    def changes(self, changes: Sequence[Mapping[str, Any]]) -> list[Delivery]:
        """What the changelog tells: statuses, priorities, who has it. What we changed ourselves tells nothing."""
        words: list[Delivery] = []
        for change in changes:
            id, author, created = text_of(change.get("id"), 100), change.get("author"), change.get("created")
            if id is None or self.source.is_ours(*_ids(author)):
                continue
            items = _items(change)
            solution = next((item.get("toString") for item in items if field_of(item) == "resolution"), None)
            at = moment(created, self.received, unit="ms" if isinstance(created, int | float) else "s")
            for item in items:
                said = self._change(item, author, text_of(solution))
                if said is not None:
                    words.append(self.word(f"change:{id}:{field_of(item)}", at, **said))
        return words

    def _change(self, item: Mapping[str, Any], author: Any, solution: str | None) -> dict[str, Any] | None:
        by, to = self.name(author), text_of(item.get("toString"), 200)
        match field_of(item):
            case "priority" if to:
                return {"event": "priority_changed", "to": self.source.priority(to, PRIORITIES), "by": by}
            case "assignee" if to:
                account = text_of(item.get("to"))
                mine = account is not None and account in _ids(author)
                agent = self.source.agent(to, account)
                return {"event": "acknowledged", "by": agent} if mine else {"event": "assigned", "to": agent, "by": by}
            case "status" if to:
                state, left = self._state(to, solution), text_of(item.get("fromString"))
                # What nobody knows may have been over; a clock that runs is not moved by being opened again.
                before = self.source.state(left, STATES) or ("resolved" if left else None)
                event = turned(state, before)
                kind = "workaround" if event == "resolved" and "workaround" in (solution or "").casefold() else None
                return None if event is None else {"event": event, "by": by, "kind": kind}
        return None

    def _state(self, name: str, solution: str | None) -> State | None:
        """What a status means: by its name, by the solution that came with it, or by its category while it is the issue's own."""
        state = self.source.state(name, STATES) or ("resolved" if solution else None)
        if state is not None:
            return state
        now, category = self.fields.get("status"), None
        if (text_of(part(now, "name"), 200) or "").casefold() == name.casefold():
            category = text_of(part(now, "statusCategory", "key"))
        if category not in ("new", "done"):
            self.doubts.append(f"status {name!r} is none that we know; say under `statuses` what it means")
        return CATEGORIES.get(category or "")

    def comment(self, comment: Mapping[str, Any]) -> list[Delivery]:
        """A comment: the customer's, an agent's to the customer, or an internal note; an app's is nobody's."""
        id, author, text = text_of(comment.get("id"), 100), comment.get("author"), plain(comment.get("body"))
        side, public = self.side(author), _public(comment)
        if id is None or side == "app" or (side == "customer" and public is not False and automatic(text)):
            return []
        at = moment(comment.get("created"), self.received)
        if side == "customer" and public is not False:
            return [self.word(f"comment:{id}", at, event="customer_replied", by=address_of(author), body=text)]
        said = {"event": "agent_replied", "public": public is True, "by": self.name(author), "body": text}
        return [self.word(f"comment:{id}", at, **said)]

    def unsure(self, comment: Mapping[str, Any]) -> bool:
        """Whether it does not say if the customer sees it, and the API may."""
        return self.source.url is not None and self.side(comment.get("author")) == "agent" and _public(comment) is None

    def echo(self, comment: Mapping[str, Any]) -> bool:
        """Whether we wrote it ourselves. Jira's markup may come with its brackets escaped."""
        text = plain(comment.get("body")).replace("\\", "")
        return self.source.is_ours(*_ids(comment.get("author"))) or marked(text, public=_public(comment) is True)

    def side(self, user: Any) -> str:
        """`customer`, `agent` or `app`: what the source's file says first, then the kind of account, then who reported it."""
        ids, reporter = _ids(user), _ids(self.reporter)
        listed = {one.casefold() for one in self.source.agents}
        if self.source.is_customer(*ids):
            return "customer"
        if any(one and one.casefold() in listed for one in ids):
            return "agent"
        account_type = part(user, "accountType")
        if account_type == "customer" or any(one and one in reporter for one in ids):
            return "customer"
        return "app" if account_type == "app" else "agent"

    def name(self, user: Any) -> str | None:
        """What somebody is called here: a customer by their address, an agent as the source's file says."""
        if self.side(user) == "customer":
            return address_of(user)
        return self.source.agent(address_of(user), text_of(part(user, "displayName")), *_ids(user))

    def _organisation(self) -> str | None:
        """The one of its organisations that the source's file knows, by id or name; else the first."""
        found = list(_organisations(self.fields))
        known = {one.casefold() for one in self.source.organisations}
        return next((one for one in found if one.casefold() in known), found[1] if found else None)


def plain(value: Any, nested: int = 0) -> str:
    """The text of a comment or description: as it is, or out of Atlassian's document format."""
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping) or nested > MOST_NESTED:
        return ""
    own = value.get("text") or part(value, "attrs", "text") or part(value, "attrs", "url")
    inner = "".join(plain(one, nested + 1) for one in objects(value.get("content")))
    text = (own if isinstance(own, str) else "") + inner
    return text.strip() if nested == 0 else f"{text}\n" if value.get("type") in _BLOCKS else text


def objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _items(change: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return objects(change.get("items"))


def field_of(item: Mapping[str, Any]) -> str:
    return (text_of(item.get("field")) or "").casefold()


def address_of(user: Any) -> str | None:
    """Their e-mail address, where their privacy settings show it."""
    address = text_of(part(user, "emailAddress"))
    return address if address is not None and "@" in address else None


def _ids(user: Any) -> tuple[str | None, ...]:
    """By what somebody is known: in the cloud by the account, at a Jira of one's own by key and name."""
    return *(text_of(part(user, name)) for name in ("accountId", "key", "name")), address_of(user)


def _named(value: Any) -> str | None:
    """The name in a field: of a request type, of a choice, of the first of several."""
    if isinstance(value, list):
        return next((name for one in value[:20] if (name := _named(one))), None)
    if isinstance(value, Mapping):
        return text_of(part(value, "requestType", "name") or value.get("value") or value.get("name"), 200)
    return text_of(value, 200)


def _public(comment: Mapping[str, Any]) -> bool | None:
    """Whether the customer sees it; None: it is not said."""
    if isinstance(comment.get("visibility"), Mapping) and comment["visibility"]:
        return False
    kept = [one for one in objects(comment.get("properties")) if one.get("key") == "sd.public.comment"]
    said = (
        *(_shown(part(one, "value", "internal")) for one in kept),
        comment.get("jsdPublic"),
        _shown(comment.get("internal")),
    )
    return next((one for one in said if isinstance(one, bool)), None)


def _shown(internal: Any) -> bool | None:
    """Whether the customer sees what is told to be internal, or not to be, as a truth or as a text."""
    return {"true": False, "false": True}.get(str(internal).casefold()) if isinstance(internal, bool | str) else None


def _organisations(fields: Mapping[str, Any]) -> Iterator[str]:
    """Ids and names of the organisations that the request is shared with, whichever custom field holds them."""
    for value in fields.values():
        for one in objects(value):
            if "/servicedeskapi/organization/" in (text_of(part(one, "_links", "self"), 500) or ""):
                yield text_of(one.get("id")) or ""
                yield text_of(one.get("name")) or ""
