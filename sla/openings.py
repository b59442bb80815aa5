"""From weekly hours, special days and closed dates to the stretches of UTC time in which support is open.

Every local boundary becomes a UTC instant once, and from there on all is integers: so whether support is open and how
long it was can't disagree.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from sla.civil import SECOND_US, Offsets, midnight_us
from sla.hours import DAY, Range, Ranges


@dataclass(frozen=True, slots=True)
class Segment:
    """An open stretch of support time, `[opens, closes)`, in UTC microseconds since the epoch."""

    opens: int
    closes: int


class Piece(NamedTuple):
    """An open stretch `[opens, closes)` in UTC microseconds, and the date (its ordinal) on which its shift starts."""

    opens: int
    closes: int
    day: int


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes support open: weekly hours from Monday on, days with other hours, closed dates (dates as ordinals)."""

    week: Sequence[Ranges]
    special: Mapping[int, Ranges]
    closed: AbstractSet[int]

    def hours(self, day: int) -> Ranges:
        """The ranges that start on a date, were it not closed; special hours replace the weekday's."""
        return self.special.get(day) or self.week[(day - 1) % 7]


def open_pieces(rules: Rules, offsets: Offsets, first: date, last: date) -> list[Piece]:
    """The open stretches from `first` to `last`, in order of time.

    - A shift across midnight is two stretches, one on each date; it belongs to the date on which it starts.
    - Special hours replace a date's weekly hours, and push off what weekly hours of the day before would reach into it.
    - A closed date takes away what lies on it, and nothing else. A date that the zone skipped has no time to give.
    - A boundary that clocks show twice is the first pass; one that they skip is shifted on by the gap.
    """
    begin, end = first.toordinal(), last.toordinal()
    midnights = [offsets.utc(midnight_us(day)) for day in range(begin, end + 2)]
    weekly: list[Piece] = []
    special: list[Piece] = []
    for day in range(begin, end + 1):
        opens_at, closes_at = midnights[day - begin], midnights[day - begin + 1]
        if opens_at >= closes_at:
            continue
        local = midnight_us(day)
        for owner, (opens, closes) in _parts(rules, day):
            since = offsets.utc(local + opens * SECOND_US) if opens else opens_at
            until = offsets.utc(local + closes * SECOND_US) if closes < DAY else closes_at
            if since < until:
                (special if owner in rules.special else weekly).append(Piece(since, until, owner))
    closed = _spans(rules.closed, offsets, begin, end)
    replaced = _spans(rules.closed | rules.special.keys(), offsets, begin, end)
    pieces = [*_without(weekly, replaced), *_without(special, closed)]
    window = midnights[0], midnights[-1]
    inside = (Piece(max(p.opens, window[0]), min(p.closes, window[1]), p.day) for p in pieces)
    return sorted(piece for piece in inside if piece.opens < piece.closes)


def merged(pieces: Iterable[Piece]) -> list[Segment]:
    """The same open time as few stretches: what touches or overlaps is one. `pieces` come in order of time."""
    segments: list[Segment] = []
    for opens, closes, _ in pieces:
        if segments and opens <= segments[-1].closes:
            if closes > segments[-1].closes:
                segments[-1] = Segment(segments[-1].opens, closes)
        else:
            segments.append(Segment(opens, closes))
    return segments


def _parts(rules: Rules, day: int) -> Iterable[tuple[int, Range]]:
    """What lies on a date, with the date on which its shift starts: the tail of the day before's, then its own."""
    for _, closes in rules.hours(day - 1):
        if closes > DAY:
            yield day - 1, (0, closes - DAY)
    for opens, closes in rules.hours(day):
        yield day, (opens, min(closes, DAY))


def _spans(days: Iterable[int], offsets: Offsets, begin: int, end: int) -> list[tuple[int, int]]:
    """The UTC spans of these local dates, in order of time."""
    return sorted(span for day in days if begin - 1 <= day <= end + 1 for span in offsets.date_spans(day))


def _without(pieces: Iterable[Piece], removed: Sequence[tuple[int, int]]) -> Iterable[Piece]:
    """What of the pieces lies in no removed span."""
    ends = [ends for _, ends in removed]
    for opens, closes, day in pieces:
        rest = opens
        index = bisect_right(ends, opens)
        while index < len(removed) and removed[index][0] < closes:
            if rest < removed[index][0]:
                yield Piece(rest, removed[index][0], day)
            rest = max(rest, removed[index][1])
            index += 1
        if rest < closes:
            yield Piece(rest, closes, day)
