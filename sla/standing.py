"""A customer's standing, folded from effective-dated events just as an incident is from its own.

What counts is when a payment lapsed or was made, not when we heard of it (X03); the order of delivery changes nothing.
Times within are integer microseconds since the epoch.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from sla.account_events import ACCOUNT_EVENT_NAMES, AccountDelivery, ExceptionGranted
from sla.civil import from_us, to_us
from sla.customer import WHOLE
from sla.duration import Duration, Unit
from sla.entries import AccountEntry
from sla.errors import BeyondHorizon
from sla.ledger import AccountLedger, Granted, Interval, Ledger
from sla.policy import Reminder
from sla.stretches import FAR, Stretch, joined, without
from sla.timetable import PinnedCalendar, Timetable

_RANK = {name: rank for rank, name in enumerate(ACCOUNT_EVENT_NAMES)}
_DAYS = {Unit.BUSINESS_DAY: 1, Unit.CALENDAR_DAY: 1, Unit.CALENDAR_WEEK: 7}
Word = AccountDelivery | AccountEntry


class LineTerms(BaseModel):
    """What a contract line's contract says of payments, and how the line is paid, as they were read at one moment."""

    model_config = ConfigDict(frozen=True)

    id: str
    title: str = ""
    contract: str = ""
    contract_title: str = ""
    clause: str | None = None
    mode: Literal["automatic", "approval", "none"] = "automatic"
    grace: Duration | None = None
    asks: tuple[str, ...] = ("on_duty",)
    unanswered: tuple[Reminder, ...] = ()
    prepaid: bool = False
    prepaid_until: AwareDatetime | None = None
    """The instant up to which it is paid in advance."""
    calendar: PinnedCalendar | None = None
    linked: bool = False
    """Whether its payments can be read at a billing source."""

    @property
    def table(self) -> Timetable | None:
        """The contract's hours, for counting days."""
        return None if self.calendar is None else self.calendar.timetable()


class AccountTerms(BaseModel):
    """The terms of a customer's lines, the first of them first, in force from `since` (None: from ever)."""

    model_config = ConfigDict(frozen=True)

    suspends: bool = True
    contract: str = ""
    since: AwareDatetime | None = None
    lines: tuple[LineTerms, ...] = ()

    @property
    def all(self) -> tuple[LineTerms, ...]:
        """The lines, at least one."""
        if self.lines:
            return self.lines
        return (LineTerms(id=WHOLE, contract=self.contract, mode="automatic" if self.suspends else "none"),)

    def line(self, id: str) -> LineTerms | None:
        """The line of that id."""
        return next((line for line in self.all if line.id == id), None)


@dataclass(slots=True)
class Due:
    """Something outstanding: from when, since when no more (None: it still is), and when its grace is over."""

    reference: str | None
    start: int
    end: int | None
    terminated: bool
    graced: int
    mode: str = "automatic"
    """How it leads to a suspension, by the terms in force when it began."""
    bare: bool = False
    """Whether no payment in advance covers it."""


@dataclass(frozen=True, slots=True)
class LineStanding:
    """All that a line comes to."""

    terms: LineTerms
    dues: tuple[Due, ...]
    suspended: tuple[Stretch, ...]
    exceptions: tuple[tuple[int, int, ExceptionGranted], ...]
    answers: tuple[tuple[int, bool], ...]
    """When somebody approved (True) or declined a suspension."""

    @property
    def outstanding(self) -> list[Due]:
        """What is not settled."""
        return [due for due in self.dues if due.end is None]

    def answer(self, due: Due) -> bool | None:
        """The last answer to the question whether support is suspended for it; None: nobody has answered."""
        given = [yes for at, yes in self.answers if due.start <= at and (due.end is None or at < due.end)]
        return given[-1] if given else None

    def ledger(self, version: int) -> Ledger:
        """What others are told of it."""
        out = self.outstanding
        settled = [due.end for due in self.dues if due.end is not None]
        standing: Literal["current", "lapsed", "suspended", "terminated"] = "current"
        if out:
            lasting = bool(self.suspended) and self.suspended[-1][1] is None
            standing = "suspended" if lasting else "lapsed"
            if any(due.terminated for due in out):
                standing = "terminated"
        since = min((due.start for due in out), default=max(settled, default=None))
        return Ledger(
            version=version,
            line=self.terms.id,
            standing=standing,
            since=None if since is None else from_us(since),
            why=_why(out),
            suspended=tuple(
                Interval(start=from_us(a), end=None if b is None else from_us(b)) for a, b in self.suspended
            ),
            exceptions=tuple(
                Granted(start=from_us(a), end=from_us(b), by=what.by, why=what.why) for a, b, what in self.exceptions
            ),
        )


