"""Suspension and clocks walked from instant to instant: slow, obviously right, and written apart from `sla`.

It keeps what is owed on a list, as a person with a ledger would, and looks at each instant at which anything happens.
Instants are whole minutes since the epoch. Of the contracts it reads what they say, and of `sla` it computes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from sla.customer import ContractLine
from sla.policy import Contract

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
ALWAYS = 1 << 40
"""Later than any minute."""
HOLIDAYS = frozenset(
    date(year, month, day)
    for year, days in {
        2031: ((5, 26), (6, 19), (7, 4), (9, 1), (10, 13), (11, 11), (11, 27), (12, 25)),
        2032: (
            (1, 1),
            (1, 19),
            (2, 16),
            (5, 31),
            (6, 18),
            (7, 5),
            (9, 6),
            (10, 11),
            (11, 11),
            (11, 25),
            (12, 24),
            (12, 31),
        ),
    }.items()
    for month, day in days
)
"""The days on which the federal holidays are observed, from a printed calendar."""
ACCOUNT_ORDER = (
    "payment_lapsed", "contract_terminated", "payment_current", "suspension_approved", "suspension_declined",
    "exception_granted", "exception_ended",
)  # fmt: skip
TICKET_ORDER = (
    "opened", "customer_replied", "agent_replied", "acknowledged", "plan_provided", "waiting_on_customer", "priority_changed",
    "resolved", "reopened",
)  # fmt: skip
"""What happens at one and the same minute is taken in this order."""
Word = Mapping[str, Any]
Stretch = tuple[int, int | None]


def minute(at: datetime) -> int:
    """The minutes since the epoch."""
    return int((at - EPOCH) / timedelta(minutes=1))


@dataclass(frozen=True)
class Hours:
    """When support is open, day by day."""

    zone: ZoneInfo
    opens: str
    closes: str
    closed: frozenset[date]

    def local(self, at: int) -> datetime:
        return (EPOCH + timedelta(minutes=at)).astimezone(self.zone)

    def instant(self, day: date, clock: time) -> int:
        return minute(datetime.combine(day, clock, tzinfo=self.zone).astimezone(UTC))

    def on(self, day: date) -> tuple[int, int] | None:
        """The open minutes of a date."""
        if day.weekday() >= 5 or day in self.closed:
            return None
        return self.instant(day, time.fromisoformat(self.opens)), self.instant(day, time.fromisoformat(self.closes))

    def days(self, since: int) -> Iterable[date]:
        day = self.local(since).date()
        for n in range(400):
            yield day + n * ONE_DAY

    def open_between(self, a: int, b: int) -> int:
        """The open minutes in `[a, b)`."""
        counted = 0
        for day in self.days(a):
            hours = self.on(day)
            if hours is not None:
                counted += max(0, min(b, hours[1]) - max(a, hours[0]))
            if self.instant(day, time()) > b:
                break
        return counted

    def business_days(self, start: int, count: int) -> tuple[int, int]:
        """The instant at which so many business days are over, and the open minutes that they grant."""
        days = [(day, hours) for day in self.days(start) if (hours := self.on(day)) is not None and hours[1] > start]
        begun = max(start, days[0][1][0])
        day, (opens, closes) = days[count]
        same_time = self.instant(day, self.local(begun).time())
        end = same_time if opens <= same_time < closes else closes
        granted = self.open_between(begun, end)
        # "Due at the earliest instant by which that budget has passed": never an opening.
        return self.reached(begun, granted), granted

    def reached(self, start: int, amount: int) -> int:
        """The first instant by which so many open minutes have passed."""
        for day in self.days(start):
            hours = self.on(day)
            if hours is None or hours[1] <= start:
                continue
            begun = max(start, hours[0])
            if hours[1] - begun >= amount:
                return begun + amount
            amount -= hours[1] - begun
        raise AssertionError("never")

    def later(self, start: int, amount: str) -> int:
        """The instant that lies so much after."""
        number, kind, unit = amount.split()
        if (kind, unit.rstrip("s")) == ("business", "day"):
            return self.business_days(start, int(number))[0]
        if kind == "business":
            return self.reached(start, self.budget(start, amount))
        return start + self.budget(start, amount)

    def budget(self, start: int, amount: str) -> int:
        """The minutes that a target grants from its start, of what it counts."""
        number, kind, unit = amount.split()
        count, unit = int(number), unit.rstrip("s")
        if kind == "calendar":
            local = self.local(start)
            day = local.date() + count * (7 if unit == "week" else 1) * ONE_DAY
            return self.instant(day, local.time()) - start
        if (kind, unit) == ("business", "day"):
            return self.business_days(start, count)[1]
        return count * {"minute": 1, "hour": 60, "day": 24 * 60}[unit]


@cache
def hours_of(name: str, zone: ZoneInfo) -> Hours:
    """The three contracts' hours, by hand."""
    if name == "tromzo":
        return Hours(zone, "06:00", "18:00", HOLIDAYS)
    if name == "bugzero":
        return Hours(zone, "09:00", "17:00", HOLIDAYS)
    return Hours(zone, "08:00", "17:00", frozenset())


