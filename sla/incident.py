"""One incident: its log, and the few ways in which the log grows. The workflow and the player of stories both drive it."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from sla.entries import Entry, Pinned, Read, StandingTold, StepDone, entry, record
from sla.evaluate import View, evaluate
from sla.events import Delivery, Opened
from sla.ledger import Ledger
from sla.perform import Scene, begun
from sla.policy import PinnedContract
from sla.steps import Step

MAX_DEAD_LETTERS = 200


class DeadLetter(BaseModel):
    """A word that could not be taken, and why; it is kept and shown, never dropped."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    name: str
    why: str
    what: str
    """The word as it came, capped."""


class IncidentState(BaseModel):
    """All that an incident is: carried whole over continue-as-new, and given back when it ends."""

    source: str
    ticket: str
    customer: str
    contract: str | None = None
    playbook: str | None = None
    link: int = 1
    """Which run of the ticket it is, as its workflow's id counts them."""
    number: int = 1
    """Which incident of the ticket it is: 1, and one more for each follow-up. A run that goes on with a closed one keeps its number."""
    after: AwareDatetime | None = None
    """When the incident that this one follows up was closed; what happened earlier belongs to that one."""
    pinned: PinnedContract | None = None
    log: list[Entry] = []
    words: list[Delivery] = []
    """What it is started with, to be heard first; none is left once it runs."""
    handed_on: list[str] = []
    """Keys of words that opened a follow-up."""
    dead_letters: list[DeadLetter] = []


