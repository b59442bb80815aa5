"""One customer's account: its log, and what it comes to. The workflow and the player of stories both drive it.

view(now) -> AccountView     # how each contract line stands, what is owed, when to look again
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, BaseModel

from sla.account_events import AccountDelivery
from sla.account_owed import approvals, asks, reminders, step_of
from sla.civil import from_us, to_us
from sla.entries import AccountEntry, StepBegun, StepDone
from sla.facts import Done
from sla.incident import DeadLetter
from sla.ledger import AccountLedger, Granted, Ledger
from sla.owed import about
from sla.standing import AccountTerms, Due, LineStanding, book, fingerprint, fold, latest, said
from sla.steps import Step
from sla.suspension import saying

MAX_DEAD_LETTERS = 100
MAX_WORDS = 2000
"""Events of one customer; more than that is a loop of some billing system's, and must not keep its incidents from opening."""
SPARE = 500
"""Room beyond it for what ends a suspension, and for what people decide."""
AHEAD = timedelta(days=60)
FIRST, LAST = datetime(1971, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""What happens outside these years is a sender's mistake, and no arithmetic could follow it."""
ORDER = ("current", "lapsed", "suspended", "terminated")


class AccountState(BaseModel):
    """All that an account is, carried whole over continue-as-new."""

    customer: str
    contract: str | None = None
    terms: AccountTerms | None = None
    earlier: list[AccountTerms] = []
    """The terms that were in force before, the oldest first."""
    log: list[AccountEntry] = []
    ledger: AccountLedger = AccountLedger()
    heard_at: AwareDatetime | None = None
    told: int = 0
    """The version that every enrolled incident has been told."""
    newest: int = 0
    """The highest version that a ledger ever had; the lines of some are no more."""
    enrolled: list[str] = []
    lines: dict[str, str] = {}
    """The contract line of an incident, where it is not the first."""
    counted: int = 0
    """How many were on the roll when it was last counted."""
    dead_letters: list[DeadLetter] = []
    looks: bool = False
    """Whether the payments are to be read where they are kept."""
    revised: bool = False
    """Whether the customer's record has changed since its terms were read."""


@dataclass(frozen=True, slots=True)
class LineView:
    """One contract line as it stands at a moment."""

    id: str
    title: str
    standing: str
    since: datetime | None
    why: str
    suspends_at: datetime | None
    """When support will be suspended, unless something is heard before."""
    exception: Granted | None
    awaits_approval: bool
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class AccountView:
    """All that an account's log comes to at a moment."""

    now: datetime
    lines: tuple[LineView, ...]
    owed: tuple[Step, ...]
    look_again_at: datetime | None
    """When something changes by itself. None: nothing will."""
    in_flight: int

    @property
    def worst(self) -> LineView:
        """The line that is worst off; of equals the first."""
        return max(self.lines, key=lambda line: ORDER.index(line.standing))

    @property
    def standing(self) -> str:
        """How the worst of its lines stands."""
        return self.worst.standing

    @property
    def since(self) -> datetime | None:
        """Since when."""
        return self.worst.since


class Account:
    """The pure heart of an account."""

    def __init__(self, state: AccountState) -> None:
        self.state = state
        self._keys = {line.key for line in state.log}
        self._lines: dict[str, LineStanding] = {}
        self._fold()

    @property
    def terms(self) -> AccountTerms:
        if self.state.terms is None:
            raise RuntimeError("the account's terms are not known yet")
        return self.state.terms

    def hear(self, word: AccountDelivery) -> bool:
        """Take a word; False when it was heard before. The ledger is made anew."""
        if word.key in self._keys:
            return False
        until = getattr(word.event, "until", None) or word.received_at
        if not all(FIRST <= at <= LAST for at in (word.happened, word.received_at, until)):
            why = f"its time lies before {FIRST.year} or after {LAST.year}"
            self.put_aside(word.received_at, word.event.event, why, word.model_dump_json())
            return False
        owes = word.event.event in ("payment_lapsed", "contract_terminated")
        if len(self.state.log) >= MAX_WORDS + (0 if owes else SPARE):
            why = f"this account has heard {MAX_WORDS} events; look for a loop in the billing system"
            self.put_aside(word.received_at, word.event.event, why, word.model_dump_json())
            return False
        self._append(AccountEntry.model_validate(word.model_dump()))
        self.state.heard_at = max(word.received_at, self.state.heard_at or word.received_at)
        if self.state.terms is not None and word.event.line is not None and word.event.line not in self._lines:
            known = ", ".join(line.id for line in self.terms.all)
            why = (
                f"there is no contract line {word.event.line!r}; there are: {known}. It counts as soon as there is one"
            )
            self.put_aside(word.received_at, word.event.event, why, word.model_dump_json())
        self._fold()
        return True

    def knows(self, key: str) -> bool:
        """Whether a word of that key was heard."""
        return key in self._keys

    def put_aside(self, at: datetime, name: str, why: str, what: str) -> None:
        """Keep what cannot be taken; the oldest go when there are too many."""
        self.state.dead_letters.append(DeadLetter(at=at, name=name[:200], why=why[:500], what=what[:2000]))
        del self.state.dead_letters[:-MAX_DEAD_LETTERS]

    def take_terms(self, terms: AccountTerms, at: datetime) -> bool:
        """Go by these terms: the first ones from ever, others for what begins from `at` on. False: they say nothing new.

        A calendar that reaches far enough ahead stays as it was pinned.
        """
        before = self.state.terms
        if before is None:
            self.state.terms = terms
            self._fold()
            return True
        if said(before) == said(terms) and not self.calendar_runs_out(at):
            return False
        placed = self._placed()
        if before.all[0].id != terms.all[0].id:
            self.state.lines = placed | self.state.lines
        self.state.earlier.append(before)
        self.state.terms = terms.model_copy(update={"since": at})
        self._fold()
        self._tell_anew({line for incident, line in self._placed().items() if line != placed[incident]})
        return True

    def calendar_runs_out(self, at: datetime) -> bool:
        """Whether a line's days are pinned for no more than 60 days ahead."""
        lines = self.state.terms.lines if self.state.terms is not None else ()
        ends = [line.calendar.last for line in lines if line.calendar is not None]
        return bool(ends) and min(ends) < (at + AHEAD).date()

    def enrol(self, incident: str, line: str | None, known: bool) -> Ledger:
        """Put an incident on the roll, unless it is `known` to be there, under its line; the ledger of that line."""
        if not known:
            self.state.enrolled.append(incident)
        before = self.state.lines.pop(incident, None)
        if line and self.state.terms is not None and line != self.terms.all[0].id:
            self.state.lines[incident] = line
        ledger = self.state.ledger.of(line)
        if not known or self.state.lines.get(incident) == before:
            return ledger
        # It moved: what is still on its way to it from the line that it was on must know less than this.
        return ledger.model_copy(update={"version": self.version})

    def of_line(self, line: str) -> list[str]:
        """The enrolled incidents of a line."""
        return [incident for incident, its in self._placed().items() if its == line]

    def forget(self, gone: Sequence[str]) -> None:
        """Take closed incidents off the roll."""
        closed = set(gone)
        self.state.enrolled = [incident for incident in self.state.enrolled if incident not in closed]
        self.state.lines = {incident: line for incident, line in self.state.lines.items() if incident not in closed}

    def untold(self) -> list[Ledger]:
        """The ledgers that say what not every incident of their line has been told."""
        ledgers = [self.state.ledger.of(id) for id in self._lines]
        return [ledger for ledger in ledgers if ledger.version > self.state.told]

    @property
    def version(self) -> int:
        """The newest version of the ledger."""
        return latest(self.state.ledger)

    @property
    def dues(self) -> list[tuple[str, Due]]:
        """What is outstanding, with the line that it is outstanding for."""
        return [(id, due) for id, line in self._lines.items() for due in line.outstanding]

    def moment(self, now: datetime) -> datetime:
        """`now`, but never before the last word heard."""
        return max(now, self.state.heard_at or now)

    def view(self, now: datetime) -> AccountView:
        """What the log comes to at `now`, or at the last word heard, whichever is later."""
        at = self.moment(now)
        us, steps = to_us(at), self._steps()
        views: list[LineView] = []
        owed: list[Step] = []
        looks: list[int] = []
        for id, line in self._lines.items():
            ledger = self.state.ledger.of(id)
            begun = [(a, None if b is None or b > us else b) for a, b in line.suspended if a <= us]
            mine = [step for step in steps if (step.what.step or "").partition(" ")[0] == id]
            owed += self._suspension(line, ledger, begun, mine, us)
            owed += reminders(line, mine, us, self._heard)
            asked, look = approvals(line, mine, us, self._heard)
            owed += asked
            looks += look + [edge for a, b in line.suspended for edge in (a, b) if edge is not None and edge > us]
            looks += [due.start for due in line.outstanding if due.start > us]  # where what was paid in advance ends
            views.append(_line_view(line, ledger, at))
        told = {step.what.step_key for step in steps}  # whatever else, a step happens once
        return AccountView(
            now=at,
            lines=tuple(views),
            owed=tuple(self._counted(step) for step in owed if step.key not in told),
            look_again_at=from_us(min(looks)) if looks else None,
            in_flight=sum(step.done is None for step in steps),
        )

    def begin(self, steps: Sequence[Step]) -> None:
        """Write down that the steps are begun: from here on they are not owed."""
        for step in steps:
            what = StepBegun(step_key=step.key, kind=step.kind, step=step.step, of=step.of)
            self._append(AccountEntry(key=f"begun:{step.key}", occurred_at=step.at, received_at=step.at, event=what))

    def finish(self, steps: Sequence[Step], outcomes: Sequence[StepDone]) -> None:
        """Write down what came of steps."""
        at = {step.key: step.at for step in steps}
        for out in outcomes:
            moment = at[out.step_key]
            self._append(AccountEntry(key=f"done:{out.step_key}", occurred_at=moment, received_at=moment, event=out))

    def unfinished(self) -> AccountState:
        """The state for a new run: what was begun and not finished is owed again, and each person hears it once all the same."""
        done = {f"begun:{step.what.step_key}" for step in self._steps() if step.done is not None}
        log = [line for line in self.state.log if line.event.event != "step_begun" or line.key in done]
        return self.state.model_copy(update={"log": log})

    def _counted(self, step: Step) -> Step:
        """The step, with how many open incidents it is about; an approval with what it would do."""
        line = (step.step or "").partition(" ")[0]
        enrolled = self.of_line(line)
        said = {"incidents": str(len(enrolled))}
        if step.kind == "approval" and enrolled:
            some = ", ".join(id.rpartition("/")[2] for id in enrolled[:5]) + (", …" if len(enrolled) > 5 else "")
            many = "1 open incident" if len(enrolled) == 1 else f"{len(enrolled)} open incidents"
            said["would"] = f"stop the clocks of {many}: {some}"
        return step.model_copy(update={"facts": step.facts | said})

    @property
    def _heard(self) -> int:
        return 0 if self.state.heard_at is None else to_us(self.state.heard_at)

    def _append(self, line: AccountEntry) -> None:
        self._keys.add(line.key)
        self.state.log.append(line)

    def _fold(self) -> None:
        """Make the ledger anew. Nothing is said before the terms are known."""
        if self.state.terms is None:
            return
        # An incident stays on the line under which it was opened, also when the customer's record has it no more.
        self._lines = fold(self.state.log, [*self.state.earlier, self.state.terms], set(self.state.lines.values()))
        made = book(self._lines, self.state.ledger, max(self.state.newest, self.state.told))
        known_by = {"terms": fingerprint(self.state.terms), "asked": self.state.contract}
        self.state.ledger = made.model_copy(update=known_by)
        self.state.newest = max(self.state.newest, self.version)

    def _placed(self) -> dict[str, str]:
        """The line of each enrolled incident; the first one where its own is not known."""
        first, known = self.terms.all[0].id, self._lines
        return {i: here if (here := self.state.lines.get(i, first)) in known else first for i in self.state.enrolled}

    def _tell_anew(self, ids: Collection[str]) -> None:
        """Give the ledgers of these lines a new version: incidents have come to them that know another line's."""
        if not ids:
            return
        self.state.newest += 1
        new, ledger = {"version": self.state.newest}, self.state.ledger
        lines = {id: one.model_copy(update=new) if id in ids else one for id, one in ledger.lines.items()}
        told = new if ledger.line in ids else {}
        self.state.ledger = ledger.model_copy(update={**told, "lines": lines})

    def _steps(self) -> list[Done]:
        done = {e.event.step_key: e.event for e in self.state.log if isinstance(e.event, StepDone)}
        return [Done(e, e.event, done.get(e.event.step_key)) for e in self.state.log if isinstance(e.event, StepBegun)]  # type: ignore[arg-type]

    def _suspension(
        self,
        line: LineStanding,
        ledger: Ledger,
        begun: Sequence[tuple[int, int | None]],
        mine: Sequence[Done],
        now: int,
    ) -> list[Step]:
        told = [step for step in mine if step.what.kind == "suspension"]
        last = told[-1] if told else None
        answers = {step.what.of for step in mine if step.what.kind in ("resumption", "withdrawal")}
        over = last is None or last.what.step_key in answers
        if last is not None and last.done is None:
            return []
        owed = saying(begun, None if last is None or over else about(last))
        if owed is None:
            return []
        said = {"since": from_us(owed.about).isoformat(), "why": ledger.why, "standing": ledger.standing}
        if owed.kind == "withdrawal" and ledger.standing == "current" and ledger.since is not None:
            said["paid"] = ledger.since.isoformat()
        exception = ledger.exception(from_us(now))
        if owed.kind == "resumption" and exception is not None and exception.end is not None:
            said |= {"why": exception.why, "until": exception.end.isoformat(), "by": exception.by}
        number = len(told) + 1 if owed.kind == "suspension" else len(told)
        of = from_us(owed.about).isoformat() if owed.kind == "suspension" else (last.what.step_key if last else None)
        at = max(owed.about, self._heard)
        step = step_of(owed.kind, line.terms, at, number, of, ("customer",), said, owed)
        if owed.kind == "withdrawal" and last is not None and last.done is not None:
            heard = tuple(dict.fromkeys(who for notice in last.done.notices for who in notice.to))
            step = step.model_copy(update={"recipients": heard})
        return [step]


def _line_view(line: LineStanding, ledger: Ledger, at: datetime) -> LineView:
    us = to_us(at)
    ahead = [a for a, _ in line.suspended if a > us]
    return LineView(
        id=line.terms.id,
        title=line.terms.title or line.terms.id,
        standing=ledger.standing_at(at),
        since=ledger.since_at(at),
        why=ledger.why,
        suspends_at=from_us(min(ahead)) if ahead else None,
        exception=ledger.exception(at),
        awaits_approval=any(asks(line, due) and due.graced <= us for due in line.outstanding),
        ledger=ledger,
    )
