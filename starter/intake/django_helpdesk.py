"""django-helpdesk (2.6): its webhooks are unsigned and name no event, but each tells the ticket's whole story.

So every event is read anew from every delivery, under keys that stay the same: a webhook that was lost is made good by
the next, and what comes twice counts once. Putting a ticket on hold sends no webhook; the next one tells of it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from sla.events import INCIDENT_EVENT, Delivery, Event

OPEN, REOPENED, RESOLVED, CLOSED, DUPLICATE = 1, 2, 3, 4, 5
OVER = (RESOLVED, CLOSED, DUPLICATE)
_STATUS = {
    RESOLVED: {"event": "resolved"},
    CLOSED: {"event": "closed"},
    DUPLICATE: {"event": "closed"},
    REOPENED: {"event": "reopened"},
}
ON_HOLD, OFF_HOLD, BY_FORM = "Ticket placed on hold", "Ticket taken off hold", "Ticket Opened Via Web"
"""What the helpdesk itself calls these follow-ups; others carry the ticket's own title, which the customer chose."""
ESCALATED = "Ticket Escalated"
"""A follow-up that the helpdesk's own nightly job writes: nobody's word."""
_MERGED = re.compile(r"\[Merged from #\d+\] ")
"""Words that were said in another ticket. What is said there neither opens, answers nor resolves this one."""
_ASSIGNED = re.compile(r"(?:Ticket Opened & )?Assigned to (\S+)(?: in bulk update)?(?: and [\w ]+)?")
_AUTOMATIC = re.compile(
    r"\b(?:out of (?:the )?office|auto(?:matic|mated)?[- ]?(?:reply|response)|away from)\b", re.IGNORECASE
)


class Unusable(Exception):
    """A payload that is none of django-helpdesk's: where, and what was looked for."""

    def __init__(self, path: str, sentence: str) -> None:
        super().__init__(sentence)
        self.path, self.sentence = path, sentence


@dataclass(frozen=True)
class Connected:
    """How one connected helpdesk's words map to ours."""

    source: str = "django-helpdesk"
    priorities: Mapping[int, str] = field(default_factory=lambda: {1: "P1", 2: "P2", 3: "P3", 4: "P4", 5: "P4"})
    """1 is critical, 5 is very low."""
    agents: Mapping[int, str] = field(default_factory=dict)
    """User ids of agents and what they are called here. Once any is listed, everybody else who writes is a customer."""
    customers: frozenset[int] = frozenset()
    """User ids of customers who log in to write; the payload does not tell them from agents."""
    customer_of: Callable[[str], str | None] = lambda email: None
    default_customer: str = "unknown"


@dataclass(frozen=True, slots=True)
class Seen:
    """The ticket as a delivery showed it: its newest follow-up, and its level of priority."""

    newest: int
    level: int | None


@dataclass(frozen=True, slots=True)
class Story:
    """What one delivery tells: whose ticket it is, all its words so far, and what to compare the next delivery with."""

    ticket: str
    customer: str
    words: tuple[Delivery, ...]
    seen: Seen


def story(payload: dict[str, Any], mapping: Connected, received: datetime, before: Seen | None = None) -> Story:
    """Read a delivery. `before` is what the last one showed of this ticket, None where that is not known.

    Raises:
        Unusable: it does not look like a ticket of django-helpdesk.
    """
    ticket = _part(payload, "ticket", dict)
    number = str(_part(ticket, "id", int, "ticket."))
    told = _part(ticket, "followup_set", list, "ticket.")
    name = str(ticket.get("title") or "")
    past = sorted(
        (_entry(one) for one in told if _whole(one) and not _MERGED.match(_machine(one, name))),
        key=lambda entry: (str(entry.get("date")), entry["id"]),
    )
    email = _text(ticket.get("submitter_email"))
    reader = _Reader(ticket, mapping, received, number, email, past)
    words = [reader.opening()]
    for i, entry in enumerate(past):
        words += reader.entry(entry, i == 0)
    words += reader.unrecorded()
    newest = max((entry["id"] for entry in past), default=0)
    level = ticket.get("priority") if isinstance(ticket.get("priority"), int) else None
    late = before is not None and newest < before.newest
    if before is None or (not late and level != before.level):
        words += reader.priority(payload.get("followup_id"))
    customer = (mapping.customer_of(email) if email else None) or mapping.default_customer
    seen = before if late and before is not None else Seen(newest, level)
    return Story(number, customer, tuple(w for w in words if w is not None), seen)


