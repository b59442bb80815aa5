"""What workflows ask of activities and get back: one model in, one model out; every field added later has a default."""

from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from sla import names
from sla.account_events import AccountDelivery
from sla.entries import Read, StepDone
from sla.evaluate import View
from sla.events import Delivery, Text
from sla.incident import Incident, IncidentState
from sla.ledger import Ledger
from sla.perform import Scene
from sla.policy import PinnedContract
from sla.steps import Step


class Message(BaseModel):
    """Frozen; unknown fields of a newer sender are ignored."""

    model_config = ConfigDict(frozen=True)


class OpenIncident(Message):
    """Make an incident ready: pin its contract and calendar, read its opening, enrol it with its account."""

    incident: str
    """The workflow's id."""
    state: IncidentState
    word: Delivery
    """The first word that reached it, with its text."""
    alone: bool = False
    """Whether no other word came with it, so that what is owed at once is known already, and may be said."""


class OpenedIncident(Message):
    """What an incident begins with."""

    pinned: PinnedContract
    ledger: Ledger
    word: Delivery
    read: Read | None = None
    carried: IncidentState | None = None
    """The closed incident that this run goes on with: the word belongs to it."""
    after: AwareDatetime | None = None
    number: int = 1
    begun: tuple[Step, ...] = ()
    """The steps that were owed at once and are carried out, such as the acknowledgement."""
    came: tuple[StepDone, ...] = ()
    """What came of them, in their order."""

    def incident(self, state: IncidentState, at: datetime) -> Incident:
        """The incident as it begins at `at`, before it hears its words. `state` tells whose it is."""
        if self.carried is not None:
            incident = Incident(self.carried.model_copy(update={"link": state.link}))
        else:
            fresh = {"log": [], "dead_letters": [], "number": self.number, "after": self.after}
            incident = Incident(state.model_copy(update=fresh))
            incident.pin(self.pinned, at)
            if self.read is not None:
                incident.was_read(self.read, at)
        incident.told_standing(self.ledger, at, enrolled=True)
        return incident


class ReadOpening(Message):
    """Read an opening message that came after other words of its ticket."""

    customer: str
    pinned: PinnedContract
    word: Delivery
    incident: str | None = None
    state: IncidentState | None = None
    line: str = ""
    """The contract line under which the incident was enrolled when its product was not known."""


class ReadLate(Read):
    """What the opening said, and where it named another line's product: that line's contract and ledger."""

    pinned: PinnedContract | None = None
    ledger: Ledger | None = None

    def taken(self, incident: Incident, at: datetime) -> None:
        """Put it into the incident's log."""
        incident.was_read(Read.model_validate(self.model_dump(exclude={"pinned", "ledger"})), at)
        if self.pinned is not None and self.ledger is not None:
            incident.pin(self.pinned, at, f"pinned:line:{self.ledger.line}")
            incident.told_standing(self.ledger, at, enrolled=True)


class Pin(Message):
    """Pin a contract anew: moved to another version, by its revised calendar, or further ahead."""

    customer: str
    contract: str | None
    playbook: str | None
    at: AwareDatetime
    extend: PinnedContract | None = None
    """Only carry this one's calendar further ahead: its content and the days already pinned stay."""


