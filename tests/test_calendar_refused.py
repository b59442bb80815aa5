"""What a calendar refuses, each with an error of its own, in one sentence: what, where, what is allowed."""

from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError

from sla.errors import (
    BadDate,
    BadHours,
    BadWindow,
    EmptyWeek,
    PolicyError,
    UnknownCountry,
    UnknownSubdivision,
    UnknownZone,
)
from tests.tables import YEAR, calendar, la

REFUSED: list[tuple[dict[str, object], type[PolicyError], str]] = [
    ({"timezone": "America/Los_Angles"}, UnknownZone, r'timezone is "America/Los_Angles", .* America/Los_Angeles\?$'),
    ({"timezone": "los angeles"}, UnknownZone, r"did you mean America/Los_Angeles\?$"),
    ({"timezone": "PST"}, UnknownZone, r"write a name such as America/Los_Angeles$"),
    ({"timezone": ""}, UnknownZone, r"write a name such as"),
    ({"timezone": "../../../../etc/passwd"}, UnknownZone, r"does not know"),
    ({"timezone": "/etc/localtime"}, UnknownZone, r"does not know"),
    ({"timezone": "America"}, UnknownZone, r"does not know"),
    ({"holidays": {"country": "us"}}, UnknownCountry, r'holidays.country is "us", .* did you mean US\?$'),
    ({"holidays": {"country": "Narnia"}}, UnknownCountry, r"write an ISO 3166 code such as US, CA or DE$"),
    (
        {"holidays": {"country": "US", "subdivision": "QQ"}},
        UnknownSubdivision,
        r"none of US; write one of: AK, AL, .*, WY$",
    ),
    ({"holidays": {"country": "MC", "subdivision": "QQ"}}, UnknownSubdivision, r"none of MC; leave it out"),
    ({"hours": {}}, EmptyWeek, r"hours has no open hour in the week; write at least one range"),
    ({"hours": {"mon": [], "tue": None}}, EmptyWeek, r"hours has no open hour"),
    ({"hours": {"monday": ["06:00-18:00"]}}, BadHours, r'hours names "monday"; write one of: mon, tue, wed, thu, fri'),
    ({"hours": ["06:00-18:00"]}, BadHours, r"hours is \['06:00-18:00'\]; write a list of ranges for each day"),
    ({"hours": {"mon": "06:00-18:00"}}, BadHours, r'hours.mon is "06:00-18:00"; write a list of ranges'),
    ({"hours": {"mon": 0}}, BadHours, r"hours.mon is 0; write a list"),
    ({"hours": {"tue": ["6-18"]}}, BadHours, r'hours.tue has "6-18"; write a range such as 06:00-18:00'),
    ({"hours": {"tue": ["06:00-18:00\n"]}}, BadHours, r"write a range such as"),
    ({"hours": {"tue": ["06:60-18:00"]}}, BadHours, r"write a range such as"),
    ({"hours": {"tue": ["06:00-24:01"]}}, BadHours, r"write a range such as"),
    ({"hours": {"tue": ["24:00-06:00"]}}, BadHours, r"write a range such as"),
    ({"hours": {"tue": ["09:00-09:00"]}}, BadHours, r'hours.tue has "09:00-09:00", .* write 00:00-24:00$'),
    (
        {"hours": {"wed": ["11:00-13:00", "06:00-12:00"]}},
        BadHours,
        r"hours.wed has 06:00-12:00 and 11:00-13:00, which overlap",
    ),
    ({"hours": {"wed": ["06:00-12:00", "06:00-12:00"]}}, BadHours, r"overlap"),
    ({"hours": {"wed": ["22:00-06:00", "23:00-24:00"]}}, BadHours, r"22:00-06:00 and 23:00-24:00, which overlap"),
    (
        {"hours": {"sun": ["22:00-06:00"], "mon": ["05:59:59-12:00"]}},
        BadHours,
        r"hours.sun has 22:00-06:00, which runs past midnight into 05:59:59-12:00 of hours.mon",
    ),
    ({"hours": {"mon": ["18:00-06:00"], "tue": ["01:00-02:00"]}}, BadHours, r"runs past midnight into"),
    ({"closures": ["24 December"]}, BadDate, r'closures has "24 December"; write a date such as 2031-12-24'),
    ({"closures": ["2031-02-29"]}, BadDate, r"write a date"),
    ({"closures": ["20311224"]}, BadDate, r"write a date"),
    ({"closures": [1956528000]}, BadDate, r"write a date"),
    ({"closures": [datetime(2031, 12, 24, tzinfo=UTC)]}, BadDate, r"write a date"),
    ({"closures": "2031-12-24"}, BadDate, r'closures is "2031-12-24"; write a list of dates'),
    ({"closures": ["9999-12-31"]}, BadDate, r"write a date"),
    ({"special_hours": {"New Year": ["06:00-12:00"]}}, BadDate, r'special_hours has "New Year"; write a date'),
    ({"special_hours": {"2031-12-31": []}}, BadHours, r"special_hours.2031-12-31 is empty; .* under closures"),
    ({"special_hours": {"2031-12-31": ["6-12"]}}, BadHours, r'special_hours.2031-12-31 has "6-12"'),
    ({"special_hours": ["2031-12-31"]}, BadHours, r"write a list of ranges for each date"),
    (
        {"special_hours": {"2031-12-30": ["22:00-07:00"]}},
        BadHours,
        r"special_hours.2031-12-30 has 22:00-07:00, which runs past midnight into 06:00-18:00 of hours.wed",
    ),
    (
        {"special_hours": {"2031-12-30": ["22:00-03:00"], "2031-12-31": ["02:00-03:00"]}},
        BadHours,
        r"into 02:00-03:00 of special_hours.2031-12-31",
    ),
]


@pytest.mark.parametrize(("written", "error", "words"), REFUSED)
def test_what_is_wrong_is_said_in_one_sentence(
    written: dict[str, object], error: type[PolicyError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        calendar(**written)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)


def test_a_special_night_may_run_into_a_closed_date() -> None:
    special = {"2031-12-30": ["22:00-07:00"]}
    table = calendar(special_hours=special, closures=["2031-12-31"]).pin(*YEAR).timetable()
    assert not table.is_open(la("2031-12-31 06:30"))


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="weekly_hours"):
        calendar(weekly_hours={})


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2031, 2, 1), date(2031, 1, 31)),
        (date(1899, 12, 31), date(1900, 1, 31)),
        (date(2031, 1, 1), date(2132, 1, 1)),
        (date(9990, 1, 1), date(9999, 12, 31)),
        (datetime(2031, 1, 1, tzinfo=UTC), datetime(2031, 2, 1, tzinfo=UTC)),
    ],
)
def test_days_that_can_not_be_pinned_are_refused(first: date, last: date) -> None:
    with pytest.raises(BadWindow, match="can't be pinned; give"):
        calendar().pin(first, last)