@dataclass
class _Reader:
    ticket: dict[str, Any]
    mapping: Connected
    received: datetime
    number: str
    email: str | None
    past: Sequence[Any]
    status: int = OPEN
    """As the follow-ups read so far left it."""
    changed: int = 0
    """The follow-up that did."""

    def opening(self) -> Delivery | None:
        """The customer's first message, at the time of the first follow-up, or of the ticket where it is told."""
        first = self.past[0] if self.past else {}
        at = self._at(self.ticket.get("created") or first.get("date"))
        said = {
            "event": "opened",
            "by": self.email,
            "priority": self._priority(),
            "channel": "email" if "mail" in str(first.get("title", "")).casefold() else "ticket",
            "subject": str(self.ticket.get("title") or ""),
            "body": str(self.ticket.get("description") or ""),
        }
        return self._word("opened", at, said)

    def entry(self, entry: Any, first: bool) -> list[Delivery | None]:
        """The words of one follow-up: who wrote, whom it was given to, what status it made."""
        at, user, title = self._at(entry.get("date")), entry.get("user"), _machine(entry, self._title)
        key, comment = f"followup:{entry['id']}", str(entry.get("comment") or "")
        customers = self._is_customer(user)
        by = self.email if customers else self._agent(user)
        automatic = _is_automatic(entry)
        words: list[Delivery | None] = []
        if user is None and title == ESCALATED:
            return words
        if not customers and (given := _ASSIGNED.fullmatch(title)):
            to = given[1]
            taken = {"event": "acknowledged", "by": to} if to == by else {"event": "assigned", "to": to, "by": by}
            words.append(self._word(f"{key}:assigned", at, taken))
        if title in (ON_HOLD, OFF_HOLD):
            if self.status not in OVER:
                event = "waiting_on_customer" if title == ON_HOLD else "reopened"
                words.append(
                    self._word(f"{key}:{'hold' if title == ON_HOLD else 'unhold'}", at, {"event": event, "by": by})
                )
        elif comment and not first:
            if customers and entry.get("public") and not automatic:
                said: dict[str, Any] = {"event": "customer_replied", "by": by, "body": comment}
                words.append(self._word(key, at, said))
            elif not customers:
                said = {"event": "agent_replied", "by": by, "public": bool(entry.get("public")), "body": comment}
                words.append(self._word(key, at, said))
        status = entry["new_status"]
        if isinstance(status, int) and not automatic:
            # While a ticket is reopened, every mail that comes in is marked as reopening it.
            if status != REOPENED or self.status != REOPENED:
                words.append(self._turn(f"{key}:status", at, status, by))
            self.status, self.changed = status, entry["id"]
        return words

    def unrecorded(self) -> list[Delivery | None]:
        """A status that no follow-up tells of (the kanban board, a merge), by the time of the newest one at the latest."""
        now = self.ticket.get("status")
        if not isinstance(now, int) or isinstance(now, bool) or (now in OVER) == (self.status in OVER) or not self.past:
            return []
        return [self._turn(f"status:{self.changed}:{now}", self._at(self.past[-1].get("date")), now, None)]

    def _turn(self, key: str, at: datetime, status: int, by: str | None) -> Delivery | None:
        said = {"event": "reopened"} if status == OPEN and self.status in OVER else _STATUS.get(status)
        return None if said is None else self._word(key, at, {**said, "by": by})

    def priority(self, followup: Any) -> list[Delivery | None]:
        """The priority as it is now, said of the follow-up that the delivery is about."""
        entry = next((e for e in self.past if isinstance(followup, int) and e.get("id") == followup), None)
        now = self._priority()
        if entry is None or now is None:
            return []
        user = entry.get("user")
        said = {"event": "priority_changed", "to": now, "by": self._agent(user) if isinstance(user, int) else None}
        return [self._word(f"followup:{followup}:priority", self._at(entry.get("date")), said)]

    @property
    def _title(self) -> str:
        return str(self.ticket.get("title") or "")

    def _is_customer(self, user: Any) -> bool:
        """Nobody logged in, a known customer, who opened the ticket by form, or, where the agents are listed, none of them."""
        known = self.mapping.agents
        return (
            user is None
            or user in self.mapping.customers
            or user == self._requester()
            or bool(known and user not in known)
        )

    def _requester(self) -> int | None:
        """The user who opened the ticket while logged in."""
        user = self.past[0].get("user") if self.past else None
        by_form = bool(self.past) and self.past[0].get("title") == BY_FORM
        return user if isinstance(user, int) and by_form and user not in self.mapping.agents else None

    def _agent(self, user: Any) -> str:
        """What an agent is called: as configured, or as the helpdesk called them when it gave them the ticket."""
        given = [match[1] for entry in self.past if (match := _ASSIGNED.fullmatch(_machine(entry, self._title)))]
        if user in self.mapping.agents:
            return self.mapping.agents[user]
        return given[-1] if given and user == self.ticket.get("assigned_to") else f"agent-{user}"

    def _priority(self) -> str | None:
        level = self.ticket.get("priority")
        return self.mapping.priorities.get(level, str(level)) if isinstance(level, int) else None

    def _at(self, told: Any) -> datetime:
        try:
            at = datetime.fromisoformat(told) if isinstance(told, str) else None
        except ValueError:
            at = None
        return self.received if at is None or at.tzinfo is None else at

    def _word(self, key: str, at: datetime, said: dict[str, Any]) -> Delivery | None:
        try:
            event: Event = INCIDENT_EVENT.validate_python(
                {name: value for name, value in said.items() if value is not None}
            )
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise Unusable(f"ticket.{key}", f"{key} of ticket {self.number} cannot be read at {where}") from None
        whole = f"{self.mapping.source}:{self.number}:{key}"
        return Delivery.model_validate({"key": whole, "occurred_at": at, "received_at": self.received, "event": event})