class CarryOut(Message):
    """Carry out steps: choose whom they tell, and tell them."""

    incident: str
    state_source: str
    ticket: str
    steps: tuple[Step, ...]
    scene: Scene
    priority: str
    contract: str
    contract_title: str
    offset_minutes: int = 0
    """The UTC offset of the contract's calendar now, for the times in messages."""
    asks_ledger: bool = True
    line: str = ""
    """The contract line that the incident is under."""
    phase: str = ""
    acknowledged: str | None = None
    """Who took it first."""
    acknowledged_at: AwareDatetime | None = None
    next_due: AwareDatetime | None = None

    @classmethod
    def owed(cls, workflow_id: str, incident: Incident, view: View, now: datetime) -> Self:
        """All that an incident owes by a view of it."""
        contract, state = incident.pinned.contract, incident.state
        served = contract.suspension.serves if contract.suspension is not None else ()
        may_wait, account = contract.suspends and view.priority not in served, names.account_id(state.customer)
        steps = tuple(
            step if step.bundle is None else step.model_copy(update={"bundle": f"{account}/{step.bundle}"})
            for step in view.owed
        )
        offset = incident.pinned.calendar.timetable().to_local(now).utcoffset() or timedelta()
        return cls(
            incident=workflow_id, state_source=state.source, ticket=state.ticket, steps=steps,
            scene=incident.scene(view), priority=view.priority, contract=contract.name, contract_title=contract.title,
            offset_minutes=int(offset.total_seconds() // 60),
            line=view.ledger.line, asks_ledger=may_wait and any(not step.speaks_when_suspended for step in view.owed),
            phase=view.phase, acknowledged=view.acknowledged, acknowledged_at=view.acknowledged_at, next_due=view.next_due,
        )  # fmt: skip


class CarriedOut(Message):
    """What came of steps, in their order; the account's ledger where it was asked."""

    outcomes: tuple[StepDone, ...]
    ledger: Ledger | None = None


class FollowUp(Message):
    """Hand the customer's words after the closing on to a follow-up incident."""

    incident: str
    state: IncidentState
    words: tuple[Delivery, ...]


class OpenAccount(Message):
    """Read what an account needs to know of its customer."""

    customer: str
    contract: str | None = None
    at: AwareDatetime | None = None


class Words(Message):
    """Several words of one ticket."""

    words: tuple[Delivery, ...]


class Telling(Message):
    """Tell incidents their account's ledger."""

    customer: str
    ledger: Ledger
    at: AwareDatetime
    incidents: tuple[str, ...]


class StandingWord(Message):
    """The signal by which an incident is told the ledger."""

    ledger: Ledger
    at: AwareDatetime


class TellAccount(Message):
    """Say what an account owes its customer and us, and send what its incidents have put by to be said with it."""

    customer: str
    steps: tuple[Step, ...]
    incidents: tuple[str, ...] = ()
    """The ids of (at most 50 of) the incidents that are enrolled."""
    enrolled: int = 0
    waits_for: int = 0
    """So many incidents were told just now, and are putting by their parts."""
    contract: str = ""
    contract_title: str = ""
    offset_minutes: int = 0


class AccountTold(Message):
    """What came of an account's steps, in their order."""

    outcomes: tuple[StepDone, ...]


class Decision(Message):
    """What an operator decides about a customer's support: who, why, for which line, and where it matters until when."""

    by: Text
    why: Text | None = None
    line: Text | None = None
    until: AwareDatetime | None = None
    at: AwareDatetime | None = None
    """When it was decided; left out: now."""


class Look(Message):
    """The signal that asks an account to read its customer's payments."""

    source: str
    why: str = ""


class Revise(Message):
    """The signal that tells an account that its customer's record has changed."""

    at: AwareDatetime
    looks: bool = True
    """Whether its links may have changed too, so that its payments are to be read."""


class Outstanding(Message):
    """Something that keeps a line from being current, as the account knows it."""

    line: str
    reference: str | None
    since: AwareDatetime
    terminated: bool = False


class ReadBilling(Message):
    """Read a customer's payments where they are kept."""

    customer: str
    outstanding: tuple[Outstanding, ...] = ()


class BillingRead(Message):
    """What is new to the account, as events with their own times. None: all is as the account has it."""

    words: tuple[AccountDelivery, ...] = ()


class Reconcile(Message):
    """Compare what the billing sources say with what the accounts know; `only` these customers, if any are named."""

    only: tuple[str, ...] = ()


class Reconciled(Message):
    """How many customers with a link were read, agreed with their accounts, had theirs look again, could not be read.

    `revised`: how many accounts, linked or not, read their terms again.
    """

    read: int = 0
    agreed: int = 0
    looked: int = 0
    failed: int = 0
    revised: int = 0


class Roll(Message):
    """Ids of incidents."""

    incidents: tuple[str, ...]


class ReadSource(Message):
    """One round of reading a connected helpdesk for what its webhooks missed."""

    source: str


class SourceRead(Message):
    """What came of a round: tickets read, words brought to incidents (most of them known there already), what went wrong."""

    read: int = 0
    words: int = 0
    failed: int = 0
    to: AwareDatetime | None = None
    """Up to which of the helpdesk's own moments all is read."""
    said: str = ""


class ReadTicket(Message):
    """Read one ticket by its helpdesk's API, and bring what it tells to its incident."""

    source: str
    ticket: str