@dataclass
class Debt:
    """Something that is owed."""

    reference: str | None
    since: int
    suspends: int
    """When its grace is over."""
    ends_contract: bool
    approved: bool | None = None


@dataclass
class WalkedLine:
    """What a contract line comes to."""

    suspended: list[Stretch]
    debts: list[Debt]

    def standing(self, now: int) -> str:
        """How it stands once all is known."""
        owed = [debt for debt in self.debts if debt.since <= now]
        if inside(self.suspended, now):
            return "terminated" if any(debt.ends_contract for debt in owed) else "suspended"
        return "lapsed" if owed else "current"


def walk_line(words: Sequence[tuple[int, Word]], line: ContractLine, contract: Contract, hours: Hours) -> WalkedLine:
    """Go through what happened to a customer, for one of its lines."""
    last = line.prepaid_until
    covered = ALWAYS if line.prepaid else -ALWAYS if last is None else hours.instant(last + ONE_DAY, time())
    terms = contract.suspension
    assert terms is not None
    invoices = {
        word.get("reference") for _, word in words if word["event"] in ("payment_lapsed", "contract_terminated")
    } - {None}
    mine = [(at, word) for at, word in words if word.get("line") in (None, line.id)]
    marks = {at for at, _ in mine}
    debts: list[Debt] = []
    ever: set[str | None] = set()
    paid_ahead: set[str | None] = set()
    exceptions: list[int] = []
    edges: list[int] = []
    suspended = False
    while marks:
        now = min(marks)
        marks.remove(now)
        for _, word in sorted(
            ((at, w) for at, w in mine if at == now), key=lambda one: ACCOUNT_ORDER.index(one[1]["event"])
        ):
            what, reference = word["event"], word.get("reference")
            if what in ("payment_lapsed", "contract_terminated"):
                ends = what == "contract_terminated"
                since = now if ends and word.get("line") == line.id else max(now, covered)
                if reference in paid_ahead:
                    paid_ahead.remove(reference)
                elif (
                    since < ALWAYS
                    and not any((d.reference, d.ends_contract) == (reference, ends) and d.since <= since for d in debts)
                ):  # one that names this very line counts at once, though another waits for the end of what was paid ahead
                    graced = since if ends or terms.grace is None else hours.later(since, str(terms.grace))
                    debts.append(Debt(reference, since, graced, ends))
                    marks |= {mark for mark in (since, graced) if mark > now}
                    ever.add(reference)
            elif what == "payment_current":
                if reference not in invoices:
                    debts = []
                else:
                    if reference not in ever:
                        paid_ahead.add(reference)
                    debts = [debt for debt in debts if debt.reference != reference]
            elif what in ("suspension_approved", "suspension_declined"):
                for debt in debts:
                    if debt.since <= now:
                        debt.approved = what == "suspension_approved"
            elif what == "exception_granted":
                until = minute(datetime.fromisoformat(word["until"]))
                exceptions.append(until)
                marks |= {until} if until > now else set()
            else:
                exceptions = []
        excepted = any(now < until for until in exceptions)
        due = any(
            debt.suspends <= now and (debt.ends_contract or terms.mode == "automatic" or debt.approved)
            for debt in debts
        )
        if (due and not excepted) != suspended:
            suspended = not suspended
            edges.append(now)
    ends_at: list[int | None] = [*edges[1::2]]
    return WalkedLine(list(zip(edges[::2], ends_at + [None] * (len(edges) % 2), strict=True)), debts)


