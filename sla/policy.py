"""A support contract as its author writes it: priorities, clocks, dispositions, suspension, and the clause of each.

A contract is data. What the engine does with it is `evaluate`; what is wrong with it is said here, in one sentence each.
"""

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from sla.calendar import BusinessCalendar
from sla.duration import Duration, Unit
from sla.events import Channel
from sla.playbook import Playbook
from sla.timetable import PinnedCalendar

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Clause = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]*[0-9]{2}$", max_length=12)]
Commitment = Literal["guarantee", "target", "estimate"]
StartsOn = Literal["opened", "customer_replied", "priority_changed"]
StopsOn = Literal["agent_replied", "plan_provided", "resolved", "closed", "reclassification_told"]
PausesWhile = Literal["waiting_on_customer"]
DispositionName = Literal["feature_request", "out_of_scope", "excluded", "cause_not_found"]


class Terms(BaseModel):
    """A part of a contract: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(Terms):
    """A part that acts on a clause; `reading` says why we read the clause so, where it leaves room."""

    clause: Clause
    reading: str | None = None


class SupportHours(BusinessCalendar):
    """The hours of support, beside the clause that promises them."""

    clause: Clause
    reading: str | None = None


class PriorityTerms(Terms):
    """One priority: its name and the guideline shown at triage, most urgent first in the contract."""

    title: str
    guideline: str


class ClockTerms(Part):
    """One promise about time: what starts, stops and pauses its clock, and the target by priority."""

    title: str
    commitment: Commitment
    starts: StartsOn = "opened"
    stops: tuple[StopsOn, ...]
    restarts: tuple[Literal["reopened"], ...] = ()
    pauses: tuple[PausesWhile, ...] = ()
    repeats: bool = False
    """True: after it stopped, the next starting event starts it anew (`name#2`, `name#3`, …)."""
    targets: dict[str, Duration]


class DispositionTerms(Part):
    """What it means that a ticket is no covered incident, or that its cause cannot be found."""

    voids: bool = True
    """True: no clock runs, and none is met or missed. False: the clocks go on."""
    tells: tuple[str, ...] = ("customer",)
    """The audience: `customer`, `assignee`, or a role of the team such as `product_feedback`."""
    asks_information: bool = False
    grounds: dict[Name, str] = {}


class Reminder(Terms):
    """A further asking for an approval that nobody has answered."""

    after: Duration
    """Counted from the first asking."""
    asks: tuple[str, ...] = ("on_duty",)


class SuspensionTerms(Part):
    """What a lapse of payment does to support."""

    mode: Literal["automatic", "approval", "none"] = "automatic"
    """`automatic`: support is suspended; `approval`: when somebody who may has said so; `none`: it goes on."""
    grace: Duration | None = None
    """How long a payment may be outstanding before support is suspended; left out: not at all."""
    serves: tuple[Name, ...] = ()
    """The safety valve: priorities that are served even so."""
    asks: tuple[str, ...] = ("on_duty",)
    """Who is asked for the approval: `on_duty`, or roles of the team."""
    unanswered: tuple[Reminder, ...] = (Reminder(after=Duration(1, Unit.BUSINESS_DAY)),)


class LanguageTerms(Part):
    """The languages in which a request is served; one in another language is discarded without a word to the customer."""

    accepted: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")], ...]


class AcknowledgementTerms(Part):
    """The automatic acknowledgement; it stops no clock."""

    knowledge_base: str | None = None


class ChecklistItem(Terms):
    """One thing the customer supplies; `fields` are the ticket fields that fill it."""

    asks: str
    fields: tuple[str, ...]


class ChecklistTerms(Part):
    """What the customer supplies with a request."""

    items: dict[Name, ChecklistItem]


class ReclassificationTerms(Part):
    """A revised priority is told to the customer."""


class ContactTerms(Part):
    """Who may ask for support."""

    only_authorized: bool = False
    """True: a stranger's request is held until a contact of the company stands for it."""
    at_most: int | None = Field(default=None, ge=1)
    """How many contacts a company may name; left out: any number."""
    at_most_clause: Clause | None = None
    roles: tuple[Name, ...] = ()
    """The roles that a company fills; one person may hold several."""
    roles_clause: Clause | None = None


class ScopeTerms(Part):
    """The categories that the contract covers."""

    categories: dict[Name, str]


class ProductTerms(Terms):
    """A product and the versions of it that are supported (shell patterns such as `7.*`); none listed: all."""

    supported: tuple[str, ...] = ()


class Contract(Terms):
    """A company's support contract."""

    name: Name
    title: str
    edition: str
    """Which text of the contract this is, as people name it."""
    hours: SupportHours
    priorities: dict[Name, PriorityTerms]
    default_priority: Name
    priority_clause: Clause
    clocks: dict[Name, ClockTerms]
    playbook: Name = "default"
    channels: Annotated[dict[Channel, Clause], Field(default_factory=dict)]
    scope: ScopeTerms | None = None
    dispositions: dict[DispositionName, DispositionTerms] = {}
    suspension: SuspensionTerms | None = None
    language: LanguageTerms | None = None
    acknowledgement: AcknowledgementTerms | None = None
    checklist: ChecklistTerms | None = None
    reclassification: ReclassificationTerms | None = None
    contacts: ContactTerms | None = None
    products: dict[str, ProductTerms] = {}
    resolutions: Part | None = None
    horizon_days: int = Field(default=400, ge=30, le=3660)
    """How far ahead the calendar is pinned when an incident opens."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.priorities:
            raise ValueError("priorities is empty; a contract needs at least one")
        if not self.clocks:
            raise ValueError("clocks is empty; a contract promises at least one")
        known = ", ".join(self.priorities)
        if self.default_priority not in self.priorities:
            raise ValueError(f"default_priority is {self.default_priority!r}; write one of: {known}")
        for name, clock in self.clocks.items():
            for priority in clock.targets:
                if priority not in self.priorities:
                    raise ValueError(f"clocks.{name}.targets names {priority!r}; write one of: {known}")
            if not clock.targets:
                raise ValueError(f"clocks.{name}.targets is empty; give a target for at least one of: {known}")
            if not clock.stops:
                raise ValueError(f"clocks.{name}.stops is empty; name at least one event that stops the clock")
        for priority in self.suspension.serves if self.suspension else ():
            if priority not in self.priorities:
                raise ValueError(f"suspension.serves names {priority!r}; write one of: {known}")
        return self

    @property
    def most_urgent(self) -> str:
        """The strictest priority, which an unknown one is taken for."""
        return next(iter(self.priorities))

    @property
    def version(self) -> str:
        """Twelve hex digits of a hash of the content: two contracts of one version say the same."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def suspends(self) -> bool:
        """Whether a lapse of payment may suspend support."""
        return self.suspension is not None and self.suspension.mode != "none"


class PinnedContract(BaseModel):
    """What an incident counts on, wholly as data: the contract, its version, and its calendar over a fixed stretch of days."""

    model_config = ConfigDict(frozen=True)

    contract: Contract
    version: str
    calendar: PinnedCalendar
    playbook: Playbook
