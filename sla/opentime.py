"""Open time counted in UTC microseconds.

The open stretches lie sorted, with the open time before each, so every answer is a search or two.
"""

# ruff: noqa: FURB136 - min() is a call, and a call costs as much as a search; this is called millions of times.

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import date

from sla.civil import MICROSECOND, Offsets, from_us, midnight_us
from sla.errors import BeyondHorizon, NegativeAmount
from sla.openings import Piece, Segment, merged


class OpenTime:
    """The open stretches `[opens, closes)` of a window of local days, and what can be counted on them.

    Instants are integer UTC microseconds since the epoch, amounts integer microseconds. All methods raise
    `BeyondHorizon` for an instant outside the window.
    """

    __slots__ = ("_before", "_closes", "_days", "_first", "_last", "_offsets", "_opens", "_shift", "_total")

    def __init__(self, pieces: Sequence[Piece], offsets: Offsets, first: date, last: date) -> None:
        self._offsets = offsets
        self._days = first, last
        self._first = offsets.utc(midnight_us(first.toordinal()))
        self._last = offsets.utc(midnight_us(last.toordinal() + 1))
        # An empty stretch stands first, so that every instant of the window has one that opens at or before it.
        segments = [Segment(self._first, self._first), *merged(pieces)]
        self._opens = [segment.opens for segment in segments]
        self._closes = [segment.closes for segment in segments]
        self._before: list[int] = []
        """Open time before each stretch."""
        self._shift: list[int] = []
        """An instant within a stretch, less this, is the open time up to it."""
        total = 0
        for segment in segments:
            self._before.append(total)
            self._shift.append(segment.opens - total)
            total += segment.closes - segment.opens
        self._total = total

    @property
    def horizon_us(self) -> tuple[int, int]:
        """The window: the midnight that begins the first pinned day, and the one that ends the last."""
        return self._first, self._last

    def add_us(self, start: int, amount: int) -> int:
        """The earliest instant by which `amount` has passed since `start`; `start` itself when it is zero.

        Raises:
            NegativeAmount: `amount` is below zero.
            BeyondHorizon: the answer lies past the window.
        """
        if not self._first <= start <= self._last:
            raise self._beyond(start)
        if amount <= 0:
            return nothing(start, amount)
        index = bisect_right(self._opens, start) - 1
        closes = self._closes[index]
        total = (start if start < closes else closes) - self._shift[index] + amount
        if total > self._total:
            what = f"the end of {MICROSECOND * amount} of open time from {self._show(start)}"
            raise BeyondHorizon(what, self._days[1], "last")
        return total + self._shift[bisect_left(self._before, total) - 1]

    def subtract_us(self, end: int, amount: int) -> int:
        """The latest instant from which `amount` remains until `end`; `end` itself when it is zero.

        Raises:
            NegativeAmount, BeyondHorizon: as `add_us`.
        """
        if not self._first <= end <= self._last:
            raise self._beyond(end)
        if amount <= 0:
            return nothing(end, amount)
        total = self._passed(end) - amount
        if total < 0:
            what = f"the start of {MICROSECOND * amount} of open time until {self._show(end)}"
            raise BeyondHorizon(what, self._days[0], "first")
        return total + self._shift[bisect_right(self._before, total) - 1]

    def elapsed_us(self, since: int, until: int) -> int:
        """The open time in `[since, until)`; negative when `until` comes first."""
        first, last = self._first, self._last
        if not (first <= since <= last and first <= until <= last):
            raise self._beyond(until if first <= since <= last else since)
        opens, closes, shift = self._opens, self._closes, self._shift
        a = bisect_right(opens, since) - 1
        b = bisect_right(opens, until) - 1
        a_closes, b_closes = closes[a], closes[b]
        before_since = (since if since < a_closes else a_closes) - shift[a]
        return (until if until < b_closes else b_closes) - shift[b] - before_since

    def is_open_us(self, instant: int) -> bool:
        """Whether support is open at this instant; the close itself is closed."""
        if not self._first <= instant < self._last:
            raise self._beyond(instant)
        return instant < self._closes[bisect_right(self._opens, instant) - 1]

    def next_open_us(self, instant: int) -> int:
        """The earliest instant, not before this one, at which support is open: the instant itself while it is."""
        if self.is_open_us(instant):
            return instant
        index = bisect_right(self._opens, instant)
        if index == len(self._opens):
            raise BeyondHorizon(f"the next opening after {self._show(instant)}", self._days[1], "last")
        return self._opens[index]

    def segments_us(self, since: int, until: int) -> list[Segment]:
        """The open stretches in `[since, until)`, cut to it, in order of time; none unless `until` is after `since`."""
        for instant in (since, until):
            if not self._first <= instant <= self._last:
                raise self._beyond(instant)
        if until <= since:
            return []
        indices = range(bisect_right(self._closes, since), bisect_left(self._opens, until))
        return [Segment(max(self._opens[i], since), min(self._closes[i], until)) for i in indices]

    def _passed(self, instant: int) -> int:
        index = bisect_right(self._opens, instant) - 1
        return min(instant, self._closes[index]) - self._shift[index]

    def _beyond(self, instant: int) -> BeyondHorizon:
        if instant < self._first:
            return BeyondHorizon(self._show(instant), self._days[0], "first")
        return BeyondHorizon(self._show(instant), self._days[1], "last")

    def _show(self, instant: int) -> str:
        return from_us(instant).astimezone(self._offsets.zone(instant)).isoformat(" ")


def nothing(answer: int, amount: int) -> int:
    """The answer for an amount of zero; a negative one is an error."""
    if amount < 0:
        raise NegativeAmount("the amount of time is below zero; give zero or more, and count backwards with subtract")
    return answer
