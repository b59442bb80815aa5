"""What can happen: one small model an event, told by its `event` field, and the envelope in which it travels.

Incident events come from outside (a helpdesk, an operator, a story). Records are what the engine itself writes into the
same log: that a step was begun, what came of it, which standing it was told, which contract was pinned.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=320)]


def _cut(limit: int) -> BeforeValidator:
    """A long text is cut, never refused: an incident must not be lost because its message is long."""
    return BeforeValidator(lambda value: value[:limit] if isinstance(value, str) else value)


def _primary(value: Any) -> Any:
    """`en` of `en-US` (BCP 47)."""
    return value.replace("_", "-").partition("-")[0].lower() if isinstance(value, str) else value


Channel = Literal["email", "ticket", "slack", "portal", "phone", "api"]
MAX_BODY = 20_000
Body = Annotated[str, _cut(MAX_BODY)]
Language = Annotated[str, BeforeValidator(_primary), StringConstraints(pattern=r"^[a-z]{2,3}$")]


class Event(BaseModel):
    """What every event has: who did it, where known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Text | None = None


class Opened(Event):
    """The customer's first message reached the service desk."""

    event: Literal["opened"] = "opened"
    priority: Text | None = None
    category: Text | None = None
    channel: Channel | None = None
    subject: Annotated[str, _cut(1000)] = ""
    body: Body = ""
    product: Text | None = None
    product_version: Text | None = None
    fields: dict[str, Annotated[str, _cut(2000)]] = {}
    language: Language | None = None


class CustomerReplied(Event):
    """The customer wrote again."""

    event: Literal["customer_replied"] = "customer_replied"
    body: Body = ""


class AgentReplied(Event):
    """An agent answered; an internal note is `public: false` and stops no clock."""

    event: Literal["agent_replied"] = "agent_replied"
    public: bool = True
    body: Body = ""


class Acknowledged(Event):
    """Somebody takes the ticket; the customer is told nothing, so no clock stops."""

    event: Literal["acknowledged"] = "acknowledged"
    by: Text


class PlanProvided(Event):
    """An agent gave the customer a plan for resolution (R08)."""

    event: Literal["plan_provided"] = "plan_provided"


class WaitingOnCustomer(Event):
    """An agent waits for the customer's answer (T11)."""

    event: Literal["waiting_on_customer"] = "waiting_on_customer"


class PriorityChanged(Event):
    """The priority was revised (T05, R07)."""

    event: Literal["priority_changed"] = "priority_changed"
    to: Text
    why: Text | None = None
    stands: bool = False
    """True: said by a source that can't tell a change, beside another word; news only where it said otherwise before."""


class Assigned(Event):
    """Somebody gave the ticket to somebody."""

    event: Literal["assigned"] = "assigned"
    to: Text


class Resolved(Event):
    """Relief was given: a fix, a workaround, or another relief (T10, B01)."""

    event: Literal["resolved"] = "resolved"
    kind: Literal["fix", "workaround", "other_relief"] = "fix"


class Reopened(Event):
    """What was resolved or closed is not over: the clocks that ran to the resolution go on with what was left."""

    event: Literal["reopened"] = "reopened"


class Closed(Event):
    """The ticket is over."""

    event: Literal["closed"] = "closed"


class Dispositioned(Event):
    """The ticket is not a covered incident, or its cause cannot be found."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    event: Literal["dispositioned"] = "dispositioned"
    disposition: Literal["feature_request", "out_of_scope", "excluded", "cause_not_found"] = Field(alias="as")
    ground: Text | None = None


class Restored(Event):
    """Undoes a disposition or a discarding, as if it had not been (T12, R15)."""

    event: Literal["restored"] = "restored"


class Authorized(Event):
    """A contact of the company stands for a held request (B13)."""

    event: Literal["authorized"] = "authorized"


class Declined(Event):
    """A contact of the company refuses a held request (B13)."""

    event: Literal["declined"] = "declined"


class CalendarRevised(Event):
    """On purpose: count this incident by the calendar as it now stands in the contract's file."""

    event: Literal["calendar_revised"] = "calendar_revised"


class PolicyMoved(Event):
    """On purpose: put this incident under another contract, or another version of its own (X05)."""

    event: Literal["policy_moved"] = "policy_moved"
    to: Text


class Doubted(Event):
    """Something of the ticket that nobody here knows, such as whose it is or what its status means: somebody must look."""

    event: Literal["doubted"] = "doubted"
    what: Text


class Settled(Event):
    """Somebody has looked at what was doubted so far."""

    event: Literal["settled"] = "settled"


IncidentEvent = (
    Opened
    | CustomerReplied
    | AgentReplied
    | Acknowledged
    | PlanProvided
    | WaitingOnCustomer
    | PriorityChanged
    | Assigned
    | Resolved
    | Reopened
    | Closed
    | Dispositioned
    | Restored
    | Authorized
    | Declined
    | CalendarRevised
    | PolicyMoved
    | Doubted
    | Settled
)
INCIDENT_EVENTS: tuple[type[Event], ...] = IncidentEvent.__args__
"""In the order in which events of one and the same instant are taken."""
EVENT_NAMES: tuple[str, ...] = tuple(kind.model_fields["event"].default for kind in INCIDENT_EVENTS)
RANK: dict[str, int] = {name: rank for rank, name in enumerate(EVENT_NAMES)}


class AccountEvent(Event):
    """What an event of a customer has: which contract line it is about; left out: every line that is not prepaid."""

    line: Text | None = None


class PaymentLapsed(AccountEvent):
    """The customer is no longer current with its payments (R12, X03)."""

    event: Literal["payment_lapsed"] = "payment_lapsed"
    reference: Text | None = None
    """What is unpaid, as the billing system names it: an invoice, a subscription."""


