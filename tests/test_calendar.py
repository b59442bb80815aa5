"""A calendar as authors write it: what it takes, where it is read, and what it is pinned as."""

import subprocess
import sys
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib import metadata
from pathlib import Path

import pytest
import tzdata  # type: ignore[import-untyped]
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from sla import calendar as calendar_module
from sla.calendar import BusinessCalendar
from sla.errors import (
    BadHours,
    UnknownCountry,
    UnknownZone,
)
from sla.timetable import PinnedCalendar
from tests.tables import OFFICE, YEAR, calendar, la
from tests.walker import zone

# --- What an author may write ----------------------------------------------------------------------------------------


def test_a_calendar_is_read_from_yaml_with_dates_as_dates_or_as_text() -> None:
    text = """
    timezone: America/Los_Angeles
    hours: {mon: [06:00-18:00], sat: [], sun: ["22:00-06:00"]}
    holidays: {country: US}
    closures: [2031-12-24, "2031-12-26"]
    special_hours: {2031-12-31: [06:00-12:00], "2031-12-30": ["18:00-24:00"]}
    """
    read = BusinessCalendar.model_validate(yaml.safe_load(text))
    assert read.closures == (date(2031, 12, 24), date(2031, 12, 26))
    assert list(read.special_hours) == [date(2031, 12, 30), date(2031, 12, 31)]
    assert list(read.hours) == ["mon", "sun"]
    assert BusinessCalendar.model_validate_json(read.model_dump_json()) == read


def test_the_order_of_what_is_written_does_not_matter() -> None:
    hours = {"tue": ["13:00-18:00", "06:00-12:00"], "mon": ["06:00-18:00"]}
    one = calendar(hours=hours, closures=["2031-12-26", "2031-12-24"]).pin(*YEAR)
    two = calendar(hours=dict(reversed(hours.items())), closures=["2031-12-24", "2031-12-26", "2031-12-24"]).pin(*YEAR)
    assert one == two


def test_midnight_at_the_end_may_be_written_either_way() -> None:
    assert calendar(hours={"mon": ["18:00-24:00"]}).pin(*YEAR) == calendar(hours={"mon": ["18:00-00:00"]}).pin(*YEAR)


def test_the_schema_completes_and_checks_hours_in_an_editor() -> None:
    schema = BusinessCalendar.model_json_schema()
    assert schema["additionalProperties"] is False
    assert schema["properties"]["hours"]["propertyNames"]["enum"] == ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    assert "pattern" in schema["properties"]["hours"]["additionalProperties"]["items"]


# --- What reads it ---------------------------------------------------------------------------------------------------


class Contract(BaseModel):
    """Something that holds a calendar, as a policy file does."""

    model_config = ConfigDict(extra="forbid")

    hours: BusinessCalendar


def test_in_a_file_the_error_leads_to_its_place() -> None:
    with pytest.raises(ValidationError) as caught:
        Contract.model_validate({"hours": {"timezone": "UTC", "hours": {"wed": ["6-18"]}}})
    [error] = caught.value.errors()
    assert error["loc"] == ("hours", "hours")
    assert isinstance(error["ctx"]["error"], BadHours)
    assert error["ctx"]["error"].where == ("wed",)


def test_reading_data_reads_no_zone_and_no_holidays_until_it_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workflow code reads contracts from its history: that must touch nothing outside."""

    def refuse(*_: object) -> None:
        raise AssertionError("touched the outside")

    data = {"timezone": "Mars/Olympus", "hours": OFFICE, "holidays": {"country": "Narnia"}}
    with monkeypatch.context() as patched:
        patched.setattr(calendar_module, "_zone", refuse)
        patched.setattr(calendar_module, "_public_holidays", refuse)
        read = Contract.model_validate({"hours": data}).hours
        assert BusinessCalendar.model_validate(data) == read
    with pytest.raises(UnknownCountry):
        read.pin(*YEAR)
    with pytest.raises(UnknownZone):
        read.model_copy(update={"holidays": None}).pin(*YEAR)


# --- What is pinned --------------------------------------------------------------------------------------------------


def test_what_is_pinned_says_where_it_comes_from() -> None:
    pinned = calendar(name="Support hours").pin(*YEAR)
    assert (pinned.name, pinned.timezone, pinned.first, pinned.last) == ("Support hours", "America/Los_Angeles", *YEAR)
    assert pinned.tzdata_version == tzdata.IANA_VERSION
    assert pinned.holidays_version == metadata.version("holidays")
    assert PinnedCalendar.model_validate_json(pinned.model_dump_json()) == pinned


def test_holidays_are_pinned_with_their_names_and_closures_as_such() -> None:
    closed = dict(calendar(holidays={"country": "US"}, closures=["2031-12-24", "2031-12-25"]).pin(*YEAR).closed)
    assert closed[date(2031, 11, 27)] == "Thanksgiving Day"
    assert closed[date(2031, 12, 24)] == "closure"
    assert closed[date(2031, 12, 25)] == "Christmas Day"


def test_a_subdivision_adds_its_own_holidays() -> None:
    closed = dict(calendar(holidays={"country": "US", "subdivision": "CA"}).pin(*YEAR).closed)
    assert date(2031, 3, 31) in closed  # César Chávez Day


def test_a_holiday_is_closed_on_its_observed_day_even_when_that_is_in_the_year_before() -> None:
    """New Year's Day of 2033 is a Saturday, so the federal day off is Friday 2032-12-31."""
    pinned = calendar(holidays={"country": "US"}).pin(date(2032, 7, 1), date(2032, 12, 31))
    assert dict(pinned.closed)[date(2032, 12, 31)] == "New Year's Day (observed)"
    assert dict(pinned.closed)[date(2032, 7, 5)] == "Independence Day (observed)"
    assert not pinned.timetable().is_open(la("2032-12-31 10:00"))


