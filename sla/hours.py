"""Opening hours as authors write them, `"06:00-18:00"`, and as ranges of seconds of a day."""

import re
from collections.abc import Sequence
from itertools import pairwise

from sla.errors import BadHours, shown

DAY = 86_400
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOURS_PATTERN = (
    r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?-(([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?|24:00(:00)?)$"
)

Range = tuple[int, int]
"""`[opens, closes)` in seconds after the midnight that begins its day; across midnight, `closes` is past 86,400."""
Ranges = tuple[Range, ...]

_HOURS = re.compile(HOURS_PATTERN)


def parse_range(text: str, place: str, where: tuple[str, ...] = ()) -> Range:
    """One range. `24:00` is the midnight that ends the day; an end at or before the start lies on the next day.

    Raises:
        BadHours: malformed, or the same start and end; the sentence names `place`.
    """
    if not _HOURS.match(text) or text.endswith("\n"):
        allowed = "write a range such as 06:00-18:00, 18:00-24:00, or across midnight 22:00-06:00"
        raise BadHours(f"{place} has {shown(text)}; {allowed}", where)
    opens, closes = (_seconds(time) for time in text.split("-"))
    if opens == closes:
        raise BadHours(
            f"{place} has {shown(text)}, which ends as it starts; for the whole day write 00:00-24:00", where
        )
    return opens, closes if closes > opens else closes + DAY


def parse_day(texts: Sequence[str], place: str, where: tuple[str, ...] = ()) -> Ranges:
    """The ranges that start on one day, in order of time; two may touch.

    Raises:
        BadHours: one is malformed or empty, or two overlap; the sentence names `place` and the ranges.
    """
    ranges = sorted(parse_range(text, place, where) for text in texts)
    for early, late in pairwise(ranges):
        if late[0] < early[1]:
            both = f"{as_written(early)} and {as_written(late)}"
            raise BadHours(f"{place} has {both}, which overlap; write ranges that share no time", where)
    return tuple(ranges)


def check_tail(day: Ranges, place: str, following: Ranges, following_place: str, where: tuple[str, ...] = ()) -> None:
    """Refuses hours that run past midnight into the next day's.

    Raises:
        BadHours: they overlap; the sentence names both days and ranges.
    """
    for early in day:
        for late in following:
            if late[0] < early[1] - DAY:
                crossing = f"{as_written(early)}, which runs past midnight into {as_written(late)} of {following_place}"
                raise BadHours(f"{place} has {crossing}; write ranges that share no time", where)


def as_written(hours: Range) -> str:
    """A range as an author writes it."""
    opens, closes = hours
    return f"{_clock(opens)}-{_clock(closes - DAY if closes > DAY else closes)}"


def _seconds(time: str) -> int:
    hours, minutes, *seconds = (int(part) for part in time.split(":"))
    return hours * 3600 + minutes * 60 + sum(seconds)


def _clock(seconds: int) -> str:
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return f"{text}:{seconds % 60:02}" if seconds % 60 else text
