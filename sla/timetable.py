"""A calendar pinned as plain data, and the arithmetic of open time on it.

A `PinnedCalendar` lies in a workflow's history; its `Timetable` is built from it alone, without zone or holiday data.
"""

# ruff: noqa: FURB136 - min() is a call, and a call costs as much as a search; this is called millions of times.

import hashlib
from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from sla.civil import DAY_US, MICROSECOND, OffsetChange, Offsets, from_us, local_us, span_us, to_us, to_utc
from sla.errors import BeyondHorizon
from sla.hours import DAY, Ranges
from sla.openings import Rules, Segment, open_pieces
from sla.opentime import OpenTime, nothing
from sla.workdays import Workdays

NOTHING = timedelta(0)

__all__ = ["ClosedDay", "OpenSpan", "PinnedCalendar", "Segment", "SpecialDay", "Timetable", "from_us", "to_us"]


class ClosedDay(NamedTuple):
    """A local date on which support is closed, and why: the holiday's name, or "closure"."""

    day: date
    why: str


class SpecialDay(NamedTuple):
    """A local date with hours of its own."""

    day: date
    hours: Ranges


class OpenSpan(NamedTuple):
    """An open stretch of support time, `[opens, closes)`, as datetimes in UTC."""

    opens: datetime
    closes: datetime


class PinnedCalendar(BaseModel):
    """A calendar over fixed days, wholly as data: no release of time zones or holidays moves what it promises."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    timezone: str
    first: date
    """The first local date it answers for."""
    last: date
    """The last, inclusive."""
    week: Annotated[tuple[Ranges, ...], Field(min_length=7, max_length=7)]
    """The ranges that start on each weekday, from Monday, in seconds after local midnight."""
    special: tuple[SpecialDay, ...] = ()
    closed: tuple[ClosedDay, ...] = ()
    offsets: Annotated[tuple[OffsetChange, ...], Field(min_length=1)]
    """The UTC offset when the window begins, then each change within it."""
    tzdata_version: str
    holidays_version: str

    def timetable(self) -> "Timetable":
        """The arithmetic on this calendar; equal calendars share one."""
        return _timetable(self)

    def digest(self) -> str:
        """Twelve hex digits of a hash of the content: two calendars of one digest promise the same."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    def to_local(self, instant: datetime) -> datetime:
        """`Timetable.to_local`."""
        return self.timetable().to_local(instant)

    def from_local(self, local: datetime) -> datetime:
        """`Timetable.from_local`."""
        return self.timetable().from_local(local)


