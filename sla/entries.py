"""The lines of a log: events from outside, and the records that the engine itself writes beside them.

A record says that a step was begun, what came of it, which standing an incident was told, which contract was pinned.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sla.account_events import AnyAccountEvent
from sla.events import Delivery, Envelope, IncidentEvent
from sla.ledger import Ledger


class Notice(BaseModel):
    """One notice as it went out: to whom, by which channel, and the clause it acts on."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    kind: str
    clock: str | None = None
    step: str | None = None
    to: tuple[str, ...] = ()
    channel: str = "log"
    clause: str | None = None
    note: str | None = None


class StepBegun(BaseModel):
    """Record: a step fell due and was begun; from here on it is not owed again."""

    model_config = ConfigDict(frozen=True)

    event: Literal["step_begun"] = "step_begun"
    step_key: str
    kind: str
    clock: str | None = None
    step: str | None = None
    priority: str | None = None
    of: str | None = None
    """What it answers: the key of the event told about, or of the step withdrawn."""


class StepDone(BaseModel):
    """Record: what came of a step."""

    model_config = ConfigDict(frozen=True)

    event: Literal["step_done"] = "step_done"
    step_key: str
    notices: tuple[Notice, ...] = ()
    assignee: str | None = None
    tried: tuple[str, ...] = ()
    held_back: bool = False
    """True when the account's ledger said that support is suspended: nothing went out."""
    shows: bool = False
    """Whether it may lie somewhere as a message that shows how the incident stands. (Histories of before have none such.)"""


class AccountEntry(Envelope):
    """One line of an account's log: an event of the customer, or a record of the engine's own."""

    event: Annotated[AnyAccountEvent | StepBegun | StepDone, Field(discriminator="event")]


class StandingTold(BaseModel):
    """Record: the ledger of the customer's account, as we were told it."""

    model_config = ConfigDict(frozen=True)

    event: Literal["standing_told"] = "standing_told"
    ledger: Ledger
    enrolled: bool = False
    """True: read on enrolling; False: the account told us."""


class Read(BaseModel):
    """Record: what reading the opening message gave (language, what is missing, whether its author may ask for support)."""

    model_config = ConfigDict(frozen=True)

    event: Literal["read"] = "read"
    language: str | None = None
    detector: str | None = None
    missing: tuple[str, ...] = ()
    authorized_contact: bool | None = None
    """None: the customer's contacts are not known here, so nobody is held."""
    contacts: tuple[str, ...] = ()
    """For a held request: those who may authorize it, in lower case."""
    writes: bool = False
    """Whether the helpdesk that the ticket is from is written to."""


class Pinned(BaseModel):
    """Record: the contract and calendar that hold from here, and what the change did to the deadlines."""

    model_config = ConfigDict(frozen=True)

    event: Literal["pinned"] = "pinned"
    contract: str
    version: str
    tzdata: str
    holidays: str
    until: str
    before: dict[str, str] = {}
    after: dict[str, str] = {}


Record = StepBegun | StepDone | StandingTold | Read | Pinned


class Entry(Envelope):
    """One line of an incident's log: an outside event, or a record of the engine's own."""

    event: Annotated[IncidentEvent | Record, Field(discriminator="event")]


def entry(delivery: Delivery) -> Entry:
    """The log's line for a delivery: all but what people wrote."""
    bare = delivery.without_text()
    return Entry(key=bare.key, occurred_at=bare.occurred_at, received_at=bare.received_at, event=bare.event)


def record(key: str, at: datetime, what: Record) -> Entry:
    """The log's line for something the engine did itself at `at`."""
    return Entry(key=key, occurred_at=at, received_at=at, event=what)
