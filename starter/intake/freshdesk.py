"""Freshdesk: the bodies that automation rules send (ours, and the wrapped one of their *Simple* content), and its API's tickets.

A rule's body is filled by a template, tells no time and has no id, and Freshdesk signs nothing: it carries a secret in a header.
So where there is an API a delivery is a nudge to look, and the ticket's own times count. Freshdesk keeps no history that can be
read: of each status its API tells the last time alone, of a priority and an agent none.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sla import intake, signing
from sla.automatic import automatic
from sla.events import Delivery
from sla.intake import Adapter, Read, Told, Unusable, part, text_of
from sla.markup import unmarked
from sla.source import Source, State

STATUSES: Final = {
    "2": "open",
    "3": "pending",
    "4": "resolved",
    "5": "closed",
    "6": "waiting on customer",
    "7": "waiting on third party",
}
STATES: Final[Mapping[str, State]] = {
    "open": "open", "being processed": "open", "pending": "waiting", "awaiting your reply": "waiting", "resolved": "resolved",
    "closed": "closed", "waiting on customer": "waiting", "waiting on third party": "open",
}  # fmt: skip
LEVELS: Final = {"1": "low", "2": "medium", "3": "high", "4": "urgent"}
PRIORITIES: Final = {"urgent": "P1", "high": "P2", "medium": "P3", "low": "P4"}
CHANNELS: Final = {"1": "email", "email": "email", "2": "portal", "portal": "portal", "3": "phone", "phone": "phone"}
MOMENTS: Final = {"3": "pending_since", "4": "resolved_at", "5": "closed_at"}
"""The statuses of which the API tells since when they last were."""
SURVEY, FORWARDED = 6, 8
NAMES: Final = {
    "requester_email": ("ticket_requester_email", "ticket_contact_email"),
    "requester_name": ("ticket_requester_name", "ticket_contact_name"),
    "company": ("ticket_company_name", "ticket_requester_company_name"),
    "group": ("ticket_group_name",),
    "comment": ("ticket_latest_public_comment",),
}
"""How the *Simple* content calls what our own bodies name; anything else is called so with `ticket_` before it."""
_CHANGE: Final = re.compile(r"(\w+):\s*\{\s*from:\s*([^,{}]*),\s*to:\s*([^,{}]*)\}")
_ADDRESS: Final = re.compile(r"<([^<>@\s]+@[^<>\s]+)>\s*$")
_TIME: Final = re.compile(r"\d:\d\d")
_WROTE: Final = re.compile(r"reply_sent|note_type\W{1,9}public")
"""How a rule tells that somebody wrote. With any other change the template fills in the latest public comment as well, an old one."""


def read(body: Any, source: Source, received: datetime) -> Read:
    """What a rule sent."""
    common = part(body, "freshdesk_webhook")
    data = common if isinstance(common, Mapping) else body
    if not isinstance(data, Mapping) or (data is body and text_of(data.get("pactkeeper")) != "freshdesk"):
        raise Unusable("it is none of the bodies that our rules send; see docs/sources/freshdesk.md", "pactkeeper")
    told = _Ticket(data.get("ticket_id"), "ticket_id", source, received)
    happened = text_of(data.get("triggered_event"), 2000) or text_of(data.get("event"), 200) or ""
    kind = happened.strip("{} ")[:200]
    email, company = _address(_field(data, "requester_email")), _field(data, "company")
    if not source.counts(_field(data, "group"), _field(data, "source")):
        return Read(ignored="the ticket is in none of the groups that count", kind=kind)
    # The same change can come again: it is told apart by when the ticket was updated, which a repeated delivery has unchanged.
    # A body without that is told apart by the hour; a repetition is mostly within it.
    whole, stamped = _digest(json.dumps(data, sort_keys=True, default=str)), _stamp(data)
    mark = whole if stamped else f"{whole}:{received.astimezone(UTC):%Y%m%dT%H}"
    changes = {name: (before.strip(), to.strip()) for name, before, to in _CHANGE.findall(happened)}
    if (change := changes.get("priority")) and change[1] and (email or not source.url):
        told.says(f"priority:{change[1]}:{mark}", None, event="priority_changed", to=told.priority(change[1]))
    if source.url:
        return Read((told.told(email, company, look=True),), kind=kind)
    created = text_of(data.get("event")) == "created" or "ticket_action:created" in happened
    _blind(told, data, email, created, changes.get("status"), mark)
    return Read((told.told(email, company),), kind=kind)


def _blind(
    told: "_Ticket", data: Mapping[str, Any], email: str | None, created: bool, turn: tuple[str, str] | None, mark: str
) -> None:
    """The words of a body alone, where there is no API: at the time at which it came."""

    told.says(
        "opened", None, event="opened", by=email, subject=_plain(_field(data, "subject", 1000)),
        body=_plain(_field(data, "description", 40_000)),
        priority=told.priority(_field(data, "priority")), channel=CHANNELS.get((_field(data, "source") or "").casefold(), "ticket"),
    )  # fmt: skip
    happened, event = text_of(data.get("triggered_event"), 2000) or "", text_of(data.get("event"))
    silent = not happened and event is None
    wrote = silent or (bool(_WROTE.search(happened)) if happened else event == "replied")
    comment, name = _field(data, "comment", 40_000) if wrote and not created else None, _field(data, "requester_name")
    if comment and name:
        # Freshdesk writes the author's name before the text.
        author, _, text = comment.partition(" : ") if " : " in comment[:200] else ("", "", comment)
        customers = author.strip() == name
        said = {"event": "customer_replied", "by": email} if customers else {"event": "agent_replied", "public": True}
        plain = _plain(text)
        if not (customers and automatic(plain)):
            # Where a body does not say what happened, any change may carry an old comment along: its words count once.
            when = "" if silent else _stamp(data) or f"{told.received.astimezone(UTC):%Y%m%d}"
            told.says(f"comment:{_digest(f'{when} {comment}')}", None, **said, body=plain)
    if turn is not None:
        told.turns(turn[1], told.state(turn[0]), None, f"status:{turn[1]}:{mark}")


def story(ticket: dict[str, Any], source: Source, received: datetime) -> Told | None:
    """A ticket with its `conversations`, as the API gives them: all its words, so far as they can be known."""
    now = ticket.get("ticket")
    told = _Ticket(part(now, "id"), "ticket.id", source, received)
    where = [text_of(part(now, name)) for name in ("group_id", "product_id", "source", "email_config_id")]
    if not source.counts(*where):
        return None
    email, born, changed = text_of(part(now, "requester", "email")), part(now, "created_at"), part(now, "updated_at")
    level, agent = told.priority(text_of(part(now, "priority"), 200)), text_of(part(now, "responder_id"))
    text = text_of(part(now, "description_text"), 20_000) or _plain(text_of(part(now, "description"), 40_000))
    told.says(
        "opened", born, event="opened", by=email, subject=text_of(part(now, "subject"), 1000), body=text, priority=level,
        channel=CHANNELS.get(text_of(part(now, "source")) or "", "ticket"), product=_product(now, source),
    )  # fmt: skip
    for one in ticket["conversations"] if isinstance(ticket.get("conversations"), list) else []:
        told.conversation(one, text_of(part(now, "requester_id")), email)
    # A key without a time: told once, so that the next reading does not undo what somebody decided here meanwhile.
    if level and intake.in_key(changed) != intake.in_key(born):
        told.says(f"priority:{text_of(part(now, 'priority'))}", changed, event="priority_changed", to=level)
    if agent:
        told.says(f"assigned:{agent}", changed, event="assigned", to=source.agent(agent))
    told.statuses(now)
    if part(now, "deleted") is True or part(now, "spam") is True:
        told.says(f"deleted:{intake.in_key(changed)}", changed, event="closed")
    names = [text_of(part(now, "company_id")), text_of(part(now, "company", "name"))]
    known = {one.casefold() for one in source.organisations}
    return told.told(email, next((one for one in names if one and one.casefold() in known), names[0] or names[1]))


class _Ticket:
    """A ticket, and the words found for it so far."""

    def __init__(self, id: Any, path: str, source: Source, received: datetime) -> None:
        self.id, self.source, self.received = text_of(id, 201) or "", source, received
        if not 0 < len(self.id) <= 200:
            raise Unusable(f"{path} is missing, or no id of a ticket", path)
        self.words: list[Delivery] = []
        self.doubts: list[str] = []

    def told(self, requester: str | None, company: str | None, look: bool = False) -> Told:
        """All of it."""
        return Told(self.id, tuple(self.words), requester, company, doubts=tuple(self.doubts), look=look)

    def says(self, what: str, at: Any, **said: Any) -> None:
        """A word under its key."""
        key = f"{self.source.name}:{self.id}:{what}"
        self.words.append(intake.word(key, intake.moment(at, self.received), self.received, **said))

    def priority(self, told: str | None) -> str | None:
        """Our name of a priority, told by its code or its name."""
        names = _aliases(told, LEVELS) if told else []
        given = {name.casefold() for name in self.source.priorities}
        named = next((name for name in names if name in given), next(iter(names), None))
        return self.source.priority(named, PRIORITIES)

    def state(self, told: str) -> State | None:
        """What a status means, told by its code or its name."""
        names = _aliases(told, STATUSES)
        own = next((state for name in names if (state := self.source.state(name, {}))), None)
        return own or self.source.state(names[0], STATES)

    def turns(self, status: str, before: State | None, at: Any, key: str) -> None:
        """The word of a status, if it makes one."""
        state = self.state(status)
        if state is None:
            self.doubts.append(
                f"the status {status!r} is not known here; name it under statuses in the file of {self.source.name}"
            )
        elif event := intake.turned(state, before):
            self.says(key, at, event=event)

    def statuses(self, ticket: Any) -> None:
        """What the ticket's statistics tell of its statuses, and its status now."""
        now, stats = text_of(part(ticket, "status"), 200), part(ticket, "stats")
        past = {code: at for code, name in MOMENTS.items() if intake.second(at := part(stats, name))}
        for code, at in past.items():
            self.turns(code, None, at, f"status:{code}:{intake.in_key(at)}")
        again, since = part(stats, "reopened_at"), part(stats, "status_updated_at") or part(ticket, "updated_at")
        if intake.second(again):
            self.says(f"reopened:{intake.in_key(again)}", again, event="reopened")
        if now is None or now in past:
            return
        left = [code for code, at in past.items() if intake.in_key(at) < intake.in_key(since)]
        before: State | None = "waiting" if left and intake.in_key(again) != intake.in_key(since) else None
        self.turns(now, before, since, f"status:{now}:{intake.in_key(since)}")

    def conversation(self, one: Any, requester: str | None, email: str | None) -> None:
        """The word of a reply or a note, if it has one."""
        source, who, from_ = self.source, text_of(part(one, "user_id")), _address(text_of(part(one, "from_email")))
        text = text_of(part(one, "body_text"), 20_000) or _plain(text_of(part(one, "body"), 40_000))
        id, private = text_of(part(one, "id")), part(one, "private") is True
        incoming = part(one, "incoming") is True
        customers = incoming or source.is_customer(who, from_)
        machine = part(one, "auto_response") is True or (part(one, "automation_id") and not incoming)
        if id is None or machine or part(one, "source") == SURVEY or intake.marked(text, public=not private):
            return
        if (source.is_ours(who, from_) and private) or (customers and (private or automatic(text))):
            return
        said: dict[str, Any] = {"event": "customer_replied", "by": email if who in (None, requester) else from_}
        if not customers:
            public = not private and part(one, "source") != FORWARDED
            said = {"event": "agent_replied", "public": public, "by": source.agent(who)}
        self.says(f"comment:{id}", part(one, "created_at"), **said, body=text)