class Timetable(OpenTime):
    """Open time over the pinned days: instants in, instants out, exact to the microsecond.

    Stretches are half-open, `[opens, closes)`. Datetimes come in with any offset and go out in UTC; the methods named
    `…_us` take and give UTC microseconds since the epoch. All raise `NaiveDatetime` for a datetime without an offset,
    and `BeyondHorizon` for an instant outside the pinned days.
    """

    # `add` and `elapsed` search the same stretches as datetimes: that takes no longer than on integers, and saves
    # turning the question into integers and the answer back, which takes longer than the searches.
    __slots__ = (
        "_before_span",
        "_closes_at",
        "_end",
        "_opens_at",
        "_shift_at",
        "_total_span",
        "_workdays",
        "calendar",
    )

    def __init__(self, calendar: PinnedCalendar) -> None:
        self.calendar = calendar
        offsets = Offsets(calendar.offsets)
        closed = {day.toordinal() for day, _ in calendar.closed}
        rules = Rules(calendar.week, {day.toordinal(): hours for day, hours in calendar.special}, closed)
        pieces = open_pieces(rules, offsets, calendar.first, calendar.last)
        super().__init__(pieces, offsets, calendar.first, calendar.last)
        self._end = from_us(self._last)
        self._opens_at = [from_us(us) for us in self._opens]
        self._closes_at = [from_us(us) for us in self._closes]
        self._shift_at = [from_us(us) for us in self._shift]
        self._before_span = [MICROSECOND * us for us in self._before]
        self._total_span = MICROSECOND * self._total
        last = calendar.last.toordinal()
        runs_on = any(closes > DAY for _, closes in rules.hours(last))
        self._workdays = Workdays(pieces, offsets, closed, {last} if runs_on else set())

    def add(self, start: datetime, amount: timedelta) -> datetime:
        """The earliest instant by which `amount` of open time has passed since `start`.

        A start outside open hours counts from the next opening; an amount of zero gives `start` itself.

        Raises:
            NaiveDatetime: `start` carries no offset.
            NegativeAmount: `amount` is below zero.
            BeyondHorizon: `start` or the answer lies outside the pinned days; the error names the day.
        """
        if start.tzinfo is not UTC:
            start = to_utc(start)
        index = bisect_right(self._opens_at, start) - 1
        if index >= 0 and amount > NOTHING:
            closes = self._closes_at[index]
            total = (start if start < closes else closes) - self._shift_at[index] + amount
            if total <= self._total_span:
                return self._shift_at[bisect_left(self._before_span, total) - 1] + total
        # Nothing to add, or an error to raise.
        return from_us(self.add_us(to_us(start), span_us(amount)))

    def subtract(self, end: datetime, amount: timedelta) -> datetime:
        """The latest instant from which `amount` of open time remains until `end`.

        An amount of zero gives `end` itself.

        Raises:
            NaiveDatetime, NegativeAmount, BeyondHorizon: as `add`.
        """
        return from_us(self.subtract_us(to_us(end), span_us(amount)))

    def elapsed(self, since: datetime, until: datetime) -> timedelta:
        """The open time in `[since, until)`, exact; negative when `until` comes first.

        Raises:
            NaiveDatetime, BeyondHorizon: for either instant.
        """
        if since.tzinfo is not UTC:
            since = to_utc(since)
        if until.tzinfo is not UTC:
            until = to_utc(until)
        a, b = bisect_right(self._opens_at, since) - 1, bisect_right(self._opens_at, until) - 1
        if a < 0 or b < 0 or since > self._end or until > self._end:
            return MICROSECOND * self.elapsed_us(to_us(since), to_us(until))
        a_closes, b_closes = self._closes_at[a], self._closes_at[b]
        before_since = (since if since < a_closes else a_closes) - self._shift_at[a]
        return (until if until < b_closes else b_closes) - self._shift_at[b] - before_since

    def is_open(self, instant: datetime) -> bool:
        """Whether support is open at this instant; the close itself is closed."""
        return self.is_open_us(to_us(instant))

    def next_open(self, instant: datetime) -> datetime:
        """The earliest instant, not before this one, at which support is open: the instant itself while it is.

        Raises:
            BeyondHorizon: support does not open again within the pinned days.
        """
        return from_us(self.next_open_us(to_us(instant)))

    def segments(self, since: datetime, until: datetime) -> list[OpenSpan]:
        """The open stretches in `[since, until)`, cut to it, in order of time; none unless `until` is after `since`."""
        return [OpenSpan(from_us(s.opens), from_us(s.closes)) for s in self.segments_us(to_us(since), to_us(until))]

    def business_days(self, start: datetime, count: int) -> datetime:
        """When `count` business days from `start` are due: the earliest instant by which their budget has passed.

        Raises:
            NaiveDatetime, NegativeAmount, BeyondHorizon: as `add`.
        """
        instant = to_us(start)
        return from_us(self.add_us(instant, self.business_days_budget_us(instant, count)))

    def business_days_budget(self, start: datetime, count: int) -> timedelta:
        """What `count` business days from `start` grant, in open time.

        From `start` or, while support is closed, from the next opening, to the same local time of day on the business
        day that is `count` later; if support is not open then, to that day's close. What a business day is, `Workdays`
        says.
        """
        return MICROSECOND * self.business_days_budget_us(to_us(start), count)

    def business_days_budget_us(self, start: int, count: int) -> int:
        """`business_days_budget`, in microseconds."""
        if count <= 0:
            return nothing(0, count)
        opened = self.next_open_us(start)
        until = self._workdays.later(opened, count)
        if until is None:
            raise BeyondHorizon(f"the end of {count} business days from {self._show(start)}", self._days[1], "last")
        return self.elapsed_us(opened, until)

    def days_later_us(self, start: int, days: int) -> int:
        """The instant, `days` dates later, at which clocks there show the time of day that they show at `start`.

        In a fold it is the first pass; in a gap it is shifted on by the gap.
        """
        later = self._offsets.utc(self._offsets.local(start) + days * DAY_US)
        for instant in (start, later):
            if not self._first <= instant <= self._last:
                raise self._beyond(instant)
        return later

    def to_local(self, instant: datetime) -> datetime:
        """The same instant in the calendar's civil time, as a fixed offset with its name (`%Z` prints PDT).

        Outside the pinned days it is written with the nearest pinned offset: still the same instant.
        """
        return instant.astimezone(self._offsets.zone(to_us(instant)))

    def from_local(self, local: datetime) -> datetime:
        """The instant, in UTC, at which clocks there show this naive time.

        In a fold it is the first pass; in a gap it is shifted on by the gap.

        Raises:
            AwareDatetime: `local` carries an offset.
            BeyondHorizon: the date is not pinned.
        """
        instant = self._offsets.utc(local_us(local))
        if not self._first <= instant <= self._last:
            raise self._beyond(instant)
        return from_us(instant)


@lru_cache(maxsize=256)
def _timetable(calendar: PinnedCalendar) -> Timetable:
    return Timetable(calendar)