class Incident:
    """The pure heart of an incident: what it hears, what it comes to, what it owes."""

    def __init__(self, state: IncidentState) -> None:
        self.state = state
        self._keys = {line.key for line in state.log} | set(state.handed_on)

    @property
    def pinned(self) -> PinnedContract:
        if self.state.pinned is None:
            raise RuntimeError("the contract is not pinned yet")
        return self.state.pinned

    def hear(self, word: Delivery) -> bool:
        """Take a word from outside; False when it was heard before. One that belongs to an earlier incident is kept aside."""
        if word.key in self._keys:
            return False
        if self.state.after is not None and word.happened <= self.state.after:
            self._keys.add(word.key)
            why = f"it happened before this follow-up began ({self.state.after.isoformat()}) and belongs to the closed incident before it"
            self.put_aside(word.received_at, word.event.event, why, word.without_text().model_dump_json())
            return True
        self._append(entry(word))
        return True

    def put_aside(self, at: datetime, name: str, why: str, what: str) -> None:
        """Keep what cannot be taken; the oldest go when there are too many."""
        self.state.dead_letters.append(DeadLetter(at=at, name=name[:200], why=why[:500], what=what[:2000]))
        del self.state.dead_letters[:-MAX_DEAD_LETTERS]

    def told_standing(self, ledger: Ledger, at: datetime, *, enrolled: bool = False) -> bool:
        """Take the account's ledger, as it told us or (`enrolled`) as we read it; False when it says nothing new."""
        key, known = f"standing:{ledger.version}", self.ledger
        moved = bool(known.line) and ledger.line != known.line
        if moved and enrolled:
            key = f"{key}:{ledger.line}"
        elif key in self._keys or known.version > ledger.version or (moved and known.version == ledger.version):
            return False
        self.state.log = [e for e in self.state.log if not isinstance(e.event, StandingTold)]
        self._append(record(key, at, StandingTold(ledger=ledger, enrolled=enrolled)))
        return True

    @property
    def ledger(self) -> Ledger:
        """The ledger as it was told last."""
        return next((e.event.ledger for e in reversed(self.state.log) if isinstance(e.event, StandingTold)), Ledger())

    def was_read(self, read: Read, at: datetime) -> None:
        """Take what reading the opening message gave; the first reading stands."""
        if not self.is_read:
            self._append(record("read", at, read))

    @property
    def is_read(self) -> bool:
        """Whether an opening message has been read."""
        return "read" in self._keys

    def moves(self) -> list[Entry]:
        """The words that ask for another contract or calendar and were not followed yet."""
        return [
            e
            for e in self.state.log
            if e.event.event in ("policy_moved", "calendar_revised") and f"pinned:{e.key}" not in self._keys
        ]

    def cannot_move(self, line: Entry, why: str) -> None:
        """A word that asked for a contract or calendar that cannot be read: kept aside, and the old one stays in force."""
        self._keys.add(f"pinned:{line.key}")
        self.state.log = [e for e in self.state.log if e.key != line.key]
        self.put_aside(line.received_at, line.event.event, why, line.model_dump_json())

    def inherit(self, other: "Incident") -> None:
        """Take over what another run of the same ticket heard beside its log: the ledger and the dead letters."""
        for line in other.state.log:
            if isinstance(line.event, StandingTold):
                self.told_standing(line.event.ledger, line.received_at)
        self.state.dead_letters += other.state.dead_letters

    def pin(self, pinned: PinnedContract, at: datetime, key: str = "pinned") -> None:
        """Count on this contract and calendar from here; a change is recorded with the deadlines before and after."""
        before = self._dues(at) if self.state.pinned is not None else {}
        self.state.pinned = pinned
        what = Pinned(contract=pinned.contract.name, version=pinned.version, tzdata=pinned.calendar.tzdata_version,
                      holidays=pinned.calendar.holidays_version, until=pinned.calendar.last.isoformat(), before=before)  # fmt: skip
        if before:
            what = what.model_copy(update={"after": self._dues(at)})
        self._append(record(key, at, what))

    def view(self, now: datetime) -> View:
        """What the log comes to at `now`, or at the last word heard, whichever is later."""
        return evaluate(self.pinned, self.state.log, self.moment(now))

    def moment(self, now: datetime) -> datetime:
        """`now`, but never before the last word heard: a sender's clock may be ahead of ours by a little."""
        heard = max((line.received_at for line in self.state.log), default=now)
        return max(now, heard)

    def begin(self, steps: Sequence[Step]) -> None:
        """Write down that the steps are begun: from here on they are not owed."""
        for step in steps:
            self._append(begun(step))

    def finish(self, steps: Sequence[Step], outcomes: Sequence[StepDone]) -> None:
        """Write down what came of steps."""
        at = {step.key: step.at for step in steps}
        for outcome in outcomes:
            self._append(record(f"done:{outcome.step_key}", at[outcome.step_key], outcome))

    def scene(self, view: View) -> Scene:
        """What the choice of people depends on."""
        return Scene(assignee=view.assignee, tried=view.tried, customer=self.state.customer, requester=view.customer)

    def afterwords(self, view: View) -> list[Delivery]:
        """The customer's words that came after the closing; they are handed on to a follow-up and leave this log."""
        if view.closed_at is None:
            return []
        later = [e for e in self.state.log if not continues(view, e)]
        self.state.log = [e for e in self.state.log if e not in later]
        self.state.handed_on += [e.key for e in later]
        return [as_opening(e, view) for e in later]

    def _append(self, line: Entry) -> None:
        self._keys.add(line.key)
        self.state.log.append(line)

    def _dues(self, at: datetime) -> dict[str, str]:
        table = self.pinned.calendar.timetable()
        view = self.view(at)
        return {clock.name: table.to_local(clock.due).isoformat() for clock in view.clocks if clock.due is not None}


def continues(view: View, word: Entry | Delivery) -> bool:
    """Whether a word belongs to this incident, rather than to a follow-up of it: all does, until it is closed; after that,
    all but what the customer says anew."""
    return (
        view.closed_at is None
        or word.event.event not in ("opened", "customer_replied")
        or word.happened <= view.closed_at
    )


def as_opening(word: Entry | Delivery, view: View) -> Delivery:
    """A customer's word after the closing, as the opening of the follow-up: of the priority and product that the incident had."""
    what = word.event
    if not isinstance(what, Opened):
        what = Opened(by=getattr(what, "by", None), priority=view.priority, product=view.product)
    return Delivery(key=word.key, occurred_at=word.occurred_at, received_at=word.received_at, event=what)
