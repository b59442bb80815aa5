"""A story file's model, and the script that a player plays: what happens, in the order in which we hear of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sla.account_events import ACCOUNT_EVENT, ACCOUNT_EVENT_NAMES, ACCOUNT_EVENTS, AccountDelivery
from sla.customer import DEFAULT_CUSTOMER, Customer
from sla.events import EVENT_NAMES, INCIDENT_EVENT, INCIDENT_EVENTS, Delivery
from sla.policy import Contract
from sla.timetable import Timetable

ENVELOPE = ("at", "received", "ticket", "customer", "event")


class StoryError(ValueError):
    """A story that cannot be played: what, and where in the file (`path` as keys and list indices)."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


class Story(BaseModel):
    """A story as its author writes it; times are text, read in the contract's calendar."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    contract: str
    playbook: str | None = None
    team: str = "default"
    customers: tuple[Customer, ...] = (DEFAULT_CUSTOMER,)
    happens: tuple[dict[str, Any], ...]
    until: str | None = None
    expect: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the script: a word for a ticket, or for a customer's account."""

    customer: str
    ticket: str | None
    word: Delivery | AccountDelivery

    @property
    def received(self) -> datetime:
        return self.word.received_at


@dataclass(frozen=True, slots=True)
class Script:
    """A story made ready: its lines in the order in which we hear of them."""

    story: Story
    lines: tuple[Line, ...]
    until: datetime | None

    @property
    def customers(self) -> Mapping[str, Customer]:
        return {customer.id: customer for customer in self.story.customers}


def days(story: Story) -> tuple[date, date]:
    """The first and last local date that the story names, for pinning its calendar."""
    named = [
        _date(str(entry.get(key)), ("happens", i, key))
        for i, entry in enumerate(story.happens)
        for key in ("at", "received")
        if key in entry
    ]
    if not named:
        raise StoryError("happens is empty; a story needs at least one thing that happens", ("happens",))
    if story.until is not None:
        named.append(_date(story.until, ("until",)))
    return min(named), max(named)


def script(story: Story, contract: Contract, table: Timetable) -> Script:
    """Read the story's lines; every error is one sentence with its place in the file."""
    customers = {customer.id: customer for customer in story.customers}
    if not customers:
        raise StoryError("customers is empty; leave it out for the one default customer, acme", ("customers",))
    owners: dict[str, str] = {}
    for i, raw in enumerate(story.happens):
        if "ticket" in raw and ("customer" in raw or "by" in raw):
            owners.setdefault(str(raw["ticket"]), _owner(raw, customers, ("happens", i)))
    lines = [_line(raw, i, contract, table, customers, owners) for i, raw in enumerate(story.happens)]
    first = min(line.word.occurred_at for line in lines)
    until = None
    if story.until is not None:
        until = when(story.until, table, ("until",))
        if until < first:
            raise StoryError(
                f"until is {story.until}, before the story's first event at {table.to_local(first).isoformat()}",
                ("until",),
            )
    order = sorted(range(len(lines)), key=lambda i: (lines[i].received, i))
    return Script(story, tuple(lines[i] for i in order), until)