def _field(data: Mapping[str, Any], name: str, limit: int = 320) -> str | None:
    """A field of a rule's body, by any of its names."""
    names = (name, *NAMES.get(name, (f"ticket_{name}",)))
    return next((told for one in names if (told := text_of(data.get(one), limit))), None)


def _address(told: str | None) -> str | None:
    """The address of `Bo <bo@acme.example>`; else what is told."""
    found = _ADDRESS.search(told or "")
    return found[1] if found else told


def _product(ticket: Any, source: Source) -> str | None:
    name = source.product_field or "type"
    return source.product(text_of(part(ticket, "custom_fields", name), 200) or text_of(part(ticket, name), 200))


def _aliases(told: str, names: Mapping[str, str]) -> list[str]:
    """Its name and its code, as far as they are known, the name first."""
    pair = next(
        ((name, code) for code, name in names.items() if told.strip().casefold() in (code, name.casefold())), None
    )
    return list(pair) if pair else [told.strip()]


def _stamp(data: Mapping[str, Any]) -> str | None:
    """When the ticket was updated, as the rule's template writes it; None where that tells no time of day."""
    told = text_of(data.get("updated_at"), 100)
    return told if told and _TIME.search(told) else None


def _plain(text: str | None) -> str | None:
    """HTML as text."""
    return unmarked(text).strip() if text else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


ADAPTER = Adapter("freshdesk", "Freshdesk", read, signing.bearer, signing.nudge_id, story)
