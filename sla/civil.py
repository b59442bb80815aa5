"""Instants as integer microseconds, and the civil time of one place by its pinned UTC-offset changes."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

from sla.errors import AwareDatetime, NaiveDatetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
_NAIVE_EPOCH = EPOCH.replace(tzinfo=None)
_EPOCH_ORDINAL = EPOCH.toordinal()


def parsed(told: Any) -> datetime | None:
    """An instant in ISO 8601 with its offset; None for whatever else, and for one without an offset."""
    try:
        at = datetime.fromisoformat(told.strip()) if isinstance(told, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def span_us(span: timedelta) -> int:
    """A timedelta in microseconds, exact."""
    return (span.days * 86_400 + span.seconds) * SECOND_US + span.microseconds


def to_us(instant: datetime) -> int:
    """An aware datetime as UTC microseconds since the epoch, exact.

    Raises:
        NaiveDatetime: `instant` carries no offset.
    """
    try:
        return span_us(instant - EPOCH)
    except TypeError:
        raise _no_instant(instant) from None


def from_us(us: int) -> datetime:
    """UTC microseconds since the epoch as an aware datetime in UTC."""
    return EPOCH + MICROSECOND * us


def to_utc(instant: datetime) -> datetime:
    """The same instant in UTC.

    Raises:
        NaiveDatetime: `instant` carries no offset.
    """
    if instant.utcoffset() is None:
        raise _no_instant(instant)
    return instant.astimezone(UTC)


def _no_instant(instant: object) -> Exception:
    if isinstance(instant, datetime):
        text = instant.isoformat(" ")
        return NaiveDatetime(f"{text} has no UTC offset; give one, such as {text}+00:00")
    return TypeError(f"{instant!r} is no instant; give a datetime with a UTC offset")


def local_us(local: datetime) -> int:
    """A naive local datetime as microseconds since the local 1970-01-01 00:00.

    Raises:
        AwareDatetime: `local` carries an offset, so it is an instant already.
    """
    if local.tzinfo is not None:
        raise AwareDatetime(f"{local.isoformat(' ')} has a UTC offset; give local time without one")
    return span_us(local - _NAIVE_EPOCH)


def midnight_us(ordinal: int) -> int:
    """Local midnight of the date with this proleptic ordinal, as `local_us` counts."""
    return (ordinal - _EPOCH_ORDINAL) * DAY_US


def ordinal_of(local: int) -> int:
    """The proleptic ordinal of the date on which this local microsecond lies."""
    return local // DAY_US + _EPOCH_ORDINAL


class OffsetChange(NamedTuple):
    """From `since` (UTC seconds), local time is UTC + `offset` seconds and is called `name`, such as PDT."""

    since: int
    offset: int
    name: str


class Offsets:
    """UTC to local time and back, by offset changes alone; the first and the last offset hold without end."""

    __slots__ = ("_ends", "_offsets", "_since", "_zones")

    def __init__(self, changes: Sequence[OffsetChange]) -> None:
        self._since = [change.since * SECOND_US for change in changes]
        self._offsets = [change.offset * SECOND_US for change in changes]
        self._zones = [timezone(timedelta(seconds=change.offset), change.name) for change in changes]
        # The local time that each offset reaches before the next takes over.
        self._ends = [since + offset for since, offset in zip(self._since[1:], self._offsets, strict=False)]

    def _index(self, us: int) -> int:
        return max(bisect_right(self._since, us) - 1, 0)

    def local(self, us: int) -> int:
        """The local microsecond that clocks there show at this UTC microsecond."""
        return us + self._offsets[self._index(us)]

    def zone(self, us: int) -> timezone:
        """The fixed offset, with its name, that holds at this UTC microsecond."""
        return self._zones[self._index(us)]

    def utc(self, local: int) -> int:
        """The UTC microsecond at which clocks show `local`: a fold's first pass; in a gap, shifted on by the gap."""
        index = bisect_right(self._ends, local)
        us = local - self._offsets[index]
        if index and us < self._since[index]:
            return local - self._offsets[index - 1]
        return us

    def date_spans(self, ordinal: int) -> list[tuple[int, int]]:
        """The UTC spans `[from, to)` that have this local date.

        One as a rule; two if clocks step back over midnight; none for a date that the zone skipped.
        """
        begins = midnight_us(ordinal)
        ends = begins + DAY_US
        spans = []
        for index in range(self._index(begins - 2 * DAY_US), self._index(ends + 2 * DAY_US) + 1):
            opens, closes = begins - self._offsets[index], ends - self._offsets[index]
            if index:
                opens = max(opens, self._since[index])
            if index + 1 < len(self._since):
                closes = min(closes, self._since[index + 1])
            if opens < closes:
                spans.append((opens, closes))
        return spans