def when(text: str, table: Timetable, path: tuple[str | int, ...]) -> datetime:
    """A time of the story: local to the contract's calendar, unless it carries an offset or Z."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise StoryError(
            f"{_dotted(path)} is {text!r}; write a time such as 2031-07-11 16:00, or with an offset or Z", path
        ) from None
    return table.from_local(at) if at.tzinfo is None else at.astimezone(UTC)


def _line(
    raw: dict[str, Any],
    i: int,
    contract: Contract,
    table: Timetable,
    customers: Mapping[str, Customer],
    owners: Mapping[str, str],
) -> Line:
    path: tuple[str | int, ...] = ("happens", i)
    if "at" not in raw:
        raise StoryError(f"{_dotted(path)} has no `at`; say when it happens", path)
    at = when(str(raw["at"]), table, (*path, "at"))
    received = when(str(raw["received"]), table, (*path, "received")) if "received" in raw else at
    if received < at:
        raise StoryError(
            f"{_dotted(path)}.received is {raw['received']}, before it happens at {raw['at']}", (*path, "received")
        )
    name = raw.get("event")
    body = {key: value for key, value in raw.items() if key not in ENVELOPE}
    key = hashlib.sha256(
        json.dumps(
            [raw.get("ticket"), raw.get("customer"), at.isoformat(), name, body], sort_keys=True, default=str
        ).encode()
    )
    envelope: dict[str, Any] = {"key": f"story:{key.hexdigest()[:16]}", "occurred_at": at, "received_at": received}
    if "ticket" in raw:
        ticket = str(raw["ticket"])
        _known(name, EVENT_NAMES, "of a ticket", path)
        event = _event(INCIDENT_EVENT, name, body, path)
        for where in ("priority", "to"):
            asked = getattr(event, where, None) if event.event in ("opened", "priority_changed") else None
            if asked is not None and asked not in contract.priorities:
                allowed = ", ".join(contract.priorities)
                raise StoryError(
                    f"{_dotted(path)}.{where} is {asked!r}; {contract.name} knows {allowed}", (*path, where)
                )
        customer = owners.get(ticket) or _owner(raw, customers, path)
        return Line(customer, ticket, Delivery(**envelope, event=event))
    if "customer" in raw:
        _known(name, ACCOUNT_EVENT_NAMES, "of a customer", path)
        customer = _owner(raw, customers, path)
        return Line(customer, None, AccountDelivery(**envelope, event=_event(ACCOUNT_EVENT, name, body, path)))
    raise StoryError(f"{_dotted(path)} names neither a ticket nor a customer; say whose event it is", path)


def _known(name: object, allowed: tuple[str, ...], whose: str, path: tuple[str | int, ...]) -> None:
    if name not in allowed:
        raise StoryError(
            f"{_dotted(path)}.event is {name!r}; an event {whose} is one of: {', '.join(allowed)}", (*path, "event")
        )


def _event(adapter: Any, name: object, body: dict[str, Any], path: tuple[str | int, ...]) -> Any:
    try:
        return adapter.validate_python({"event": name, **body})
    except ValidationError as error:
        first = error.errors()[0]
        where = tuple(p for p in first["loc"] if p != name)
        if first["type"] == "extra_forbidden":
            kind = next(k for k in adapter.core_schema and _kinds(adapter) if k.model_fields["event"].default == name)
            allowed = ", ".join(sorted((f.alias or n) for n, f in kind.model_fields.items() if n != "event"))
            message = f"{_dotted((*path, *where))} is no field of {name}; allowed: {allowed or 'none'}"
        elif first["type"] == "missing":
            message = f"{_dotted(path)} ({name}) has no `{_dotted(where)}`; add it"
        else:
            message = f"{_dotted((*path, *where))} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"
        raise StoryError(message, (*path, *where)) from None


def _kinds(adapter: Any) -> tuple[Any, ...]:
    return INCIDENT_EVENTS if adapter is INCIDENT_EVENT else ACCOUNT_EVENTS


def _owner(raw: Mapping[str, Any], customers: Mapping[str, Customer], path: tuple[str | int, ...]) -> str:
    named = raw.get("customer")
    if named is not None:
        if str(named) not in customers:
            raise StoryError(
                f"{_dotted(path)}.customer is {named!r}; the story's customers are: {', '.join(customers)}",
                (*path, "customer"),
            )
        return str(named)
    by = raw.get("by")
    return next((c.id for c in customers.values() if isinstance(by, str) and c.contact(by)), next(iter(customers)))


def _date(text: str, path: tuple[str | int, ...]) -> date:
    try:
        return datetime.fromisoformat(text.strip()).date()
    except ValueError:
        raise StoryError(
            f"{_dotted(path)} is {text!r}; write a time such as 2031-07-11 16:00, or with an offset or Z", path
        ) from None


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in path)
