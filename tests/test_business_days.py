"""Business days by the reading of the contracts: the same local time, some business days later."""

from datetime import date

import pytest

from sla.errors import BeyondHorizon
from tests.tables import ALWAYS, HOUR, NIGHTS, OFFICE, la, local, table


@pytest.mark.parametrize(
    ("received", "count", "due"),
    [
        ("2031-07-08 10:00", 1, "2031-07-09 10:00"),  # Tuesday: the example of the contracts' reading
        ("2031-07-06 15:00", 1, "2031-07-07 18:00"),  # Sunday: Monday's close
        ("2031-07-11 17:00", 1, "2031-07-14 17:00"),  # over a weekend
        ("2031-07-03 17:00", 1, "2031-07-07 17:00"),  # over Independence Day and a weekend
        ("2031-07-08 18:00", 1, "2031-07-09 18:00"),  # at the close: from the next opening
        ("2031-07-08 05:00", 1, "2031-07-08 18:00"),  # before opening
        ("2031-07-08 06:00", 1, "2031-07-08 18:00"),  # at opening: twelve hours have passed at the close
        ("2031-07-08 10:00", 5, "2031-07-15 10:00"),
        ("2031-03-07 10:00", 1, "2031-03-10 10:00"),  # over a change of clocks
    ],
)
def test_business_days_in_los_angeles(received: str, count: int, due: str) -> None:
    timetable = table(holidays={"country": "US"})
    assert timetable.business_days(la(received), count) == la(due)


@pytest.mark.parametrize(
    ("received", "count", "due"),
    [
        ("2031-07-08 10:00", 2, "2031-07-10 10:00"),
        ("2031-07-06 15:00", 2, "2031-07-08 17:00"),
        ("2031-11-25 16:59", 2, "2031-11-28 16:59"),  # over Thanksgiving
        ("2031-11-01 09:00", 10, "2031-11-17 17:00"),  # from Saturday, over Veterans Day
    ],
)
def test_business_days_in_denver(received: str, count: int, due: str) -> None:
    timetable = table(
        dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ("09:00-17:00",)),
        "America/Denver",
        holidays={"country": "US"},
    )
    assert timetable.business_days(local("America/Denver", received), count) == local("America/Denver", due)


def test_when_support_is_closed_at_that_time_the_budget_runs_to_that_days_close() -> None:
    """Thursday 15:00 to a Friday that closes at noon: 3 h and 6 h, so noon."""
    timetable = table({**OFFICE, "fri": ["06:00-12:00"]})
    assert timetable.business_days_budget(la("2031-07-10 15:00"), 1) == 9 * HOUR
    assert timetable.business_days(la("2031-07-10 15:00"), 1) == la("2031-07-11 12:00")
    lunch = table({**OFFICE, "fri": ["06:00-12:00", "13:00-18:00"]})
    assert lunch.business_days(la("2031-07-10 12:30"), 1) == la("2031-07-11 18:00")


def test_a_night_counts_as_the_day_on_which_it_starts() -> None:
    timetable = table(NIGHTS)
    assert timetable.business_days(la("2031-07-11 23:00"), 1) == la("2031-07-14 23:00")  # Friday night to Monday night
    assert timetable.business_days(la("2031-07-12 02:00"), 1) == la("2031-07-15 02:00")  # still Friday's
    assert timetable.business_days(la("2031-07-08 12:00"), 1) == la("2031-07-09 06:00")


def test_the_night_left_of_a_closed_date_is_no_business_day() -> None:
    timetable = table(NIGHTS, closures=["2031-07-08"])
    assert timetable.business_days(la("2031-07-07 23:00"), 1) == la("2031-07-09 23:00")


def test_round_the_clock_a_business_day_is_a_calendar_day() -> None:
    assert table(ALWAYS).business_days(la("2031-03-08 10:00"), 1) == la("2031-03-09 10:00")


def test_no_business_days_are_no_time() -> None:
    assert table().business_days(la("2031-07-12 10:00"), 0) == la("2031-07-12 10:00")


def test_a_business_day_whose_close_is_not_pinned_is_beyond_the_horizon() -> None:
    timetable = table(NIGHTS, first=date(2031, 7, 7), last=date(2031, 7, 9))
    assert timetable.business_days(la("2031-07-07 23:00"), 1) == la("2031-07-08 23:00")
    with pytest.raises(BeyondHorizon, match="2 business days from 2031-07-07 23:00:00-07:00 lies past 2031-07-09"):
        timetable.business_days(la("2031-07-07 23:00"), 2)
