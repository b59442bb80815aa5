"""The parts of a calendar, from whatever an author wrote into one shape; what can't be read is named in a sentence."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime

from sla.errors import BadDate, BadHours, EmptyWeek, shown
from sla.hours import WEEKDAYS, check_tail, parse_day

EARLIEST, LATEST = date(1900, 1, 1), date(9990, 12, 31)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def read_week(value: object) -> dict[str, tuple[str, ...]]:
    """The ranges of each weekday that has any, from Monday on.

    Raises:
        BadHours: a name that is no weekday, or ranges that are malformed, empty or overlap, over midnight too.
        EmptyWeek: there is none.
    """
    if not isinstance(value, Mapping):
        raise BadHours(f"hours is {shown(value)}; write a list of ranges for each day of: {', '.join(WEEKDAYS)}")
    for day in value:
        if day not in WEEKDAYS:
            raise BadHours(f"hours names {shown(day)}; write one of: {', '.join(WEEKDAYS)}")
    week = {day: _texts(value[day], f"hours.{day}", day) for day in WEEKDAYS if value.get(day) not in (None, [], ())}
    if not week:
        raise EmptyWeek("hours has no open hour in the week; write at least one range, such as mon: [06:00-18:00]")
    ranges = [parse_day(week.get(day, ()), f"hours.{day}", (day,)) for day in WEEKDAYS]
    for index, day in enumerate(WEEKDAYS):
        after = (index + 1) % 7
        check_tail(ranges[index], f"hours.{day}", ranges[after], f"hours.{WEEKDAYS[after]}", (day,))
    return week


def read_dates(value: object, place: str) -> tuple[date, ...]:
    """Dates in order, each once.

    Raises:
        BadDate: one is no date.
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise BadDate(f"{place} is {shown(value)}; write a list of dates such as [2031-12-24]")
    return tuple(sorted({_date(item, place, str(index)) for index, item in enumerate(value)}))


def read_special_days(value: object, place: str) -> dict[date, tuple[str, ...]]:
    """The ranges of each date, in order.

    Raises:
        BadDate: one is no date.
        BadHours: its ranges are none, malformed, empty, or overlap.
    """
    if not isinstance(value, Mapping):
        wanted = "write a list of ranges for each date, such as 2031-12-31: [06:00-12:00]"
        raise BadHours(f"{place} is {shown(value)}; {wanted}")
    special = {}
    for key, given in value.items():
        day = _date(key, place, str(key))
        texts = _texts(given, f"{place}.{day}", str(key))
        if not texts:
            raise BadHours(f"{place}.{day} is empty; write a range, or name the date under closures", (str(key),))
        parse_day(texts, f"{place}.{day}", (str(key),))
        special[day] = texts
    return dict(sorted(special.items()))


def _date(value: object, place: str, where: str) -> date:
    day = value if isinstance(value, date) and not isinstance(value, datetime) else None
    if isinstance(value, str) and _DATE.fullmatch(value):
        with suppress(ValueError):
            day = date.fromisoformat(value)
    if day is not None and EARLIEST <= day <= LATEST:
        return day
    raise BadDate(f"{place} has {shown(value)}; write a date such as 2031-12-24", (where,))


def _texts(value: object, place: str, where: str) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise BadHours(f"{place} is {shown(value)}; write a list of ranges such as [06:00-18:00]", (where,))
