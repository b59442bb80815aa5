"""Who is on duty over a year, and which rungs of a ladder would find nobody.

A rung finds nobody when everybody it may tell or hand to is off duty from the moment it fires to the clock's deadline;
a rung that waits for a miss has no deadline left, so for it the moment of firing counts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from sla.civil import DAY_US, SECOND_US, from_us, to_us
from sla.duration import Duration
from sla.errors import BeyondHorizon
from sla.playbook import LadderStep, Moment
from sla.policy import Contract
from sla.roster import Member, Team
from sla.timetable import Timetable

Span = tuple[int, int]
"""`[start, end)` in UTC microseconds since the epoch."""
LOOK_AHEAD = timedelta(weeks=53)
_LEAD_IN = timedelta(days=120)
_MINUTE = 60 * SECOND_US


@dataclass(frozen=True)
class Coverage:
    """A team's hours of duty from `first` on, for 53 weeks.

    Compiles calendars, so it is asked outside workflows only.
    """

    team: Team
    first: date
    _spans: dict[str, list[Span]] = field(default_factory=dict)
    _gaps: dict[frozenset[str], list[Span]] = field(default_factory=dict)

    @property
    def window(self) -> Span:
        """What is looked at."""
        start = to_us(datetime.combine(self.first, time(), tzinfo=from_us(0).tzinfo))
        return start, start + LOOK_AHEAD.days * DAY_US

    def duty(self, member: str) -> list[Span]:
        """When a member is on duty, in order of time."""
        if member not in self._spans:
            self._spans[member] = self._duty(self.team.members[member])
        return self._spans[member]

    def gaps(self, members: frozenset[str]) -> list[Span]:
        """When none of them is on duty, in order of time."""
        if members not in self._gaps:
            spans = sorted(span for member in members for span in self.duty(member))
            self._gaps[members] = list(_between(spans, self.window))
        return self._gaps[members]

    def _duty(self, member: Member) -> list[Span]:
        start, end = self.window
        hours = member.hours or self.team.hours
        if member.always or hours is None:
            table, spans = None, [self.window]
        else:
            table = hours.pin(self.first - timedelta(days=2), self.first + LOOK_AHEAD + timedelta(days=2)).timetable()
            spans = [(s.opens, s.closes) for s in table.segments_us(start, end)]
        for absence in member.absences:
            away = self._midnight(table, absence.first), self._midnight(table, absence.last + timedelta(days=1))
            spans = [part for span in spans for part in _without(span, away)]
        return spans

    def _midnight(self, table: Timetable | None, day: date) -> int:
        start, end = self.window
        if table is not None and self.first <= day <= self.first + LOOK_AHEAD:
            return to_us(table.from_local(datetime.combine(day, time())))
        return min(max(to_us(datetime.combine(day, time(), tzinfo=from_us(0).tzinfo)), start), end)


@dataclass(frozen=True, slots=True)
class Quiet:
    """An example of a rung that finds nobody: receipt, firing, deadline, and when somebody is back (None: never)."""

    priority: str
    received: datetime
    fires: datetime
    due: datetime
    back: datetime | None


def audience(step: LadderStep, team: Team) -> frozenset[str]:
    """Everybody of the team whom a step may tell or hand the ticket to."""
    people = {m for role in step.tells for m in team.roles.get(role, ())}
    if step.reassign or {"assignee", "on_duty"} & set(step.tells):
        people |= {m for tier in team.tiers for m in tier.members}
    return frozenset(people)


def quiet(contract: Contract, clock: str, step: LadderStep, coverage: Coverage) -> Quiet | None:
    """The first example of a rung on a clock that finds nobody of its audience on duty; None: it always finds one."""
    people = audience(step, coverage.team)
    gaps = coverage.gaps(people) if people else []
    if not gaps:
        return None
    first = coverage.first
    table = contract.hours.pin(first - _LEAD_IN, first + LOOK_AHEAD + _LEAD_IN).timetable()
    for priority, target in contract.clocks[clock].targets.items():
        if not step.applies(clock, priority):
            continue
        for gap in gaps:
            found = _in_gap(table, target, step.at, gap, coverage.window[0])
            if found is not None:
                received, fires, due = (table.to_local(from_us(us)) for us in found)
                back = None if gap[1] >= coverage.window[1] else table.to_local(from_us(gap[1]))
                return Quiet(priority, received, fires, due, back)
    return None


def _in_gap(
    table: Timetable, target: Duration, moment: Moment, gap: Span, not_before: int
) -> tuple[int, int, int] | None:
    """Receipt, firing and deadline of a ticket whose rung fires as early in the gap as it may, if that finds nobody."""
    try:
        aim = gap[0]
        if _counts_open(target, moment) and not table.is_open_us(aim):
            aim = table.next_open_us(aim) + _MINUTE
        received = max(_received(table, target, moment, aim), not_before)
        fires, due = _course(table, target, moment, received)
    except BeyondHorizon:
        return None
    if not gap[0] <= fires < gap[1]:
        return None
    return (received, fires, due) if moment.needs_miss or due <= gap[1] else None


def _counts_open(target: Duration, moment: Moment) -> bool:
    return target.counts_open_time if moment.after is None else moment.after.counts_open_time


def _received(table: Timetable, target: Duration, moment: Moment, fires: int) -> int:
    """When a ticket is received whose rung fires then. A budget of days depends on the receipt, so it is drawn near."""
    if moment.after is not None:
        fires = _back(table, moment.after, moment.after.budget_us(table, fires), fires)
    received = fires
    for _ in range(4):
        budget = target.budget_us(table, received)
        received = _back(table, target, _share(budget, moment), fires)
    return received


def _back(table: Timetable, duration: Duration, amount: int, end: int) -> int:
    return table.subtract_us(end, amount) if duration.counts_open_time else end - amount


def _course(table: Timetable, target: Duration, moment: Moment, received: int) -> tuple[int, int]:
    """When the rung fires for a ticket received then, and when the target is due."""
    budget = target.budget_us(table, received)

    def on(start: int, amount: int, duration: Duration) -> int:
        return table.add_us(start, amount) if duration.counts_open_time else start + amount

    due = on(received, budget, target)
    if not moment.needs_miss:
        return on(received, _share(budget, moment), target), due
    declared = table.next_open_us(due) if target.counts_open_time else due
    if moment.after is None:
        return declared, due
    return on(declared, moment.after.budget_us(table, declared), moment.after), due


def _share(budget: int, moment: Moment) -> int:
    return -(-budget * (moment.percent or 100) // 100)


def _between(spans: Iterable[Span], window: Span) -> Iterator[Span]:
    at, end = window
    for opens, closes in spans:
        if opens > at:
            yield at, min(opens, end)
        at = max(at, closes)
    if at < end:
        yield at, end


def _without(span: Span, hole: Span) -> Iterator[Span]:
    if span[0] < min(span[1], hole[0]):
        yield span[0], min(span[1], hole[0])
    if max(span[0], hole[1]) < span[1]:
        yield max(span[0], hole[1]), span[1]
