"""Business days: which dates count as one, and the same time of day some of them later."""

from bisect import bisect_right
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from sla.civil import Offsets, midnight_us
from sla.openings import Piece


class Workdays:
    """The business days of a pinned window.

    A business day is a date that is not closed and to which open time belongs. A shift across midnight belongs wholly
    to the date on which it starts: its 02:00 is that day's 26:00, and its end that day's close. So nights count as days
    do: with equally long shifts, N business days are N times their length.
    """

    __slots__ = ("_days", "_offsets", "_pieces", "_stretches")

    def __init__(
        self, pieces: Sequence[Piece], offsets: Offsets, closed: AbstractSet[int], unfinished: AbstractSet[int]
    ) -> None:
        """`unfinished` are dates whose shifts run on past the window: their close is unknown, so none is counted to."""
        self._pieces = pieces
        self._offsets = offsets
        self._stretches: dict[int, list[Piece]] = {}
        for piece in pieces:
            self._stretches.setdefault(piece.day, []).append(piece)
        self._days = sorted(self._stretches.keys() - closed - unfinished)

    def later(self, opened: int, count: int) -> int | None:
        """The instant to which a budget of `count` business days runs from `opened`, when support is open.

        It is the same local time of day on that business day; if support is not open then, that day's close. None: that
        day lies past the window.
        """
        began = self._day_of(opened)
        index = bisect_right(self._days, began) + count - 1
        if index >= len(self._days):
            return None
        day = self._days[index]
        time_of_day = self._offsets.local(opened) - midnight_us(began)
        instant = self._offsets.utc(midnight_us(day) + time_of_day)
        stretches = self._stretches[day]
        if any(piece.opens <= instant < piece.closes for piece in stretches):
            return instant
        return max(piece.closes for piece in stretches)

    def _day_of(self, opened: int) -> int:
        index = bisect_right(self._pieces, opened, key=lambda piece: piece.opens) - 1
        while self._pieces[index].closes <= opened:
            index -= 1
        return self._pieces[index].day
