"""Business time counted minute by minute: slow, obviously right, and written apart from `sla`.

It asks `zoneinfo` for everything, keeps open time as a plain set of short steps, and knows no search and no prefix sum.
Hours and offsets must be whole steps; the questions may be of any microsecond.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@cache
def zone(name: str) -> ZoneInfo:
    """A zone from the package's own files."""
    with (Path(tzdata.__file__).parent / "zoneinfo" / name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def instant(place: ZoneInfo, day: date, clock: str) -> datetime:
    """The instant of a local time by the rules of `datetime`: fold 0 is the first pass, and shifts on over a gap."""
    if clock == "24:00":
        day, clock = day + DAY, "00:00"
    return datetime.combine(day, time.fromisoformat(clock), tzinfo=place).astimezone(UTC)


@dataclass
class Walker:
    """The open steps of the local dates `first` to `last`."""

    timezone: str
    hours: Mapping[str, Sequence[str]]
    first: date
    last: date
    closed: frozenset[date] = frozenset()
    special: Mapping[date, Sequence[str]] = field(default_factory=dict)
    step: timedelta = timedelta(minutes=1)

    def __post_init__(self) -> None:
        self.zone = zone(self.timezone)
        self.begin = instant(self.zone, self.first, "00:00")
        self.end = instant(self.zone, self.last, "24:00")
        local_dates = {at: at.astimezone(self.zone).date() for at in self.steps(self.begin, self.end)}
        dates_that_exist = set(local_dates.values())
        weekly: dict[datetime, date] = {}
        special: dict[datetime, date] = {}
        day = self.first
        while day <= self.last:
            for owner, opens, closes in self.ranges_on(day) if day in dates_that_exist else ():
                book = special if owner in self.special else weekly
                for at in self.steps(instant(self.zone, day, opens), instant(self.zone, day, closes)):
                    book[at] = owner
            day += DAY
        self.owner: dict[datetime, date] = {}
        """Each open step, and the date on which its shift starts."""
        for at, local_date in local_dates.items():
            if local_date in self.closed:
                continue
            if at in special:
                self.owner[at] = special[at]
            elif at in weekly and local_date not in self.special:
                self.owner[at] = weekly[at]

    def steps(self, since: datetime, until: datetime) -> Iterator[datetime]:
        while since < until:
            yield since
            since += self.step

    def step_of(self, at: datetime) -> datetime:
        at = at.astimezone(UTC)
        return at - (at - EPOCH) % self.step

    def ranges_of(self, day: date) -> Sequence[str]:
        return self.special.get(day) or self.hours.get(NAMES[day.weekday()], ())

    def ranges_on(self, day: date) -> Iterator[tuple[date, str, str]]:
        """What lies on one date: the ends of last night's ranges, then its own up to midnight."""
        for text in self.ranges_of(day - DAY):
            opens, closes = text.split("-")
            if closes < opens and closes != "00:00":
                yield day - DAY, "00:00", closes
        for text in self.ranges_of(day):
            opens, closes = text.split("-")
            yield day, opens, closes if closes > opens else "24:00"

    def is_open(self, at: datetime) -> bool:
        return self.step_of(at) in self.owner

    def next_open(self, at: datetime) -> datetime | None:
        """The first open instant from `at` on; None: not in these dates."""
        if self.is_open(at):
            return at
        return min((opens for opens in self.owner if opens > at), default=None)

    def elapsed(self, since: datetime, until: datetime) -> timedelta:
        """Open time in `[since, until)`, for `since` not after `until`."""
        lasted = (min(at + self.step, until) - max(at, since) for at in self.owner)
        return sum((span for span in lasted if span > timedelta(0)), timedelta(0))

    def add(self, start: datetime, amount: timedelta) -> datetime | None:
        """The first instant by which `amount` has passed; None: not in these dates."""
        if not amount:
            return start
        for at in sorted(self.owner):
            lasted = at + self.step - max(at, start)
            if lasted >= amount:
                return max(at, start) + amount
            amount -= max(lasted, timedelta(0))
        return None

    def subtract(self, end: datetime, amount: timedelta) -> datetime | None:
        """The last instant from which `amount` remains until `end`; None: not in these dates."""
        if not amount:
            return end
        for at in sorted(self.owner, reverse=True):
            lasted = min(at + self.step, end) - at
            if lasted >= amount:
                return min(at + self.step, end) - amount
            amount -= max(lasted, timedelta(0))
        return None

    def segments(self, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
        """The open stretches in `[since, until)`."""
        found: list[tuple[datetime, datetime]] = []
        for at in sorted(self.owner):
            opens, closes = max(at, since), min(at + self.step, until)
            if opens < closes and found and found[-1][1] == opens:
                found[-1] = (found[-1][0], closes)
            elif opens < closes:
                found.append((opens, closes))
        return found

    def business_days(self, start: datetime, count: int) -> datetime | None:
        """When `count` business days are due, by the contracts' reading; None: these dates don't tell."""
        opened = self.next_open(start)
        if opened is None:
            return None
        began = self.owner[self.step_of(opened)]
        days = sorted(day for day in set(self.owner.values()) - self.closed if day > began)
        if len(days) < count or (days[count - 1] == self.last and self.runs_on(self.last)):
            return None
        day = days[count - 1]
        wall = opened.astimezone(self.zone).replace(tzinfo=None, fold=0) - datetime.combine(began, time())
        until = (datetime.combine(day, time()) + wall).replace(tzinfo=self.zone).astimezone(UTC)
        steps = {at for at, owner in self.owner.items() if owner == day}
        if self.step_of(until) not in steps:
            until = max(steps) + self.step
        return self.add(opened, self.elapsed(opened, until))

    def runs_on(self, day: date) -> bool:
        """Whether a range of this date ends on the next."""
        spans = (text.split("-") for text in self.ranges_of(day))
        return any(closes < opens and closes != "00:00" for opens, closes in spans)
