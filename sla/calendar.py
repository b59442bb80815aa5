"""A support calendar as its author writes it, and its pinning.

The only file that reads holidays, and time zones (from the `tzdata` package, never the system's files). `pin` does, so
only activities and the command line call it. What it makes, a `PinnedCalendar`, needs neither.
"""

import difflib
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from importlib import metadata, resources
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped]
from holidays import country_holidays, list_supported_countries
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sla.civil import EPOCH, OffsetChange
from sla.errors import (
    BadWindow,
    PolicyError,
    UnknownCountry,
    UnknownSubdivision,
    UnknownZone,
    shown,
)
from sla.hours import HOURS_PATTERN, WEEKDAYS, Ranges, check_tail, parse_day
from sla.timetable import ClosedDay, PinnedCalendar, SpecialDay
from sla.written import EARLIEST, LATEST, read_dates, read_special_days, read_week

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
HoursText = Annotated[str, Field(pattern=HOURS_PATTERN, examples=["06:00-18:00", "18:00-24:00", "22:00-06:00"])]

TZDATA_VERSION: str = tzdata.IANA_VERSION
HOLIDAYS_VERSION = metadata.version("holidays")
LONGEST_WINDOW = timedelta(days=36_525)
_DAY = timedelta(days=1)


class PublicHolidays(BaseModel):
    """A country's public holidays, or a subdivision's of it, with their observed days, from the `holidays` package."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    country: Annotated[str, Field(description="ISO 3166 code of a country.", examples=["US", "CA", "DE"])]
    subdivision: Annotated[
        str | None, Field(description="Its state or province, as ISO 3166-2 codes it.", examples=["CA"])
    ] = None


class BusinessCalendar(BaseModel):
    """When support is open: weekly hours in a time zone, less holidays and closures, with other hours on special days.

    A range that ends at or before its start runs past midnight and belongs to the day on which it starts. Special
    hours replace the hours that start on a date, and what weekly hours of the day before would reach into it; special
    hours of the day before stay. A closed date takes away what lies on it, nothing else, and wins over special hours.

    Written in Python it raises the calendar's own errors, and checks the names of zone and country at once. Read from
    data it raises pydantic's `ValidationError`, and `pin` checks the names: reading data touches nothing outside.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str | None, Field(description="What people call this calendar.")] = None
    timezone: Annotated[str, Field(description="IANA name of the time zone.", examples=["America/Los_Angeles", "UTC"])]
    hours: Annotated[
        dict[Weekday, tuple[HoursText, ...]],
        Field(
            description="The ranges that start on each weekday; a day left out is closed.",
            examples=[{"mon": ["06:00-18:00"]}],
        ),
    ]
    holidays: PublicHolidays | None = None
    closures: Annotated[
        tuple[date, ...],
        Field(description="Local dates on which support is closed.", examples=[["2031-12-24"]]),
    ] = ()
    special_hours: Annotated[
        dict[date, tuple[HoursText, ...]],
        Field(description="Local dates with hours of their own.", examples=[{"2031-12-31": ["06:00-12:00"]}]),
    ] = {}

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            own = [e["ctx"]["error"] for e in error.errors() if isinstance(e.get("ctx", {}).get("error"), PolicyError)]
            raise own[0] if own else error from None
        _zone(self.timezone)
        if self.holidays is not None:
            _public_holidays(self.holidays, ())

    # Tells pydantic that validation of data need not come through here.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @field_validator("hours", mode="before")
    @classmethod
    def _hours(cls, value: object) -> object:
        return read_week(value)

    @field_validator("closures", mode="before")
    @classmethod
    def _closures(cls, value: object) -> object:
        return read_dates(value, "closures")

    @field_validator("special_hours", mode="before")
    @classmethod
    def _special_hours(cls, value: object) -> object:
        return read_special_days(value, "special_hours")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        for day, texts in self.special_hours.items():
            after, place = day + _DAY, f"special_hours.{day}"
            if after in self.closures:
                continue
            weekly = f"hours.{WEEKDAYS[after.weekday()]}"
            following = f"special_hours.{after}" if after in self.special_hours else weekly
            where = ("special_hours", str(day))
            check_tail(parse_day(texts, place), place, self._hours_on(after), following, where)
        return self

    def _hours_on(self, day: date) -> Ranges:
        return parse_day(self.special_hours.get(day) or self._weekly(day.weekday()), str(day))

    def _weekly(self, weekday: int) -> tuple[str, ...]:
        return {str(day): texts for day, texts in self.hours.items()}.get(WEEKDAYS[weekday], ())

    def pin(self, first: date, last: date) -> PinnedCalendar:
        """This calendar over the local dates `first` to `last`, both inclusive, as plain data.

        Raises:
            UnknownZone, UnknownCountry, UnknownSubdivision: a name that the installed data does not know.
            BadWindow: the dates run backwards, or span more than a hundred years.
        """
        _check_window(first, last)
        # The day before and the day after have a say: by hours that run past midnight, and by holidays observed early.
        begin, end = first - _DAY, last + _DAY
        closed = dict.fromkeys(self.closures, "closure")
        if self.holidays is not None:
            closed |= dict(_public_holidays(self.holidays, tuple(range(first.year - 1, last.year + 2))))
        return PinnedCalendar(
            name=self.name,
            timezone=self.timezone,
            first=first,
            last=last,
            week=tuple(parse_day(self._weekly(weekday), WEEKDAYS[weekday]) for weekday in range(7)),
            special=tuple(SpecialDay(day, self._hours_on(day)) for day in self.special_hours if begin <= day <= end),
            closed=tuple(ClosedDay(day, why) for day, why in sorted(closed.items()) if begin <= day <= end),
            offsets=_offset_changes(_zone(self.timezone), begin - 2 * _DAY, end + 2 * _DAY),
            tzdata_version=TZDATA_VERSION,
            holidays_version=HOLIDAYS_VERSION,
        )


