"""django-helpdesk (2.6): its webhooks are unsigned and name no event, but each tells the ticket's whole story.

So every event is read anew from every delivery, under keys that stay the same: a lost webhook is made good by the next, what
comes twice counts once, and what the API hands over is read the same way. A hold sends no webhook; the next one tells of it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final, TypeGuard

from sla.automatic import automatic
from sla.events import Delivery
from sla.intake import Adapter, Read, Told, Unusable, marked, moment, text_of, turned, word
from sla.signing import bearer
from sla.source import Source, State

PRIORITIES: Final = {"1": "P1", "2": "P2", "3": "P3", "4": "P4", "5": "P4"}
"""1 is critical, 5 is very low."""
REOPENED = 2
STATES: Final[dict[str, State]] = {"1": "open", "2": "open", "3": "resolved", "4": "closed", "5": "closed"}
"""Open, reopened, resolved, closed, duplicate."""
ON_HOLD, OFF_HOLD, BY_FORM = "Ticket placed on hold", "Ticket taken off hold", "Ticket Opened Via Web"
"""What the helpdesk itself calls these follow-ups; others carry the ticket's own title, which the customer chose."""
ESCALATED = "Ticket Escalated"
"""A follow-up that the helpdesk's own nightly job writes: nobody's word."""
_MERGED = re.compile(r"\[Merged from #\d+\] ")
"""Words that were said in another ticket. What is said there neither opens, answers nor resolves this one."""
_ASSIGNED = re.compile(r"(?:Ticket Opened & )?Assigned to (\S+)(?: in bulk update)?(?: and [\w ]+)?")


def read(body: Any, source: Source, received: datetime) -> Read:
    """One delivery: the ticket whole, and which follow-up it was sent for.

    Raises:
        Unusable: it holds no ticket of django-helpdesk.
    """
    if not isinstance(body, dict):
        raise Unusable("the body is no object; django-helpdesk sends one that holds `ticket`")
    about = body.get("followup_id")
    kind = "new ticket" if about is None else "follow-up"
    told = story(body, source, received)
    if told is None:
        return Read(ignored=f"queue {text_of(body.get('queue_slug'), 80)} is none that counts", kind=kind)
    past: list[Any] = body["ticket"]["followup_set"]
    if any(isinstance(one, dict) and one.get("id") == about and _is_echo(one, source) for one in past):
        return Read(ignored="our own note", kind=kind)
    return Read(told=(told,), kind=kind)


def story(given: dict[str, Any], source: Source, received: datetime) -> Told | None:
    """All that a ticket tells, whether a webhook brought it or the API; None: it is in a queue that does not count.

    Raises:
        Unusable: it does not look like a ticket of django-helpdesk.
    """
    ticket = given.get("ticket")
    if not isinstance(ticket, dict):
        raise Unusable("ticket is no object; django-helpdesk sends the whole ticket there", "ticket")
    number = _number(ticket.get("id"))
    if number is None:
        raise Unusable("ticket.id is no number; django-helpdesk sends the ticket's number there", "ticket.id")
    past = ticket.get("followup_set")
    if not isinstance(past, list):
        raise Unusable(
            "ticket.followup_set is no list; django-helpdesk sends all follow-ups there", "ticket.followup_set"
        )
    if not source.counts(text_of(given.get("queue_slug")), _number(ticket.get("queue"))):
        return None
    title = _said(ticket.get("title"))
    whole = [_entry(one) for one in past if isinstance(one, dict) and _is_int(one.get("id"))]
    own = [one for one in whole if not _MERGED.match(_machine(one, title))]
    own.sort(key=lambda one: (_said(one.get("date")), one["id"]))
    reader = _Reader(ticket, source, received, number, title, text_of(ticket.get("submitter_email")), own)
    words = [reader.opening()]
    for i, one in enumerate(own):
        words += reader.entry(one, i == 0)
    words += [*reader.unrecorded(), *reader.priority()]
    return Told(number, tuple(words), requester=reader.email, doubts=tuple(dict.fromkeys(reader.doubts)))