class PaymentCurrent(AccountEvent):
    """The customer has paid what was owed. With the reference of a lapse it settles that lapse alone, else every one."""

    event: Literal["payment_current"] = "payment_current"
    reference: Text | None = None


class SuspensionApproved(AccountEvent):
    """Somebody who may says that support is to be suspended while this lapse lasts (contracts that want an approval)."""

    event: Literal["suspension_approved"] = "suspension_approved"
    why: Text | None = None


class SuspensionDeclined(AccountEvent):
    """Somebody who may says that support goes on in spite of this lapse."""

    event: Literal["suspension_declined"] = "suspension_declined"
    why: Text | None = None


class ExceptionGranted(AccountEvent):
    """Support is given in spite of a suspension, until a moment: on whose word, and why ("break glass")."""

    event: Literal["exception_granted"] = "exception_granted"
    by: Text
    why: Text
    until: AwareDatetime


class ExceptionEnded(AccountEvent):
    """An exception ends before its time."""

    event: Literal["exception_ended"] = "exception_ended"
    why: Text | None = None


class ContractTerminated(AccountEvent):
    """The contract has ended: no support is due until the customer is current again."""

    event: Literal["contract_terminated"] = "contract_terminated"
    reference: Text | None = None
    why: Text | None = None


AnyAccountEvent = (
    PaymentLapsed
    | ContractTerminated
    | PaymentCurrent
    | SuspensionApproved
    | SuspensionDeclined
    | ExceptionGranted
    | ExceptionEnded
)
ACCOUNT_EVENTS: tuple[type[AccountEvent], ...] = AnyAccountEvent.__args__
"""In the order in which events of one and the same instant are taken: a payment after a lapse, in the customer's favour."""
ACCOUNT_EVENT_NAMES: tuple[str, ...] = tuple(kind.model_fields["event"].default for kind in ACCOUNT_EVENTS)


class Envelope(BaseModel):
    """When it happened, when we heard, and the key by which a second delivery of the same is known."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    occurred_at: AwareDatetime
    received_at: AwareDatetime

    @property
    def happened(self) -> datetime:
        """The moment that counts: `occurred_at`, but never after we heard (a sender's clock may be ahead)."""
        return min(self.occurred_at, self.received_at)


class Delivery(Envelope):
    """One incident event on its way to its incident."""

    event: Annotated[IncidentEvent, Field(discriminator="event")]

    def without_text(self) -> Self:
        """The same, without what people wrote: so it is kept in the log."""
        empty: dict[str, Any] = {"body": "", "subject": "", "fields": {}}
        blank = {name: value for name, value in empty.items() if getattr(self.event, name, None)}
        return self.model_copy(update={"event": self.event.model_copy(update=blank)}) if blank else self


class AccountDelivery(Envelope):
    """One event of a customer on its way to its account."""

    event: Annotated[AnyAccountEvent, Field(discriminator="event")]


class Interval(BaseModel):
    """A stretch of time `[start, end)`; `end` is None while it lasts."""

    model_config = ConfigDict(frozen=True)

    start: AwareDatetime
    end: AwareDatetime | None = None

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.end is not None and self.end < self.start:
            raise ValueError(
                f"the interval ends at {self.end.isoformat()}, before it starts at {self.start.isoformat()}"
            )
        return self


class Granted(Interval):
    """A stretch in which support is given in spite of a suspension: on whose word, and why."""

    by: str
    why: str


class Ledger(BaseModel):
    """The standing of one contract line as its account knows it; a higher `version` knows better.

    Stretches may lie ahead: a suspension that begins when the grace is over, or again when an exception ends.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 0
    line: str = ""
    standing: Literal["current", "lapsed", "suspended", "terminated"] = "current"
    """How it comes to stand if nothing more is heard; `standing_at` tells how it stands at a moment."""
    since: AwareDatetime | None = None
    """When it was last paid, or lapsed, or the contract ended."""
    why: str = ""
    """What is outstanding, for people."""
    suspended: tuple[Interval, ...] = ()
    exceptions: tuple[Granted, ...] = ()

    def stretch(self, at: datetime) -> Interval | None:
        """The stretch of suspension in which `at` lies."""
        return next((s for s in self.suspended if s.start <= at and (s.end is None or at < s.end)), None)

    def standing_at(self, at: datetime) -> str:
        """`current`, `lapsed` (unpaid, yet support is given), `suspended` or `terminated`."""
        if self.stretch(at) is not None:
            return "terminated" if self.standing == "terminated" else "suspended"
        ahead = self.since is not None and at < self.since
        return "current" if self.standing == "current" or ahead else "lapsed"

    def exception(self, at: datetime) -> Granted | None:
        """The exception in force at `at`."""
        return next((one for one in self.exceptions if one.start <= at and (one.end is None or at < one.end)), None)

    def since_at(self, at: datetime) -> datetime | None:
        """Since when it stands as it does at `at`."""
        stretch = self.stretch(at)
        return self.since if stretch is None else stretch.start


class AccountLedger(Ledger):
    """The ledger of a whole customer: its first contract line's, and beside it those of its other lines."""

    lines: dict[str, Ledger] = {}
    terms: str = ""
    """The fingerprint of the terms that the account goes by, and the contract that was asked for, if one was."""
    asked: str | None = None

    def of(self, line: str | None) -> Ledger:
        """The ledger of a line; of one that is not known, the first line's."""
        return self.lines.get(line or "", self)


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


INCIDENT_EVENT: TypeAdapter[Any] = TypeAdapter(Annotated[IncidentEvent, Field(discriminator="event")])
ACCOUNT_EVENT: TypeAdapter[Any] = TypeAdapter(Annotated[AnyAccountEvent, Field(discriminator="event")])