def _check_window(first: date, last: date) -> None:
    for day in (first, last):
        if isinstance(day, datetime) or not EARLIEST <= day <= LATEST:
            raise BadWindow(f"{day} can't be pinned; give local dates from {EARLIEST} to {LATEST}")
    if not timedelta(0) <= last - first <= LONGEST_WINDOW:
        raise BadWindow(f"{first} to {last} can't be pinned; give the earlier date first, and at most a hundred years")


@cache
def _zone_names() -> frozenset[str]:
    return frozenset((resources.files("tzdata") / "zones").read_text().split())


@cache
def _zone(name: str) -> ZoneInfo:
    # Only a listed name becomes a path.
    if name not in _zone_names():
        raise UnknownZone(
            f"timezone is {shown(name)}, which the IANA data ({TZDATA_VERSION}) does not know; "
            + _did_you_mean(
                name,
                (known for known in _zone_names() if "/" in known or known == "UTC"),
                "write a name such as America/Los_Angeles",
            )
        )
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _offset_changes(zone: ZoneInfo, begin: date, end: date) -> tuple[OffsetChange, ...]:
    """The offset at the first of these UTC midnights and every change up to the last; no zone changes twice a day."""

    def at(second: int) -> OffsetChange:
        local = (EPOCH + timedelta(seconds=second)).astimezone(zone)
        offset = local.utcoffset() or timedelta(0)
        return OffsetChange(second, offset // timedelta(seconds=1), local.tzname() or "")

    midnights = ((day - EPOCH.toordinal()) * 86_400 for day in range(begin.toordinal(), end.toordinal() + 1))
    changes = [at(next(midnights))]
    for midnight in midnights:
        if at(midnight)[1:] == changes[-1][1:]:
            continue
        before, after = midnight - 86_400, midnight
        while after - before > 1:
            middle = (before + after) // 2
            if at(middle)[1:] == changes[-1][1:]:
                before = middle
            else:
                after = middle
        changes.append(at(after))
    return tuple(changes)


@lru_cache(maxsize=64)
def _public_holidays(rule: PublicHolidays, years: tuple[int, ...]) -> tuple[tuple[date, str], ...]:
    countries = list_supported_countries()
    if rule.country not in countries:
        raise UnknownCountry(
            f"holidays.country is {shown(rule.country)}, which `holidays` {HOLIDAYS_VERSION} does not know; "
            + _did_you_mean(rule.country, countries, "write an ISO 3166 code such as US, CA or DE")
        )
    try:
        known = country_holidays(rule.country, subdiv=rule.subdivision, years=years, expand=False, observed=True)
    except NotImplementedError:
        allowed = ", ".join(countries[rule.country])
        raise UnknownSubdivision(
            f"holidays.subdivision is {shown(rule.subdivision)}, which is none of {rule.country}; "
            + (f"write one of: {allowed}" if allowed else "leave it out, for it has none")
        ) from None
    return tuple(sorted(known.items()))


def _did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    by_fold = {candidate.casefold(): candidate for candidate in sorted(known)}
    folded = name.casefold().replace(" ", "_")
    same = [candidate for fold, candidate in by_fold.items() if folded in (fold, fold.rpartition("/")[2])]
    close = same or [by_fold[fold] for fold in difflib.get_close_matches(folded, by_fold, n=2, cutoff=0.8)]
    return f"did you mean {' or '.join(close)}?" if close else otherwise