def _part(value: dict[str, Any], name: str, kind: type, before: str = "") -> Any:
    part = value.get(name)
    if not isinstance(part, kind) or isinstance(part, bool):
        words = {dict: "an object", list: "a list", int: "a whole number"}[kind]
        raise Unusable(f"{before}{name}", f"{before}{name} is missing or no {words.removeprefix('an ').removeprefix('a ')}; "
                       f"django-helpdesk sends {words} there")  # fmt: skip
    return part


def _whole(entry: Any) -> bool:
    """Whether a follow-up is one: it has a number."""
    return isinstance(entry, dict) and isinstance(entry.get("id"), int) and not isinstance(entry.get("id"), bool)


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    """A follow-up whose user and status, where they are no numbers, are none."""
    numbers = {name: entry.get(name) if isinstance(entry.get(name), int) else None for name in ("user", "new_status")}
    return {**entry, **numbers}


def _machine(entry: dict[str, Any], ticket: str) -> str:
    """A follow-up's title where the helpdesk wrote it; empty where it is the ticket's own, whose words mean nothing here."""
    title = str(entry.get("title") or "")
    return "" if title == ticket or title.startswith(f"{ticket} and ") else title


def _is_automatic(entry: dict[str, Any]) -> bool:
    """An out-of-office mail: it came by mail, the helpdesk told nobody of it (it tells the customer of every other), and reads so."""
    quiet = bool(entry.get("message_id")) and not entry.get("email_recipients")
    return quiet and bool(_AUTOMATIC.search(f"{str(entry.get('comment') or '')[:400]} {entry.get('title') or ''}"))


def _text(value: Any) -> str | None:
    return value.strip()[:320] or None if isinstance(value, str) else None