def test_without_holidays_a_holiday_is_a_day_like_any_other() -> None:
    assert calendar().pin(*YEAR).timetable().is_open(la("2031-12-25 10:00"))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(zoneinfo.available_timezones() & calendar_module._zone_names())),
    st.dates(date(1902, 1, 1), date(2100, 1, 1)),
    st.integers(0, 800),
)
def test_the_pinned_offsets_are_the_zones_at_every_hour(name: str, first: date, days: int) -> None:
    last = first + timedelta(days=days)
    table = BusinessCalendar(timezone=name, hours=OFFICE).pin(first, last).timetable()
    at = table.from_local(datetime.combine(first, datetime.min.time()))
    while at <= table.from_local(datetime.combine(last, datetime.min.time())):
        assert table.to_local(at).utcoffset() == at.astimezone(zone(name)).utcoffset()
        at += timedelta(hours=7, minutes=1) if days < 60 else timedelta(days=3, hours=7)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), st.integers(0, 60), st.sampled_from(["22:00-06:00", "09:00-17:00"]))
def test_the_window_does_not_change_the_answers_inside_it(start: int, days: int, hours: str) -> None:
    """Least of all at its edges, where a night begins before it and a holiday is observed early."""
    written = calendar(
        hours=dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), (hours,)),
        holidays={"country": "US"},
        special_hours={date(2031, 7, 1) + timedelta(days=9 * n): ["12:00-13:00"] for n in range(9)},
    )
    first = date(2031, 6, 1) + timedelta(days=start)
    narrow = written.pin(first, first + timedelta(days=days)).timetable()
    wide = written.pin(date(2031, 1, 1), date(2032, 12, 31)).timetable()
    assert narrow.segments_us(*narrow.horizon_us) == wide.segments_us(*narrow.horizon_us)


@pytest.fixture
def a_system_that_knows_zones_wrongly(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "America").mkdir()
    utc = Path(tzdata.__file__).parent / "zoneinfo" / "UTC"
    (tmp_path / "America" / "Los_Angeles").write_bytes(utc.read_bytes())
    zoneinfo.reset_tzpath([tmp_path])
    calendar_module._zone.cache_clear()
    yield
    zoneinfo.reset_tzpath()


@pytest.mark.usefixtures("a_system_that_knows_zones_wrongly")
def test_the_pinned_tzdata_package_wins_over_the_systems_files() -> None:
    at = datetime(2031, 7, 7, 12, tzinfo=UTC)
    assert at.astimezone(zoneinfo.ZoneInfo.no_cache("America/Los_Angeles")).utcoffset() == timedelta(0)
    assert calendar().pin(*YEAR).to_local(at).utcoffset() == timedelta(hours=-7)


def test_counting_on_pinned_data_needs_neither_zones_nor_holidays() -> None:
    """A workflow builds timetables where neither can be read."""
    program = (
        "import sys; from sla.timetable import PinnedCalendar; "
        "pinned = PinnedCalendar.model_validate_json(sys.stdin.read()); "
        "print(pinned.timetable().horizon_us, sorted({'holidays', 'tzdata', 'sla.calendar'} & sys.modules.keys()))"
    )
    pinned = calendar().pin(*YEAR)
    ran = subprocess.run(
        [sys.executable, "-c", program], input=pinned.model_dump_json(), capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == f"{pinned.timetable().horizon_us} []"
