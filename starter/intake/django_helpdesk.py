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

RESOLVED, CLOSED, DUPLICATE, REOPENED = 3, 4, 5, 2
_STATUS = {
    RESOLVED: {"event": "resolved"},
    CLOSED: {"event": "closed"},
    DUPLICATE: {"event": "closed"},
    REOPENED: {"event": "reopened"},
}
ON_HOLD, OFF_HOLD, BY_FORM = "Ticket placed on hold", "Ticket taken off hold", "Ticket Opened Via Web"
"""What the helpdesk itself calls these follow-ups; others carry the ticket's own title."""
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
class Story:
    """What one delivery tells: whose ticket it is, and all its words so far."""

    ticket: str
    customer: str
    words: tuple[Delivery, ...]


def story(payload: dict[str, Any], mapping: Connected, received: datetime) -> Story:
    """Read a delivery.

    Raises:
        Unusable: it does not look like a ticket of django-helpdesk.
    """
    ticket = _part(payload, "ticket", dict)
    number = str(_part(ticket, "id", int, "ticket."))
    told = _part(ticket, "followup_set", list, "ticket.")
    past = sorted((_entry(one) for one in told if _whole(one)), key=lambda entry: (str(entry.get("date")), entry["id"]))
    email = _text(ticket.get("submitter_email"))
    reader = _Reader(ticket, mapping, received, number, email, past)
    words = [reader.opening()]
    for i, entry in enumerate(past):
        words += reader.entry(entry, i == 0)
    words += reader.priority(payload.get("followup_id"))
    customer = (mapping.customer_of(email) if email else None) or mapping.default_customer
    return Story(number, customer, tuple(w for w in words if w is not None))


@dataclass
class _Reader:
    ticket: dict[str, Any]
    mapping: Connected
    received: datetime
    number: str
    email: str | None
    past: Sequence[Any]

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
        at, user, title = self._at(entry.get("date")), entry.get("user"), str(entry.get("title") or "")
        key, comment = f"followup:{entry['id']}", str(entry.get("comment") or "")
        customers = self._is_customer(user)
        by = self.email if customers else self._agent(user)
        words: list[Delivery | None] = []
        if not customers and title != self.ticket.get("title") and (given := _ASSIGNED.fullmatch(title)):
            words.append(self._word(f"{key}:assigned", at, {"event": "assigned", "to": given[1], "by": by}))
        if title == ON_HOLD:
            words.append(self._word(f"{key}:hold", at, {"event": "waiting_on_customer", "by": by}))
        elif title == OFF_HOLD:
            words.append(self._word(f"{key}:unhold", at, {"event": "reopened", "by": by}))
        elif comment and not first:
            if customers and entry.get("public") and not _AUTOMATIC.search(f"{comment[:400]} {title}"):
                said: dict[str, Any] = {"event": "customer_replied", "by": by, "body": comment}
                words.append(self._word(key, at, said))
            elif not customers:
                said = {"event": "agent_replied", "by": by, "public": bool(entry.get("public")), "body": comment}
                words.append(self._word(key, at, said))
        status = _STATUS.get(entry["new_status"])
        if status is not None and not (customers and _AUTOMATIC.search(f"{comment[:400]} {title}")):
            words.append(self._word(f"{key}:status", at, {**status, "by": by}))
        return words

    def priority(self, followup: Any) -> list[Delivery | None]:
        """The priority as it is now: the payload tells no changes, so it is said anew with each follow-up."""
        entry = next((e for e in self.past if isinstance(followup, int) and e.get("id") == followup), None)
        now = self._priority()
        if entry is None or now is None:
            return []
        user = entry.get("user")
        said = {"event": "priority_changed", "to": now, "by": self._agent(user) if isinstance(user, int) else None}
        return [self._word(f"followup:{followup}:priority", self._at(entry.get("date")), said)]

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
        given = [match[1] for entry in self.past if (match := _ASSIGNED.fullmatch(str(entry.get("title") or "")))]
        if user in self.mapping.agents:
            return self.mapping.agents[user]
        return given[-1] if given and user == self.ticket.get("assigned_to") else f"agent-{user}"

    def _priority(self) -> str | None:
        level = self.ticket.get("priority")
        return self.mapping.priorities.get(level) if isinstance(level, int) else None

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


def _text(value: Any) -> str | None:
    return value.strip()[:320] or None if isinstance(value, str) else None
