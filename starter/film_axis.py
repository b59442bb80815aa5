"""The film's line of time: which column of the screen shows which stretch of time, and what stands above it.

Hours in which support is closed and nothing happens are drawn narrower, so that a weekend does not hide a morning.
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise

from sla.timetable import Timetable, from_us, to_us

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
QUIET_SHARE = 0.34
"""The share of the line that quiet hours take at most."""
MARK_ROOM = 3.0
"""Columns between two things that happen, at least, as long as half of the line suffices for it."""
STEPS = (15, 30, 60, 120, 180, 360, 720)
"""Minutes between two marks of the hour."""
ROOM = {True: 8, False: 4}
"""Columns that a mark of the hour takes, gap included: written `10:30`, or `10`."""


@dataclass(frozen=True)
class Piece:
    """A stretch of time, in UTC microseconds, and the columns it takes, `[left, right)`."""

    start: int
    end: int
    left: float
    right: float
    quiet: bool = False
    """Whether it is drawn narrower."""


@dataclass(frozen=True)
class Axis:
    """A line of `width` columns from `start` to `end` (UTC microseconds)."""

    table: Timetable
    pieces: tuple[Piece, ...]
    width: int

    @property
    def start(self) -> int:
        return self.pieces[0].start

    @property
    def end(self) -> int:
        return self.pieces[-1].end

    @cached_property
    def columns(self) -> tuple[tuple[int, int], ...]:
        """The stretch `[from, to)` of each column."""
        edges = [self.time(column) for column in range(self.width + 1)]
        return tuple(pairwise(edges))

    def time(self, column: float) -> int:
        """The instant at which a column begins."""
        piece = next((p for p in self.pieces if column < p.right), self.pieces[-1])
        share = (column - piece.left) / (piece.right - piece.left)
        return piece.start + round(min(share, 1.0) * (piece.end - piece.start))

    def place(self, instant: int) -> float:
        """Where an instant lies, in columns from the left."""
        if instant <= self.start:
            return 0.0
        piece = self.pieces[min(bisect_right([p.start for p in self.pieces], instant), len(self.pieces)) - 1]
        share = min(1.0, (instant - piece.start) / (piece.end - piece.start))
        return piece.left + share * (piece.right - piece.left)

    def column(self, instant: int) -> int:
        """The column that shows an instant; the last one shows all that comes later."""
        return min(self.width - 1, int(self.place(instant) + 1e-9))

    def open_at(self, column: int) -> bool:
        """Whether support is open in the middle of a column."""
        a, b = self.columns[column]
        return self.table.is_open_us((a + b) // 2)

    @cached_property
    def shut(self) -> tuple[bool, ...]:
        """Of each column: whether support is closed there."""
        return tuple(not self.open_at(column) for column in range(self.width))

    @cached_property
    def days(self) -> str:
        """The line with the dates, as long as there is room for them."""
        line = [" "] * (self.width + 1)
        free = 0
        starts = [(self.start, self._local(self.start))]
        date = starts[0][1].replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        while (midnight := to_us(self.table.from_local(date := date + timedelta(days=1)))) < self.end:
            starts.append((midnight, self._local(midnight)))
        places = [round(self.place(at)) for at, _ in starts] + [self.width]
        narrow = self.width / len(starts) < 4
        for i, (_, local) in enumerate(starts):
            room = self.width - places[i] if narrow else places[i + 1] - places[i]
            day = f"{local:%a} {local.day}"
            names = (f"{day} {local:%b}", *(() if narrow else (day, f"{local:%a}", f"{local:%a}"[:2])))
            name = next((n for n in names if len(n) < room and places[i] >= free), None)
            if name is not None:
                line[places[i] : places[i] + len(name)] = name
                free = places[i] + len(name) + 1
        return "".join(line)[: self.width].rstrip()

    @cached_property
    def hours(self) -> str:
        """The line with the hours, marked where the time runs wide enough."""
        line = [" "] * self.width
        step = self._step()
        if self._per_hour() * step / 60 < ROOM[False]:
            return ""
        long = step < 60 or self._per_hour() * step / 60 >= ROOM[True] + 2
        free = 0
        every = 15 * MINUTE_US
        for instant in range(-(-self.start // every) * every, self.end, every):
            local = self._local(instant)
            if (local.hour * 60 + local.minute) % step or self._within_quiet(instant):
                continue
            mark = f"{local:%H:%M}" if long else f"{local:%H}"
            place = round(self.place(instant))
            if place >= free and place + len(mark) <= self.width:
                line[place : place + len(mark)] = mark
                free = place + len(mark) + 2
        return "".join(line).rstrip()

    def _within_quiet(self, instant: int) -> bool:
        return any(piece.quiet and piece.start < instant < piece.end for piece in self.pieces)

    def _per_hour(self) -> float:
        """Columns of an hour, at the pace of what was not widened for its marks."""
        paced = [piece for piece in self.pieces if not piece.quiet] or self.pieces
        return min((piece.right - piece.left) / (piece.end - piece.start) for piece in paced) * HOUR_US

    def _step(self) -> int:
        wide = self._per_hour()
        return next((s for s in STEPS if wide * s / 60 >= ROOM[s < 60]), STEPS[-1])

    def _local(self, instant: int) -> datetime:
        return self.table.to_local(from_us(instant))


def axis(table: Timetable, start: int, end: int, width: int, happens: Collection[int] = ()) -> Axis:
    """The line from `start` to `end`, where something `happens` at some instants (UTC microseconds)."""
    end = max(end, start + 1)
    size = max(15 * MINUTE_US, -(-(end - start) // (width * 16)))
    busy = {(at - start) // size for at in happens}
    runs: list[tuple[int, int, bool]] = []
    for i in range(-(-(end - start) // size)):
        a, b = start + i * size, min(end, start + (i + 1) * size)
        quiet = not table.segments_us(a, b) and not busy & {i - 1, i, i + 1}
        if runs and runs[-1][2] == quiet:
            runs[-1] = (runs[-1][0], b, quiet)
        else:
            runs.append((a, b, quiet))
    still = sum(b - a for a, b, quiet in runs if quiet)
    moving = end - start - still
    share = min(still / (end - start), QUIET_SHARE) if moving else 1.0
    stretches = [
        (a, b, (b - a) / (still if quiet else moving) * (share if quiet else 1 - share) * width, quiet)
        for first, last, quiet in runs
        for a, b in pairwise([first, *sorted(at for at in set(happens) if first < at < last), last])
    ]
    marked = [a in happens and b in happens for a, b, *_ in stretches]
    pieces: list[Piece] = []
    left = 0.0
    for (a, b, _, quiet), wide in zip(stretches, _widened([wide for *_, wide, _ in stretches], marked), strict=True):
        pieces.append(Piece(a, b, left, left + wide, quiet))
        left += wide
    return Axis(table, tuple(pieces), width)


def _widened(widths: Sequence[float], marked: Sequence[bool]) -> list[float]:
    """Widths of the same sum, in which the marked ones have room for a mark: what happens close together stays apart."""
    whole = sum(widths)
    least = min(MARK_ROOM, whole / 2 / max(1, sum(marked)))
    narrow: set[int] = set()
    while True:
        rest = sum(wide for i, wide in enumerate(widths) if i not in narrow)
        scale = (whole - least * len(narrow)) / rest if rest else 1.0
        more = {i for i, wide in enumerate(widths) if marked[i] and i not in narrow and wide * scale < least}
        if not more:
            return [least if i in narrow else wide * scale for i, wide in enumerate(widths)]
        narrow |= more
