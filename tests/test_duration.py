"""Durations: read, printed, refused in the words an author needs, and turned into a budget."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from sla.duration import DURATION_PATTERN, Duration, Unit
from sla.errors import BadDuration, BeyondHorizon
from sla.timetable import from_us, to_us
from tests.tables import la, table

HOUR_US = 3_600_000_000


@pytest.mark.parametrize(
    ("text", "amount", "unit", "printed"),
    [
        ("2 business hours", 2, Unit.BUSINESS_HOUR, "2 business hours"),
        ("1 business day", 1, Unit.BUSINESS_DAY, "1 business day"),
        ("1 business days", 1, Unit.BUSINESS_DAY, "1 business day"),
        ("10 business day", 10, Unit.BUSINESS_DAY, "10 business days"),
        ("  4   elapsed \t hours ", 4, Unit.ELAPSED_HOUR, "4 elapsed hours"),
        ("2 calendar weeks", 2, Unit.CALENDAR_WEEK, "2 calendar weeks"),
        ("30 business minutes", 30, Unit.BUSINESS_MINUTE, "30 business minutes"),
        ("1 elapsed minute", 1, Unit.ELAPSED_MINUTE, "1 elapsed minute"),
        ("3 elapsed days", 3, Unit.ELAPSED_DAY, "3 elapsed days"),
        ("3 calendar days", 3, Unit.CALENDAR_DAY, "3 calendar days"),
    ],
)
def test_a_duration_is_read_and_printed(text: str, amount: int, unit: Unit, printed: str) -> None:
    read = Duration.parse(text)
    assert (read.amount, read.unit) == (amount, unit)
    assert str(read) == printed


@given(st.builds(Duration, st.integers(1, 999_999), st.sampled_from(Unit)))
def test_what_is_printed_is_read_again(duration: Duration) -> None:
    assert Duration.parse(str(duration)) == duration


@pytest.mark.parametrize(
    "text",
    [
        "4 busines hours",
        "business hours",
        "two business hours",
        "1.5 business hours",
        "-2 business hours",
        "0 business hours",
        "2business hours",
        "2 hours",
        "2 business weeks",
        "2 calendar hours",
        "2 business hours 30 business minutes",
        "1000000 business hours",
        "٣ business hours",
        "2 BUSINESS HOURS",
        "",
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    allowed = "write a whole number and one of: business hours, business days, elapsed hours, calendar weeks"
    with pytest.raises(BadDuration) as caught:
        Duration.parse(text)
    assert str(caught.value) == f'"{text}"; {allowed}'


def test_no_duration_is_zero_or_less() -> None:
    with pytest.raises(BadDuration, match="0 business hours"):
        Duration(0, Unit.BUSINESS_HOUR)


class Target(BaseModel):
    P1: Duration


def test_models_read_and_write_durations_as_text() -> None:
    target = Target.model_validate({"P1": "2  business hours"})
    assert Duration(2, Unit.BUSINESS_HOUR) == target.P1
    assert target.model_dump_json() == '{"P1":"2 business hours"}'
    assert Target.model_validate_json(target.model_dump_json()) == target
    assert Target(P1=target.P1) == target


@pytest.mark.parametrize("value", [4, None, 1.5, ["2 business hours"]])
def test_models_refuse_what_is_no_text_in_the_same_words(value: object) -> None:
    with pytest.raises(ValidationError, match="write a whole number and one of: business hours") as caught:
        Target.model_validate({"P1": value})
    assert caught.value.errors()[0]["loc"] == ("P1",)


def test_the_schema_lets_an_editor_check_a_duration() -> None:
    schema = TypeAdapter(Duration).json_schema()
    assert schema["type"] == "string"
    assert schema["pattern"] == DURATION_PATTERN
    assert [str(Duration.parse(example)) for example in schema["examples"]] == schema["examples"]


@pytest.mark.parametrize("unit", Unit)
def test_business_units_count_open_time_and_the_others_do_not(unit: Unit) -> None:
    assert Duration(1, unit).counts_open_time == unit.value.startswith("business")


@pytest.mark.parametrize(
    ("text", "received", "hours"),
    [
        ("90 business minutes", "2031-07-12 10:00", 1.5),
        ("2 business hours", "2031-07-12 10:00", 2),
        ("1 business day", "2031-07-08 10:00", 12),
        ("72 elapsed hours", "2031-03-08 10:00", 72),
        ("30 elapsed minutes", "2031-03-08 10:00", 0.5),
        ("3 elapsed days", "2031-03-08 10:00", 72),
        ("1 calendar week", "2031-07-08 10:00", 168),
        ("1 calendar week", "2031-03-08 10:00", 167),  # clocks went on
        ("2 calendar weeks", "2031-10-30 10:00", 337),  # clocks went back
        ("1 calendar day", "2031-03-08 02:30", 24),  # 02:30 is skipped: 03:30
        ("1 calendar day", "2031-11-01 01:30", 24),  # 01:30 comes twice: the first
    ],
)
def test_what_a_duration_grants(text: str, received: str, hours: float) -> None:
    assert Duration.parse(text).budget_us(table(), to_us(la(received))) == hours * HOUR_US


def test_business_days_grant_what_the_timetable_says() -> None:
    received = la("2031-07-10 15:00")
    granted = Duration.parse("3 business days").budget_us(table(), to_us(received))
    assert timedelta(microseconds=granted) == table().business_days_budget(received, 3)


@pytest.mark.parametrize("text", ["4 calendar weeks", "20 business days"])
def test_days_that_lead_past_the_pinned_ones_are_beyond_the_horizon(text: str) -> None:
    short = table(last=date(2031, 1, 15))
    with pytest.raises(BeyondHorizon, match="2031-01-15"):
        Duration.parse(text).budget_us(short, to_us(la("2031-01-02 10:00")))


@pytest.mark.parametrize("text", ["900 elapsed hours", "900 business hours"])
def test_hours_are_what_they_are_whenever_they_end(text: str) -> None:
    short = table(last=date(2031, 1, 15))
    assert Duration.parse(text).budget_us(short, to_us(la("2031-01-02 10:00"))) == 900 * HOUR_US


def test_calendar_weeks_end_at_the_same_local_time() -> None:
    start = to_us(la("2031-03-05 10:00"))
    due = from_us(start + Duration.parse("2 calendar weeks").budget_us(table(), start))
    assert due == datetime(2031, 3, 19, 17, tzinfo=UTC)
