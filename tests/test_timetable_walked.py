"""The arithmetic of open time, question by question against a walker that counts minutes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sla.calendar import BusinessCalendar
from sla.civil import span_us
from sla.errors import BadHours, BeyondHorizon
from sla.timetable import Timetable, from_us, to_us
from tests.tables import ALWAYS, CHANGES, DAY, MICRO, NIGHTS, table
from tests.walker import NAMES, Walker

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
        return {day: [*ranges] for day, ranges in ALWAYS.items()}
    points = draw(
        st.sets(
            st.builds(lambda day, slot: day * SLOTS + slot, st.integers(0, 6), slots_of_day), min_size=2, max_size=24
        )
    )
    ordered = sorted(points)
    if draw(st.booleans()):  # then open over the turn of the week
        ordered = [*ordered[1:], ordered[0] + 7 * SLOTS]
    hours: dict[str, list[str]] = {}
    for begins, closes in zip(ordered[::2], ordered[1::2], strict=False):
        opens = begins
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

    def says(self, question: str, *arguments: object) -> Any:
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


@settings(max_examples=600, deadline=None)
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
        due = case.says("add", start, amount)
        assert due is None or case.table.add_us(to_us(start), span_us(amount)) == to_us(due)
        case.says("subtract", start, amount)
        case.says("segments", since, until)
        elapsed = case.says("elapsed", since, until)
        assert case.table.elapsed(until, since) == -elapsed
        assert case.table.elapsed_us(to_us(until), to_us(since)) == -span_us(elapsed)
        case.says("business_days", start, data.draw(st.integers(1, 4)))


@pytest.mark.parametrize("day", [date(2006, 4, 2), date(2006, 10, 29)])
@pytest.mark.parametrize("closed", [frozenset(), frozenset({date(2006, 10, 29)}), frozenset({date(2006, 10, 28)})])
@pytest.mark.parametrize(
    "hours",
    [
        ALWAYS,
        NIGHTS,
        dict.fromkeys(
            NAMES,
            (
                "00:00-06:00",
                "23:00-23:50",
            ),
        ),
    ],
)
def test_clocks_that_change_a_minute_after_midnight(
    day: date, closed: frozenset[date], hours: Mapping[str, Sequence[str]]
) -> None:
    """St. John's did, to 2011: one date comes twice, with the hour before midnight in between."""
    first, last = day - DAY * 2, day + DAY * 2
    walker = Walker("America/St_Johns", hours, first, last, closed)
    case = Case(table(hours, "America/St_Johns", first, last, closures=closed), walker)
    case.says("segments", walker.begin, walker.end)
    case.says("elapsed", walker.begin, walker.end)
