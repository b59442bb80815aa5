"""The arithmetic of open time: against a walker that counts minutes, by its laws, and edge by edge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sla.calendar import BusinessCalendar
from sla.errors import AwareDatetime, BadHours, BeyondHorizon, NaiveDatetime, NegativeAmount
from sla.timetable import PinnedCalendar, Segment, Timetable, from_us, to_us
from tests.walker import DAY, NAMES, Walker, zone

MICRO = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
OFFICE = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ["06:00-18:00"])
NIGHTS = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ["22:00-06:00"])
ALWAYS = dict.fromkeys(NAMES, ["00:00-24:00"])

# Where clocks changed, and how: the walker and the timetable are asked about the days around each.
CHANGES = [
    ("America/Los_Angeles", date(2031, 3, 9)),
    ("America/Los_Angeles", date(2031, 11, 2)),
    ("America/Denver", date(2031, 3, 9)),
    ("America/Denver", date(2031, 11, 2)),
    ("Europe/Dublin", date(2031, 3, 30)),  # winter time is the exception there
    ("Europe/Dublin", date(2031, 10, 26)),
    ("Australia/Lord_Howe", date(2031, 4, 6)),  # by half an hour
    ("Australia/Lord_Howe", date(2031, 10, 5)),
    ("Africa/Casablanca", date(2026, 2, 15)),  # for Ramadan
    ("Africa/Casablanca", date(2026, 3, 22)),
    ("Africa/Casablanca", date(2026, 9, 20)),  # for good, in the pinned data only
    ("Pacific/Apia", date(2011, 12, 30)),  # a date left out
    ("Pacific/Apia", date(2020, 9, 27)),
    ("Pacific/Kwajalein", date(1993, 8, 21)),  # a date left out
    ("Asia/Kathmandu", date(1986, 1, 1)),  # by a quarter of an hour
    ("Asia/Kathmandu", date(2031, 6, 4)),
    ("America/St_Johns", date(2031, 3, 9)),
    ("America/St_Johns", date(2031, 11, 2)),
    ("America/Asuncion", date(2023, 10, 1)),  # midnight left out
    ("America/Asuncion", date(2024, 3, 24)),  # back over midnight
    ("America/Havana", date(2031, 3, 9)),
    ("America/Havana", date(2031, 11, 2)),
    ("Asia/Pyongyang", date(2015, 8, 15)),  # back by half an hour, over midnight
    ("America/Caracas", date(2016, 5, 1)),
    ("UTC", date(2031, 1, 1)),
]


def local(place: str, text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone(place), fold=fold)


def la(text: str, fold: int = 0) -> datetime:
    return local("America/Los_Angeles", text, fold)


def table(
    hours: Mapping[str, Sequence[str]] = OFFICE,
    place: str = "America/Los_Angeles",
    first: date = date(2031, 1, 1),
    last: date = date(2032, 12, 31),
    **more: object,
) -> Timetable:
    return BusinessCalendar(timezone=place, hours=hours, **more).pin(first, last).timetable()


def open_on(day: date, timetable: Timetable) -> timedelta:
    """The open time on one local date."""
    begins = datetime.combine(day, datetime.min.time())
    return timetable.elapsed(timetable.from_local(begins), timetable.from_local(begins + DAY))


# --- Against the walker ---------------------------------------------------------------------------------------------------

STEP = timedelta(minutes=5)
SLOTS = 288  # of five minutes, in a day
near_changes = st.sampled_from([0, 1, 6, 12, 18, 24, 27, 30, 36, 48, SLOTS - 12, SLOTS - 6, SLOTS - 1])
slots_of_day = st.one_of(near_changes, st.integers(0, SLOTS - 1))


def clock(slot: int) -> str:
    return f"{slot * 5 // 60:02}:{slot * 5 % 60:02}"


@st.composite
def weeks(draw: st.DrawFn) -> dict[str, list[str]]:
    """Hours that share no time: points around the week, open between every other two."""
    if draw(st.integers(0, 9)) == 0:
        return ALWAYS
    points = draw(st.sets(st.builds(lambda day, slot: day * SLOTS + slot, st.integers(0, 6), slots_of_day), min_size=2, max_size=24))
    ordered = sorted(points)
    if draw(st.booleans()):  # then open over the turn of the week
        ordered = [*ordered[1:], ordered[0] + 7 * SLOTS]
    hours: dict[str, list[str]] = {}
    for opens, closes in zip(ordered[::2], ordered[1::2], strict=False):
        while opens < closes:
            midnight = opens - opens % SLOTS + SLOTS
            ends = closes if closes - opens < SLOTS and draw(st.booleans()) else min(closes, midnight)
            text = f"{clock(opens % SLOTS)}-{'24:00' if ends == midnight else clock(ends % SLOTS)}"
            hours.setdefault(NAMES[opens // SLOTS % 7], []).append(text)
            opens = ends
    return hours


@st.composite
def days_of_hours(draw: st.DrawFn) -> list[str]:
    """One or two ranges for a special day; the last may run past midnight."""
    points = sorted(draw(st.sets(slots_of_day, min_size=2, max_size=4)))
    ranges = [f"{clock(a)}-{clock(b)}" for a, b in zip(points[::2], points[1::2], strict=False)]
    if len(points) == 3:
        ranges.append(f"{clock(points[2])}-{draw(st.sampled_from(['24:00', '00:05', clock(points[0])]))}")
    return [text for text in ranges if text[:5] != text[6:]]


@dataclass
class Case:
    """A timetable, and the walker over the same days."""

    table: Timetable
    walker: Walker

    def says(self, question: str, *arguments: object) -> object:
        """The timetable's answer, None for beyond the horizon; the walker must give the same."""
        try:
            answer = getattr(self.table, question)(*arguments)
        except BeyondHorizon:
            answer = None
        walked = getattr(self.walker, question)(*arguments)
        assert answer == walked, f"{question}{arguments}"
        return answer


