"""Timetables and instants that tests of business time share."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from sla.calendar import BusinessCalendar
from sla.timetable import Timetable
from tests.walker import NAMES, zone

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MICRO = timedelta(microseconds=1)
OFFICE = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ("06:00-18:00",))
NIGHTS = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ("22:00-06:00",))
ALWAYS = dict.fromkeys(NAMES, ("00:00-24:00",))
YEAR = date(2031, 1, 1), date(2031, 12, 31)

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
    """The instant of a local time, in UTC: datetimes of one zone are compared and subtracted by their wall clocks."""
    return datetime.fromisoformat(text).replace(tzinfo=zone(place), fold=fold).astimezone(UTC)


def la(text: str, fold: int = 0) -> datetime:
    return local("America/Los_Angeles", text, fold)


def calendar(**changes: object) -> BusinessCalendar:
    written: dict[str, object] = {"timezone": "America/Los_Angeles", "hours": OFFICE}
    return BusinessCalendar(**written | changes)


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
