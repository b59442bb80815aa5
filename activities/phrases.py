"""Phrases that notices share: moments as people write them, and what each clock has left."""

import re
from datetime import UTC, datetime, timedelta, timezone

from activities.message import one_line

_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[0-9:.+Z-]*")
_CLOCK = re.compile(r"[A-Za-z][A-Za-z0-9_# -]*")


def moment(text: str, offset_minutes: int | None) -> str:
    """`2031-07-11T18:00-07:00` as `Fri 11 Jul 2031 18:00 (UTC-7)`; what is no ISO time stays as it is.

    A time in UTC is shown at the offset given.
    """
    if not _ISO.fullmatch(text):
        return text
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    if at.utcoffset() is None:
        return text
    if at.utcoffset() == timedelta(0):
        at = at.astimezone(UTC if offset_minutes is None else timezone(timedelta(minutes=offset_minutes)))
    offset = int((at.utcoffset() or timedelta(0)).total_seconds()) // 60
    hours, minutes = divmod(abs(offset), 60)
    place = f"{'-' if offset < 0 else '+'}{hours}{f':{minutes:02}' if minutes else ''}" if offset else ""
    return f"{at:%a} {at.day} {at:%b %Y %H:%M} (UTC{place})"


def with_moments(text: str, offset_minutes: int | None) -> str:
    """The text, with every ISO time in it as people write it."""
    return _ISO.sub(lambda found: moment(found[0], offset_minutes), text)


def clock_name(clock: str) -> str:
    """`advice no. 2` for `advice#2`."""
    return clock.replace("#", " no. ").replace("_", " ")


def clocks(left: str, due: str, offset_minutes: int | None, *, stand_still: bool) -> list[str]:
    """`response: 1 h 30 min left, due Wed 9 Jul 2031 16:00 (UTC-7)` for each clock that `left` and `due` name.

    Both are written `response: …; resolution: …`. Of clocks that stand still, `due` is when it was due before.
    """
    lefts, dues = _by_clock(left), _by_clock(due)
    said = []
    for clock in dict.fromkeys([*lefts, *dues]):
        rest, at = lefts.get(clock, ""), moment(dues.get(clock, ""), offset_minutes)
        amount = f"over by {rest[1:]}" if rest.startswith("-") else rest and f"{rest} left"
        told = ", ".join(part for part in (amount, at and f"{'was ' if stand_still else ''}due {at}") if part)
        said.append(one_line(f"{clock_name(clock)}: {told}" if clock else told))
    return said


def _by_clock(text: str) -> dict[str, str]:
    """`response: 1 h; resolution: 7 h` by clock; what names no clock stands under the empty name."""
    found = {}
    for part in (part.strip() for part in text.split(";")):
        clock, colon, said = part.partition(": ")
        named = bool(colon) and _CLOCK.fullmatch(clock) is not None
        found[clock if named else ""] = (said if named else part).strip()
    return {clock: said for clock, said in found.items() if said}
