"""The laws of open time over two years, what a timetable refuses, and the data it is pinned as."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sla.errors import AwareDatetime, BeyondHorizon, NaiveDatetime, NegativeAmount
from sla.timetable import PinnedCalendar, Timetable, from_us, to_us
from tests.tables import ALWAYS, CHANGES, DAY, HOUR, MICRO, NIGHTS, OFFICE, la, table
from tests.walker import zone

TABLES = [
    table(holidays={"country": "US", "subdivision": None}, closures=["2031-12-24"]),
    table({"mon": ["09:00-12:00", "13:00-17:30:15"], "sat": ["10:00-14:00"]}, "America/Denver"),
    table(NIGHTS, "Australia/Lord_Howe", closures=["2031-10-05"]),
    table(ALWAYS, "Europe/Dublin"),
    table({**ALWAYS, "sun": ["00:00-02:30", "03:00-24:00"]}, "Africa/Casablanca"),
]
tables = st.sampled_from(TABLES)
spans = st.one_of(st.timedeltas(MICRO, 12 * HOUR), st.timedeltas(MICRO, timedelta(days=10)))


def moments(last: int = 400) -> st.SearchStrategy[datetime]:
    """Instants of the first `last` days or so, often on an hour, where hours begin and end."""
    begin, micros = datetime(2031, 1, 2, tzinfo=UTC), st.sampled_from([-MICRO, timedelta(0), MICRO])
    on_the_hour = st.builds(lambda hours, off: begin + HOUR * hours + off, st.integers(1, last * 24), micros)
    return st.one_of(st.timedeltas(timedelta(0), DAY * last).map(begin.__add__), on_the_hour)


@settings(max_examples=300, deadline=None)
@given(tables, moments(), spans)
def test_what_was_added_has_elapsed(timetable: Timetable, start: datetime, amount: timedelta) -> None:
    assert timetable.elapsed(start, timetable.add(start, amount)) == amount


@settings(max_examples=300, deadline=None)
@given(tables, moments(), spans, spans)
def test_adding_twice_is_adding_the_sum(timetable: Timetable, start: datetime, one: timedelta, two: timedelta) -> None:
    assert timetable.add(timetable.add(start, one), two) == timetable.add(start, one + two)


@settings(max_examples=300, deadline=None)
@given(tables, moments(), moments(), moments())
def test_elapsed_time_adds_up(timetable: Timetable, a: datetime, b: datetime, c: datetime) -> None:
    assert timetable.elapsed(a, b) + timetable.elapsed(b, c) == timetable.elapsed(a, c)


@settings(max_examples=300, deadline=None)
@given(tables, moments(), spans, spans)
def test_a_later_start_or_a_larger_amount_never_ends_sooner(
    timetable: Timetable, start: datetime, amount: timedelta, more: timedelta
) -> None:
    assert timetable.add(start, amount) <= timetable.add(start + more, amount)
    assert timetable.add(start, amount) < timetable.add(start, amount + more)


@settings(max_examples=300, deadline=None)
@given(tables, moments(), moments(), spans)
def test_add_is_the_earliest_and_subtract_the_latest_instant_with_the_amount(
    timetable: Timetable, start: datetime, end: datetime, amount: timedelta
) -> None:
    enough = timetable.elapsed(start, end) >= amount
    assert (timetable.add(start, amount) <= end) == enough
    if timetable.elapsed(from_us(timetable.horizon_us[0]), end) >= amount:
        assert (timetable.subtract(end, amount) >= start) == enough
    else:
        assert not enough


@settings(max_examples=300, deadline=None)
@given(tables, moments())
def test_open_now_means_that_time_is_counted_now(timetable: Timetable, at: datetime) -> None:
    assert timetable.is_open(at) == (timetable.elapsed(at, at + MICRO) == MICRO)
    assert timetable.is_open(timetable.next_open(at))
    assert timetable.elapsed(at, timetable.next_open(at)) == timedelta(0)


@settings(max_examples=300, deadline=None)
@given(tables, moments(), spans)
def test_segments_add_up_to_the_elapsed_time(timetable: Timetable, since: datetime, span: timedelta) -> None:
    segments = timetable.segments(since, since + span)
    assert sum((closes - opens for opens, closes in segments), timedelta(0)) == timetable.elapsed(since, since + span)
    assert all(one.closes < other.opens for one, other in pairwise(segments))


@settings(deadline=None)
@given(
    st.sampled_from([OFFICE, NIGHTS, {**OFFICE, "wed": ["06:00-09:00", "10:00-19:00"]}]), moments(), st.integers(1, 30)
)
def test_with_equally_long_days_business_days_are_their_length_each(
    hours: Mapping[str, Sequence[str]], start: datetime, count: int
) -> None:
    """In a zone without clock changes: every day is as long as it says."""
    timetable = table(hours, "America/Phoenix")
    length = 8 * HOUR if hours is NIGHTS else 12 * HOUR
    budget = timetable.business_days_budget(start, count)
    if hours["wed"] == hours["thu"]:
        assert budget == length * count
    assert timetable.business_days(start, count) == timetable.add(start, budget)


@pytest.mark.parametrize("question", ["is_open", "next_open", "to_local"])
def test_a_naive_instant_is_refused(question: str) -> None:
    with pytest.raises(NaiveDatetime, match=r"2031-07-07 10:00:00 has no UTC offset"):
        getattr(table(), question)(datetime.fromisoformat("2031-07-07 10:00"))


@pytest.mark.parametrize("question", ["elapsed", "segments"])
@pytest.mark.parametrize("naive", [0, 1])
def test_a_naive_instant_of_two_is_refused(question: str, naive: int) -> None:
    both = [la("2031-07-07 10:00"), la("2031-07-08 10:00")]
    both[naive] = both[naive].replace(tzinfo=None)
    with pytest.raises(NaiveDatetime, match=str(both[naive])):
        getattr(table(), question)(*both)


@pytest.mark.parametrize("question", ["add", "subtract"])
def test_a_naive_start_or_end_is_refused(question: str) -> None:
    with pytest.raises(NaiveDatetime):
        getattr(table(), question)(datetime.fromisoformat("2031-07-07 10:00"), HOUR)


def test_a_date_is_no_instant() -> None:
    with pytest.raises(TypeError, match="is no instant"):
        table().is_open(date(2031, 7, 7))  # type: ignore[arg-type]


@pytest.mark.parametrize("question", ["add", "subtract"])
def test_a_negative_amount_is_refused(question: str) -> None:
    with pytest.raises(NegativeAmount, match="below zero"):
        getattr(table(), question)(la("2031-07-07 10:00"), -MICRO)


BEFORE, AFTER = la("2031-01-01 00:00") - MICRO, la("2033-01-01 00:00") + MICRO


@pytest.mark.parametrize(
    ("at", "words"), [(BEFORE, "before 2031-01-01, the first"), (AFTER, "past 2032-12-31, the last")]
)
@pytest.mark.parametrize(
    ("question", "more"),
    [("is_open", []), ("next_open", []), ("add", [timedelta(0)]), ("add", [HOUR]), ("subtract", [HOUR]),
     ("elapsed", [la("2031-07-07 10:00")]), ("segments", [la("2031-07-07 10:00")]), ("business_days", [1])],
)  # fmt: skip
def test_an_instant_outside_the_pinned_days_is_refused(
    question: str, more: list[object], at: datetime, words: str
) -> None:
    with pytest.raises(BeyondHorizon, match=f"lies {words} pinned day"):
        getattr(table(), question)(at, *more)


def test_the_window_ends_with_its_last_midnight() -> None:
    end = la("2033-01-01 00:00")
    assert table().elapsed(la("2032-12-31 17:00"), end) == HOUR
    with pytest.raises(BeyondHorizon):
        table().is_open(end)


def test_an_answer_outside_the_pinned_days_is_refused_and_the_day_named() -> None:
    with pytest.raises(BeyondHorizon, match=r"the end of 2:00:00 of open time .* past 2032-12-31") as caught:
        table().add(la("2032-12-31 17:00"), 2 * HOUR)
    assert (caught.value.day, caught.value.side) == (date(2032, 12, 31), "last")
    with pytest.raises(BeyondHorizon, match="before 2031-01-01") as caught:
        table().subtract(la("2031-01-01 07:00"), 2 * HOUR)
    assert (caught.value.day, caught.value.side) == (date(2031, 1, 1), "first")
    with pytest.raises(BeyondHorizon, match="the next opening after 2032-12-31 18:00:00-08:00 lies past"):
        table().next_open(la("2032-12-31 18:00"))
    assert table().add(la("2032-12-31 17:00"), HOUR) == la("2032-12-31 18:00")


def test_a_window_without_open_time_says_so_and_never_loops() -> None:
    timetable = table(first=date(2031, 7, 12), last=date(2031, 7, 13))
    with pytest.raises(BeyondHorizon):
        timetable.next_open(la("2031-07-12 10:00"))
    assert timetable.elapsed(la("2031-07-12 10:00"), la("2031-07-13 10:00")) == timedelta(0)


@settings(deadline=None)
@given(st.sampled_from(CHANGES), st.integers(-72 * 60, 72 * 60))
def test_local_time_both_ways_as_zoneinfo_has_it(change: tuple[str, date], minutes: int) -> None:
    place, day = change
    timetable = table(ALWAYS, place, day - DAY * 5, day + DAY * 5)
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes)
    there = at.astimezone(zone(place))
    assert timetable.to_local(at).isoformat() == there.isoformat()
    assert timetable.to_local(at).tzname() == there.tzname()
    naive = datetime.combine(day, time()) + timedelta(minutes=minutes)
    assert timetable.from_local(naive) == naive.replace(tzinfo=zone(place)).astimezone(UTC)


def test_outside_the_pinned_days_local_time_is_still_the_same_instant() -> None:
    assert table().to_local(AFTER + DAY * 400) == AFTER + DAY * 400
    with pytest.raises(BeyondHorizon):
        table().from_local(datetime.fromisoformat("2033-01-02"))


def test_an_instant_is_no_local_time() -> None:
    with pytest.raises(AwareDatetime, match="has a UTC offset"):
        table().from_local(la("2031-07-07 10:00"))


def test_days_later_is_the_same_time_of_day_whatever_the_clocks_did() -> None:
    def later(text: str, days: int) -> datetime:
        return from_us(table().days_later_us(to_us(la(text)), days))

    assert later("2031-03-05 10:00", 7) == la("2031-03-12 10:00")
    assert later("2031-03-02 02:30", 7) == la("2031-03-09 03:30")  # skipped: on by the gap
    assert later("2031-10-26 01:30", 7) == la("2031-11-02 01:30", fold=0)  # shown twice: the first
    with pytest.raises(BeyondHorizon):
        later("2032-12-30 10:00", 7)
    with pytest.raises(BeyondHorizon):
        later("2030-12-30 10:00", 7)


def test_equal_pinned_calendars_share_a_timetable_even_after_a_journey_as_json() -> None:
    pinned = TABLES[0].calendar
    again = PinnedCalendar.model_validate_json(pinned.model_dump_json())
    assert again == pinned
    assert again.timetable() is pinned.timetable()
    assert again.digest() == pinned.digest()
    assert again.digest() != TABLES[1].calendar.digest()


def test_a_pinned_calendar_tells_local_time() -> None:
    pinned = TABLES[0].calendar
    assert f"{pinned.to_local(datetime(2031, 7, 7, 17, tzinfo=UTC)):%H:%M %Z}" == "10:00 PDT"
    assert pinned.from_local(datetime.fromisoformat("2031-07-07 10:00")) == datetime(2031, 7, 7, 17, tzinfo=UTC)


@given(st.datetimes(datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("9990-01-01")))
def test_instants_as_integers_are_exact(naive: datetime) -> None:
    at = naive.replace(tzinfo=UTC)
    assert from_us(to_us(at)) == at
    assert to_us(at + MICRO) == to_us(at) + 1