@dataclass
class _Reader:
    ticket: dict[str, Any]
    source: Source
    received: datetime
    number: str
    title: str
    email: str | None
    past: Sequence[dict[str, Any]]
    status: int = 1
    """As the follow-ups read so far left it."""
    changed: int = 0
    """The follow-up that did."""
    doubts: list[str] = field(default_factory=list)

    def opening(self) -> Delivery:
        """The customer's first message, at the time of the first follow-up, or of the ticket where it is told."""
        first = self.past[0] if self.past else {}
        mail = "mail" in _said(first.get("title")).casefold()
        return self._word(
            "opened", moment(self.ticket.get("created") or first.get("date"), self.received), event="opened",
            by=self.email, priority=self._level(), channel="email" if mail else "ticket", subject=self.title,
            body=_said(self.ticket.get("description")),
        )  # fmt: skip

    def entry(self, entry: dict[str, Any], first: bool) -> list[Delivery]:
        """The words of one follow-up: who wrote, whom it was given to, what status it made."""
        at, user, title = moment(entry.get("date"), self.received), entry["user"], _machine(entry, self.title)
        key, comment = f"followup:{entry['id']}", _said(entry.get("comment"))
        customers = self._is_customer(user)
        by = self.email if customers else self._agent(user)
        automatic, echo = _is_automatic(entry), _is_echo(entry, self.source)
        words: list[Delivery] = []
        if user is None and title == ESCALATED:
            return words
        if not customers and not echo and (given := _ASSIGNED.fullmatch(title)):
            to = self.source.agent(given[1]) or given[1]
            taken = {"event": "acknowledged", "by": to} if to == by else {"event": "assigned", "to": to, "by": by}
            words.append(self._word(f"{key}:assigned", at, **taken))
        if title in (ON_HOLD, OFF_HOLD):
            if self._state(self.status) not in ("resolved", "closed"):
                event = "waiting_on_customer" if title == ON_HOLD else "reopened"
                words.append(self._word(f"{key}:{'hold' if title == ON_HOLD else 'unhold'}", at, event=event, by=by))
        elif comment and not first and not echo:
            if customers and entry.get("public") and not automatic:
                words.append(self._word(key, at, event="customer_replied", by=by, body=comment))
            elif not customers:
                public = bool(entry.get("public"))
                words.append(self._word(key, at, event="agent_replied", by=by, public=public, body=comment))
        status = entry["new_status"]
        if status is not None and not automatic:
            # What is called reopened was over, even if we never heard of that; while it is, every mail calls it so.
            if status == REOPENED != self.status and self._state(status) == self._state(self.status) == "open":
                words.append(self._word(f"{key}:status", at, event="reopened", by=by))
            else:
                words += self._turn(f"{key}:status", at, status, by)
            self.status, self.changed = status, entry["id"]
        return words

    def unrecorded(self) -> list[Delivery]:
        """A status that no follow-up tells of (the kanban board, a merge), by the time of the newest one at the latest."""
        now = self.ticket.get("status")
        if not _is_int(now) or now == self.status or not self.past:
            return []
        at = moment(self.past[-1].get("date"), self.received)
        return self._turn(f"status:{self.changed}:{now}", at, now, None)

    def priority(self) -> list[Delivery]:
        """The priority as it stands, said of the newest follow-up; the first is the opening's, which says it itself."""
        now, newest = self._level(), max(self.past, key=lambda one: int(one["id"]), default=None)
        if now is None or newest is None or newest is self.past[0]:
            return []
        by = self._agent(newest["user"]) if newest["user"] is not None else None
        key, at = f"priority:{self.ticket['priority']}:{newest['id']}", moment(newest.get("date"), self.received)
        return [self._word(key, at, event="priority_changed", to=now, by=by, stands=True)]

    def _turn(self, key: str, at: datetime, status: int, by: str | None) -> list[Delivery]:
        state, before = self._state(status), self._state(self.status)
        if state is None:
            self.doubts.append(f"status {status} is none that is known; put it under `statuses` of this source")
        event = None if state == before else turned(state, before)
        return [] if event is None else [self._word(key, at, event=event, by=by)]

    def _state(self, status: int) -> State | None:
        return self.source.state(str(status), STATES)

    def _is_customer(self, user: int | None) -> bool:
        """Nobody logged in, a known customer, who opened the ticket by form, or, where the agents are listed, none of them."""
        if user is None:
            return True
        if self.source.is_ours(str(user)):
            return False
        listed = {id for id in self.source.agents if id.isdecimal()}
        return (
            self.source.is_customer(str(user)) or user == self._requester() or bool(listed and str(user) not in listed)
        )

    def _requester(self) -> int | None:
        """The user who opened the ticket while logged in."""
        first = self.past[0] if self.past else {"user": None}
        by_form = first.get("title") == BY_FORM and str(first["user"]) not in self.source.agents
        user: int | None = first["user"] if by_form else None
        return user

    def _agent(self, user: int | None) -> str:
        """What an agent is called: as configured, or as the helpdesk called them when it gave them the ticket."""
        if str(user) in self.source.agents:
            return self.source.agents[str(user)]
        given = self._given if user == self.ticket.get("assigned_to") else None
        name = given or f"agent-{user}"
        return self.source.agent(name) or name

    @cached_property
    def _given(self) -> str | None:
        """As whom the helpdesk called the one whom it gave the ticket to last; looked for once, for a story may be long."""
        newest = (_ASSIGNED.fullmatch(_machine(entry, self.title)) for entry in reversed(self.past))
        return next((found[1] for found in newest if found), None)

    def _level(self) -> str | None:
        level = self.ticket.get("priority")
        return self.source.priority(str(level), PRIORITIES) if _is_int(level) else None

    def _word(self, key: str, at: datetime, **said: Any) -> Delivery:
        return word(f"{self.source.name}:{self.number}:{key}", at, self.received, **said)


def _is_int(value: Any) -> TypeGuard[int]:
    """A whole number such as a database counts with."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _number(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip() if 0 < len(value.strip()) <= 200 else None
    return str(value) if _is_int(value) else None


def _said(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    """A follow-up whose user and status, where they are no numbers, are none."""
    return {**entry, **{name: entry.get(name) if _is_int(entry.get(name)) else None for name in ("user", "new_status")}}


def _machine(entry: dict[str, Any], ticket: str) -> str:
    """A follow-up's title where the helpdesk wrote it; empty where it is the ticket's own, whose words mean nothing here."""
    title = _said(entry.get("title"))
    return "" if title == ticket or title.startswith(f"{ticket} and ") else title


def _is_echo(entry: dict[str, Any], source: Source) -> bool:
    """Whether we wrote it: it carries our mark, or is a note of the user as whom we write."""
    user = entry.get("user")
    ours = source.is_ours(str(user)) and not entry.get("public") if _is_int(user) else False
    return ours or marked(_said(entry.get("comment")), public=bool(entry.get("public")))


def _is_automatic(entry: dict[str, Any]) -> bool:
    """An out-of-office mail: it came by mail, the helpdesk told nobody of it (it tells the customer of every other), and reads so."""
    quiet = bool(entry.get("message_id")) and not entry.get("email_recipients")
    return quiet and automatic(_said(entry.get("comment")))


ADAPTER = Adapter(
    kind="django-helpdesk",
    title="django-helpdesk",
    read=read,
    verify=bearer,
    story=story,
    limit=4 * 1024 * 1024,
    secret_in_path=True,
)