def fingerprint(terms: AccountTerms) -> str:
    """Twelve hex digits of what the terms say: not of when they came into force, nor of the days that are pinned."""
    return hashlib.sha256(said(terms).model_dump_json().encode()).hexdigest()[:12]


def said(terms: AccountTerms) -> AccountTerms:
    """The terms without when they came into force, and without the days for which their calendars are pinned."""
    lines = tuple(line.model_copy(update={"calendar": None}) for line in terms.lines)
    return terms.model_copy(update={"since": None, "lines": lines})


def fold(log: Iterable[Word], terms: Sequence[AccountTerms], also: Collection[str] = ()) -> dict[str, LineStanding]:
    """Every line of the newest terms, by its id, the first line first; then those of earlier terms that are in `also`.

    A lapse is judged by the terms in force when it began. An event that names a line which there is not, changes nothing.
    """
    first: dict[str, Word] = {}
    for word in log:
        known = first.get(word.key)
        if word.event.event in _RANK and (known is None or word.received_at < known.received_at):
            first[word.key] = word
    words = sorted(first.values(), key=lambda w: (w.happened, _RANK[w.event.event], w.key))
    claims = {word.event.reference for word in words if word.event.event in ("payment_lapsed", "contract_terminated")}
    lines = {line.id: line for line in terms[-1].all}
    for one in reversed(terms[:-1]):
        lines |= {line.id: line for line in one.all if line.id in also and line.id not in lines}
    return {id: _line(line, words, terms, claims) for id, line in lines.items()}


def book(lines: dict[str, LineStanding], known: AccountLedger, newest: int = 0) -> AccountLedger:
    """The ledger that the lines make; each keeps its version unless it says something else than what is `known`.

    `newest`: the highest version there ever was, also of a line that there is no more."""
    made: list[Ledger] = []
    for i, (id, standing) in enumerate(lines.items()):
        before = known if known.line == id or (i == 0 and not known.line) else known.lines.get(id, Ledger())
        now = standing.ledger(before.version)
        same = now == Ledger.model_validate({**before.model_dump(exclude={"lines"}), "line": id})
        made.append(now if same else now.model_copy(update={"version": max(latest(known), newest) + 1}))
    return AccountLedger(**dict(made[0]), lines={one.line: one for one in made[1:]})


def latest(ledger: AccountLedger) -> int:
    """The highest version in it."""
    return max([ledger.version, *(one.version for one in ledger.lines.values())])


def _line(
    line: LineTerms, words: Sequence[Word], terms: Sequence[AccountTerms], claims: Collection[str | None]
) -> LineStanding:
    mine = [word for word in words if word.event.line in (None, line.id)]  # type: ignore[union-attr]
    dues = _dues(mine, line, terms, claims)
    exceptions = _exceptions(mine)
    answers = tuple(
        (to_us(word.happened), word.event.event == "suspension_approved")
        for word in mine
        if word.event.event in ("suspension_approved", "suspension_declined")
    )
    stretches: list[Stretch] = []
    for due in dues:
        whole: list[Stretch] = [(due.graced, due.end)] if due.end is None or due.graced < due.end else []
        if due.mode == "none":
            continue
        if due.mode == "approval" and not due.terminated:
            given = [(at, yes) for at, yes in answers if due.start <= at and (due.end is None or at < due.end)]
            whole = without(whole, without([(due.start, None)], _approved(given)))
        stretches += whole
    held_off = [(a, b) for a, b, _ in exceptions]
    return LineStanding(line, tuple(dues), tuple(without(joined(stretches), held_off)), exceptions, answers)


