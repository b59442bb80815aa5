"""A ticket of escalated-django as its API shows it (0.7): its replies, and the newest twenty of its activities.

Rules and automations change a ticket without an activity; what none tells is read from the ticket as it stands.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sla.automatic import automatic
from sla.events import Delivery
from sla.intake import Told, Unusable, marked, moment, part, text_of, turned, word
from sla.source import Source, State

PRIORITIES: Final = {"critical": "P1", "urgent": "P1", "high": "P2", "medium": "P3", "low": "P4"}
STATES: Final[dict[str, State]] = {
    "open": "open", "in_progress": "open", "waiting_on_agent": "open", "escalated": "open", "reopened": "open",
    "waiting_on_customer": "waiting", "resolved": "resolved", "closed": "closed",
}  # fmt: skip
SETS: Final = {
    "status_changed": ("status", "old_status", "new_status"),
    "priority_changed": ("priority", "old_priority", "new_priority"),
    "assigned": ("assigned", "", "agent_id"),
    "unassigned": ("assigned", "", ""),
}
"""What an activity sets, and which of its properties are the value before and after."""
MOST_ACTIVITIES = 20
"""The API shows the newest so many."""
_AT_ONCE = timedelta(seconds=5)


def story(ticket: dict[str, Any], source: Source, received: datetime) -> Told | None:
    """All that a ticket tells, as the API shows it, with `_agents`, the list of agents; None: its department does not count.

    Raises:
        Unusable: it has no id.
    """
    number = number_of(part(ticket, "id"))
    if number is None:
        raise Unusable("id is no number; escalated-django sends the ticket's number there", "id")
    if not source.counts(text_of(part(ticket, "department", "name")), number_of(part(ticket, "department", "id"))):
        return None
    reader = _Reader(ticket, source, received, number)
    words = [reader.opening(), *reader.replies(), *reader.activities()]
    return Told(
        number, tuple(words), requester=reader.email, organisation=text_of(ticket.get("account_id"), 200),
        doubts=tuple(dict.fromkeys(reader.doubts)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Change:
    id: str
    at: datetime
    by: str | None
    what: str
    before: str | None
    now: str | None
    old: bool
    """The oldest of a full list: it was told when it was new, and its twin may be cut off."""


@dataclass
class _Reader:
    ticket: dict[str, Any]
    source: Source
    received: datetime
    number: str
    doubts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.email = text_of(part(self.ticket, "requester", "email"))
        self.replied = _objects(self.ticket, "replies")
        self.done = _objects(self.ticket, "activities")
        self.agents = {number_of(one["id"]) for one in _objects(self.ticket, "_agents")}
        people = [self.ticket.get("assignee"), *(one.get("author") for one in self.replied)]
        people += _objects(self.ticket, "_agents")
        self.emails = {number_of(part(one, "id")): text_of(part(one, "email")) for one in people}
        self.made = next(
            (text_of(part(one, "properties", "priority")) for one in self.done if one.get("type") == "created"), None
        )
        """The priority that the ticket was made with, where that is still shown."""
        self.automatic: list[datetime] = []
        """When the answers came that nobody wrote."""

    def opening(self) -> Delivery:
        """The first message."""
        name, channel = self.source.product_field, text_of(self.ticket.get("channel"))
        return self._word(
            "opened", self._at(self.ticket, "created_at"), event="opened", by=self.email,
            priority=self.source.priority(self.made or text_of(self.ticket.get("priority")), PRIORITIES),
            channel=channel if channel in ("email", "phone", "api") else "ticket",
            subject=_said(self.ticket.get("subject")), body=_said(self.ticket.get("description")),
            product=self.source.product(text_of(part(self.ticket, "metadata", name))) if name else None,
        )  # fmt: skip

    def replies(self) -> list[Delivery]:
        """Who answered, and what was noted."""
        words = []
        for reply in self.replied:
            key, at, body = f"reply:{reply['id']}", self._at(reply, "created_at"), _said(reply.get("body"))
            author, note = number_of(part(reply, "author", "id")), reply.get("is_internal_note") is True
            if marked(body, public=not note) or (note and (author is None or self._is_ours(author))):
                continue
            if note or self._is_agent(author):
                words.append(
                    self._word(key, at, event="agent_replied", by=self._name(author), public=not note, body=body)
                )
            elif automatic(body):
                self.automatic.append(at)
            else:
                words.append(self._word(key, at, event="customer_replied", by=self._name(author), body=body))
        return words

    def activities(self) -> list[Delivery]:
        """What was done to it; and what of it no activity tells (rules and automations write none), by when it was last saved."""
        words = list[Delivery | None]()
        newest: dict[str, _Change] = {}
        state: State | None = None
        for change in self._changes():
            newest[change.what] = change
            silent = change.old or self._is_ours(change.by)
            if change.what == "status":
                state, event = self._turn(change, state)
                words.append(None if silent or event is None else self._event(change, event=event))
            elif not silent and change.now is not None:
                words.append(self._set(change))
        full, saved = len(self.done) >= MOST_ACTIVITIES, self._at(self.ticket, "updated_at")
        known = {"priority": self.made, "status": None if full else "open", "assigned": None if full else ""}
        stands = {
            "priority": text_of(self.ticket.get("priority")),
            "assigned": number_of(part(self.ticket, "assignee", "id")),
        }
        for what, now in stands.items():
            last = newest.get(what)
            recorded = last.now or "" if last is not None else known[what]
            if now is not None and recorded is not None and now != recorded:
                id = f"{what}:{now}:after:{last.id if last else 0}"
                words.append(self._set(_Change(id, saved, None, what, None, now, old=False)))
        status, last = text_of(self.ticket.get("status")), newest.get("status")
        recorded = last.now if last is not None else known["status"]
        # While a ticket sleeps it is called closed, and is not.
        if status is not None and status != recorded and self.ticket.get("is_snoozed") is not True:
            at = self._at(self.ticket, f"{status}_at", saved)
            id = f"status:{status}:after:{last.id if last else at.isoformat() if full else 0}"
            change = _Change(id, at, None, "status", recorded, status, old=False)
            after, event = self._turn(change, state)
            if event is not None and (recorded is not None or after in ("resolved", "closed")):
                words.append(self._event(change, event=event))
        return [one for one in words if one is not None]

    def _changes(self) -> list[_Change]:
        """What was done, each once: most activities are written twice, first with who did it, then without."""
        changes: list[_Change] = []
        seen: dict[str, list[str | None]] = {}
        for i, one in enumerate(self.done):
            what, *names = SETS.get(_said(one.get("type")), ("",))
            values = [text_of(part(one, "properties", name)) for name in names]
            if what and seen.get(what) != values:
                seen[what] = values
                old = i == 0 and len(self.done) >= MOST_ACTIVITIES
                by, at = number_of(part(one, "causer", "id")), self._at(one, "created_at")
                changes.append(_Change(f"activity:{one['id']}", at, by, what, values[0], values[1], old))
        return changes

    def _turn(self, change: _Change, before: State | None) -> tuple[State | None, str | None]:
        """As what the ticket stands after a change of its status, and the event that this makes."""
        before = before or self.source.state(change.before, STATES)
        after = self.source.state(change.now, STATES)
        if after is None:
            self.doubts.append(f"status {change.now!r} is none that is known; put it under `statuses` of this source")
            return before, None
        if after == "waiting" and change.by is not None and not self._is_agent(change.by):
            after = "open"  # It takes whoever is not the requester for an agent, such as a colleague of theirs.
        if before == "waiting" and after == "open" and any(abs(change.at - at) < _AT_ONCE for at in self.automatic):
            after = "waiting"
        return after, None if after == before else turned(after, before)

    def _set(self, change: _Change) -> Delivery:
        if change.what == "priority":
            return self._event(change, event="priority_changed", to=self.source.priority(change.now, PRIORITIES))
        if change.by == change.now:
            return self._event(change, event="acknowledged")
        return self._event(change, event="assigned", to=self._name(change.now))

    def _event(self, change: _Change, **said: Any) -> Delivery:
        return self._word(change.id, change.at, by=self._name(change.by) if change.by else None, **said)

    def _is_agent(self, id: str | None) -> bool:
        """Whoever is listed as one; where the list is not at hand, whoever is not the requester."""
        email = self.emails.get(id)
        asks = email is not None and email.casefold() == (self.email or "").casefold()
        if id is None or asks or self.source.is_customer(id, email):
            return False
        return id in self.agents if "_agents" in self.ticket else True

    def _is_ours(self, id: str | None) -> bool:
        return self.source.is_ours(id, self.emails.get(id))

    def _name(self, id: str | None) -> str | None:
        """An agent as we call them; a customer's address, which is the requester's where nobody was logged in."""
        if not self._is_agent(id):
            return self.emails.get(id) or self.email
        return self.source.agent(self.emails.get(id), id)

    def _at(self, of: dict[str, Any], name: str, otherwise: datetime | None = None) -> datetime:
        told = of.get(name)
        return otherwise if told is None and otherwise is not None else moment(told, self.received)

    def _word(self, key: str, at: datetime, **said: Any) -> Delivery:
        return word(f"{self.source.name}:{self.number}:{key}", at, self.received, **said)


def _objects(of: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of a list that have an id, the oldest first."""
    value = of.get(name)
    found = [one for one in value if number_of(part(one, "id")) is not None] if isinstance(value, list) else []
    return sorted(found, key=lambda one: (_said(one.get("created_at")), len(str(one["id"])), str(one["id"])))


def number_of(value: Any) -> str | None:
    """An id: a number, or a text where its users have such."""
    found = text_of(value, 201)
    return found if found is not None and len(found) <= 200 else None


def _said(value: Any) -> str:
    return value if isinstance(value, str) else ""