@st.composite
def cases(draw: st.DrawFn) -> Case:
    place, changed = draw(st.sampled_from(CHANGES))
    first, last = changed - DAY * draw(st.integers(0, 5)), changed + DAY * draw(st.integers(0, 5))
    nearby = st.sampled_from([first + DAY * n for n in range(-1, (last - first).days + 2)])
    closed = draw(st.frozensets(nearby, max_size=3))
    special = draw(st.dictionaries(nearby, days_of_hours(), max_size=2))
    hours = draw(weeks())
    try:
        calendar = BusinessCalendar(timezone=place, hours=hours, closures=closed, special_hours=special)
    except BadHours:  # a special night that runs into the next day's hours
        special = {}
        calendar = BusinessCalendar(timezone=place, hours=hours, closures=closed)
    walker = Walker(place, hours, first, last, closed, special, STEP)
    assume(walker.begin < walker.end)  # not only a date that was left out
    return Case(calendar.pin(first, last).timetable(), walker)


@st.composite
def instants(draw: st.DrawFn, case: Case) -> datetime:
    """An instant of the window: anywhere, or within a microsecond of where something may begin."""
    first, last = case.table.horizon_us
    if draw(st.booleans()):
        return from_us(draw(st.integers(first, last - 1)))
    slot = draw(st.integers(0, (last - first) // (STEP // MICRO)))
    return from_us(min(max(first + slot * (STEP // MICRO) + draw(st.sampled_from([-1, 0, 1])), first), last - 1))


amounts = st.one_of(
    st.timedeltas(timedelta(0), timedelta(days=5)),
    st.builds(lambda slots, micros: STEP * slots + MICRO * micros, st.integers(1, 400), st.sampled_from([-1, 0, 1])),
)


@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_every_answer_equals_the_walkers(data: st.DataObject) -> None:
    case = data.draw(cases())
    assert case.table.horizon_us == (to_us(case.walker.begin), to_us(case.walker.end))
    for _ in range(3):
        start, other = data.draw(instants(case)), data.draw(instants(case))
        since, until = sorted((start, other))
        amount = data.draw(amounts)
        case.says("is_open", start)
        case.says("next_open", start)
        case.says("add", start, amount)
        case.says("subtract", start, amount)
        case.says("segments", since, until)
        elapsed = case.says("elapsed", since, until)
        assert case.table.elapsed(until, since) == -elapsed
        case.says("business_days", start, data.draw(st.integers(1, 4)))