def _dues(
    words: Sequence[Word], line: LineTerms, terms: Sequence[AccountTerms], claims: Collection[str | None]
) -> list[Due]:
    """What was outstanding, and when. `claims`: what any line of the customer was ever said to owe."""
    dues: list[Due] = []
    out: list[Due] = []
    claimed: set[str | None] = set()
    ahead: set[str | None] = set()
    for word in words:
        what, at = word.event, to_us(word.happened)
        match what.event:
            case "payment_lapsed" | "contract_terminated":
                over = what.event == "contract_terminated"
                bare = over and what.line is not None  # that this very line's contract has ended, no advance covers
                known = [d for d in out if d.reference == what.reference and d.terminated == over and d.bare >= bare]
                if what.reference in ahead:  # paid before it was due
                    ahead.discard(what.reference)
                elif not known:
                    out.append(Due(what.reference, at, None, over, 0, bare=bare))
                    dues.append(out[-1])
                    claimed.add(what.reference)
            case "payment_current":
                alone = what.reference is not None and what.reference in claims
                for due in out:
                    if not alone or due.reference == what.reference:
                        due.end = max(at, due.start)
                out = [due for due in out if due.end is None]
                if alone and what.reference not in claimed:
                    ahead.add(what.reference)
    covered, made = _covered(terms, line), list[Due]()
    for due in dues:
        for start, end in without([(due.start, due.end)], [] if due.bare else covered):
            held = _in_force(terms, line, start)
            graced = start if due.terminated else _graced(held, start, line)
            made.append(replace(due, start=start, end=end, graced=graced, mode=held.mode))
    return made


def _covered(terms: Sequence[AccountTerms], line: LineTerms) -> list[Stretch]:
    """When the line was paid in advance, each stretch by the terms in force then: an edit rewrites no past."""
    made: list[Stretch] = []
    for i, one in enumerate(terms):
        since = -FAR if i == 0 or one.since is None else to_us(one.since)
        after = terms[i + 1].since if i + 1 < len(terms) else None
        held, until = one.line(line.id) or line, FAR if after is None else to_us(after)
        if not held.prepaid:
            until = min(until, -FAR if held.prepaid_until is None else to_us(held.prepaid_until))
        if since < until:
            made.append((since, None if until == FAR else until))
    return made


def _in_force(terms: Sequence[AccountTerms], line: LineTerms, at: int) -> LineTerms:
    held = [one for one in terms if one.since is None or to_us(one.since) <= at] or [terms[0]]
    return held[-1].line(line.id) or line


def _graced(line: LineTerms, start: int, newest: LineTerms) -> int:
    """When the grace that begins at `start` is over; past the days pinned then, by those pinned last."""
    if line.grace is None:
        return start
    return later(line.table, line.grace, start, newest.table)


def later(table: Timetable | None, amount: Duration, start: int, newer: Timetable | None = None) -> int:
    """The instant that lies `amount` after `start`. Past the pinned days, or without hours, a day is 24 hours."""
    for pinned in [one for one in (table, newer) if one is not None]:
        try:
            budget = amount.budget_us(pinned, start)
            return pinned.add_us(start, budget) if amount.counts_open_time else start + budget
        except BeyondHorizon:
            continue
    hours = amount.amount * _DAYS[amount.unit] * 24 if amount.unit in _DAYS else None
    if hours is None:
        minutes = amount.amount * (1 if "minute" in amount.unit else 60)
        return start + minutes * 60_000_000 * (24 if amount.unit is Unit.ELAPSED_DAY else 1)
    return start + hours * 3_600_000_000


def _exceptions(words: Sequence[Word]) -> tuple[tuple[int, int, ExceptionGranted], ...]:
    ended = [to_us(word.happened) for word in words if word.event.event == "exception_ended"]
    made: list[tuple[int, int, ExceptionGranted]] = []
    for word in words:
        what, at = word.event, to_us(word.happened)
        if isinstance(what, ExceptionGranted):
            until = min([to_us(what.until), *(end for end in ended if end >= at)])
            if until > at:
                made.append((at, until, what))
    return tuple(made)


def _approved(answers: Sequence[tuple[int, bool]]) -> list[Stretch]:
    made: list[Stretch] = []
    for at, yes in answers:
        if made and made[-1][1] is None:
            if yes:
                continue
            made[-1] = (made[-1][0], at)
        elif yes:
            made.append((at, None))
    return made


def _why(out: Sequence[Due]) -> str:
    if not out:
        return ""
    named = ", ".join(dict.fromkeys(due.reference for due in out if due.reference))
    said = "the contract has ended" if any(due.terminated for due in out) else "payment outstanding"
    return f"{said} ({named})" if named else said
