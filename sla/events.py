"""What can happen to an incident: one small model an event, told by its `event` field, and the envelope in which it travels.

They come from outside: a helpdesk, an operator, a story. What the engine itself writes into the same log is in `sla.entries`.
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


INCIDENT_EVENT: TypeAdapter[Any] = TypeAdapter(Annotated[IncidentEvent, Field(discriminator="event")])