@dataclass
class WalkedClock:
    """One promise, as a person with a stopwatch would keep it."""

    name: str
    state: str = "idle"
    answered: bool = False
    """What stops it came before it could start."""
    started: int | None = None
    stopped: int | None = None
    judged_by: str = ""
    open: int = 0
    elapsed: int = 0


@dataclass
class WalkedTicket:
    """What a ticket comes to."""

    clocks: dict[str, WalkedClock]
    suspended: list[Stretch] = field(default_factory=list)
    phase: str = "open"
    priority: str = ""


def walk_ticket(
    words: Sequence[tuple[int, Word]], line: WalkedLine, contract: Contract, hours: Hours, now: int
) -> WalkedTicket:
    """Go through what happened to a ticket; its contract line is suspended when `line` says so."""
    clocks = {name: WalkedClock(name) for name, terms in contract.clocks.items() if terms.starts == "opened"}
    opening = next(word for _, word in words if word["event"] == "opened")
    serves = contract.suspension.serves if contract.suspension else ()
    ticket = WalkedTicket(clocks, priority=opening.get("priority") or contract.default_priority)
    marks = (
        {at for at, _ in words} | {edge for stretch in line.suspended for edge in stretch if edge is not None} | {now}
    )
    steps = sorted(mark for mark in marks if mark <= now)
    opened = waiting = resolved = False
    for i, at in enumerate(steps):
        for _, word in sorted(
            ((t, w) for t, w in words if t == at), key=lambda one: TICKET_ORDER.index(one[1]["event"])
        ):
            what = word["event"]
            opened = opened or what == "opened"
            ticket.priority = word["to"] if what == "priority_changed" else ticket.priority
            waiting = what == "waiting_on_customer" or (
                waiting and what not in ("customer_replied", "resolved", "reopened")
            )
            resolved = what == "resolved" or (resolved and what != "reopened")
            for clock in clocks.values():
                terms = contract.clocks[clock.name]
                if what in terms.stops:
                    clock.answered = True
                    if clock.state == "on":
                        clock.state, clock.stopped = "off", at
                if what == "reopened" and terms.restarts:
                    clock.answered = False
                    if clock.state == "off":
                        clock.state, clock.stopped = "on", None
        suspended = inside(line.suspended, at) and ticket.priority not in serves
        if suspended != bool(ticket.suspended and ticket.suspended[-1][1] is None):
            if suspended:
                ticket.suspended.append((at, None))
            else:
                ticket.suspended[-1] = (ticket.suspended[-1][0], at)
        until = steps[i + 1] if i + 1 < len(steps) else at
        for clock in clocks.values():
            if opened and clock.state == "idle" and not suspended:
                clock.started = at
                clock.state, clock.stopped = ("off", at) if clock.answered else ("on", None)
            if clock.state != "off" or clock.stopped == at:
                clock.judged_by = ticket.priority
            if clock.state == "on" and not suspended and not (waiting and contract.clocks[clock.name].pauses):
                clock.elapsed += until - at
                clock.open += hours.open_between(at, until)
    ticket.phase = "resolved" if resolved else "suspended" if suspended else "waiting" if waiting else "open"
    return ticket


def inside(stretches: Iterable[Stretch], t: int) -> bool:
    """Whether a minute lies in one of them."""
    return any(a <= t and (b is None or t < b) for a, b in stretches)
