"""The lanes of the film: a row of glyphs for each clock, with its steps below; each glyph has a colour, and does without."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.text import Text

from sla.clock import Clock
from sla.evaluate import ClockView, View
from sla.timetable import to_us
from starter.film_axis import Axis
from starter.film_words import Sent


@dataclass(frozen=True)
class Glyph:
    """One mark of the film, and what it means."""

    sign: str
    style: str
    means: str = ""


COUNTS = Glyph("━", "bold cyan", "runs")
CLOSED = Glyph("─", "cyan", "not counting")
PAUSED = Glyph("╍", "yellow", "paused")
SUSPENDED = Glyph("×", "magenta", "suspended")
OVERDUE = Glyph("═", "bold red", "overdue")
VOID = Glyph("·", "dim", "void")
MET = Glyph("✔", "bold green", "met")
MISSED = Glyph("✖", "bold red", "missed")
STOPPED = Glyph("■", "red", "done late")
DUE = Glyph("⚑", "bold", "due")
MOVED = Glyph("⚐", "dim", "due before")
STEP = Glyph("▲", "bold yellow", "told")
WITHDRAWN = Glyph("△", "dim", "taken back")
SHADE = Glyph("░", "bright_black", "closed hours")
NOW = Glyph("│", "bold white")
LEGEND = (COUNTS, CLOSED, PAUSED, SUSPENDED, OVERDUE, VOID, MET, MISSED, STOPPED, DUE, MOVED, STEP, WITHDRAWN, SHADE)

STATES = {
    "running": Glyph("▶", COUNTS.style, "running"),
    "paused": Glyph("‖", PAUSED.style, "paused"),
    "suspended": Glyph("×", SUSPENDED.style, "suspended"),
    "met": Glyph("✔", MET.style, "met"),
    "missed": Glyph("✖", MISSED.style, "missed"),
    "void": Glyph("∅", "dim", "void"),
    "not_started": Glyph("…", "dim", "not started"),
}


class Row:
    """One row of the picture: a cell for each column of the axis."""

    def __init__(self, axis: Axis) -> None:
        self.axis = axis
        self.cells: list[Glyph | None] = [None] * axis.width

    def put(self, column: int, glyph: Glyph) -> None:
        """Mark one column."""
        self.cells[column] = glyph

    def write(self, column: int, text: str, style: str) -> bool:
        """Write a text where it finds all its columns free, its gap included; whether it did."""
        around = self.cells[max(0, column - 1) : column + len(text) + 1]
        if column + len(text) > len(self.cells) or any(cell is not None for cell in around):
            return False
        for i, sign in enumerate(text):
            self.cells[column + i] = Glyph(sign, style)
        return True

    def text(self, now: datetime | None) -> Text:
        """The row, with the shade of closed hours behind it, and the line that stands for `now`."""
        column = -1 if now is None else self.axis.column(to_us(now))
        row = Text(no_wrap=True)
        for i, cell in enumerate(self.cells):
            shown = cell or (NOW if i == column else SHADE if self.axis.shut[i] else None)
            row.append(shown.sign if shown else " ", shown.style if shown else "")
        return row


def lane(axis: Axis, view: View, shown: ClockView, clock: Clock) -> Row:
    """A clock's row up to the moment of the view: where it counted, stood still, was overdue, met or missed; and its deadline."""
    row = Row(axis)
    now = to_us(view.now)
    if shown.due is not None and shown.state in ("running", "met", "missed") and to_us(shown.due) <= axis.end:
        row.put(axis.column(to_us(shown.due)), DUE)
    if clock.started is None or clock.started > now:
        return row
    stopped = None if shown.stopped is None else to_us(shown.stopped)
    missed = None if shown.declared_missed is None else to_us(shown.declared_missed)
    end = now if stopped is None else stopped
    holes = [(to_us(i.start), None if i.end is None else to_us(i.end)) for i in view.ledger.suspended]
    for column in range(axis.column(clock.started), axis.column(end) + 1):
        a, b = axis.columns[column]
        at = min(max((a + b) // 2, clock.started), end)
        row.put(column, _state(clock, shown, at, missed, holes))
    if missed is not None:
        row.put(axis.column(missed), MISSED)
    if stopped is not None:
        column = axis.column(stopped)
        row.put(
            column if missed is None or column != axis.column(missed) else min(column + 1, axis.width - 1),
            MET if missed is None else STOPPED,
        )
    return row


def _state(
    clock: Clock, shown: ClockView, at: int, missed: int | None, holes: Iterable[tuple[int, int | None]]
) -> Glyph:
    if shown.state == "void":
        return VOID
    if any(a <= at and (b is None or at < b) for a, b in holes):
        return SUSPENDED
    stopped = clock.stopped is not None and at >= clock.stopped
    if not clock.running_at(at) and not stopped:
        return PAUSED
    if clock.counts_open() and not clock.table.is_open_us(at):
        return CLOSED
    return OVERDUE if missed is not None and at >= missed else COUNTS


def steps(
    axis: Axis,
    shown: ClockView,
    sent: Sequence[Sent],
    now: datetime,
    numbers: Mapping[datetime, int],
    dues: Iterable[datetime],
) -> Row:
    """The row below a clock: its ladder's steps by `now`, each with its caption's number, and deadlines that it had before.

    A step that was taken back is hollow, and so is the flag of a deadline that moved.
    """
    row, name = Row(axis), shown.name
    for due in dues:
        if due != shown.due and to_us(due) <= axis.end:
            row.put(axis.column(to_us(due)), MOVED)
    of_clock = [s for s in sent if s.clock == name and s.at <= now]
    for at in dict.fromkeys(s.at for s in of_clock if s.kind != "withdrawal"):
        glyph = WITHDRAWN if all(_taken_back(s, of_clock) for s in of_clock if s.at == at) else STEP
        column = axis.column(to_us(at))
        free = next((c for c in range(column, axis.width) if row.cells[c] is None), column)
        row.put(free, glyph)
        number = str(numbers.get(at, ""))
        if free + len(number) < axis.width and all(
            cell is None for cell in row.cells[free + 1 : free + 1 + len(number)]
        ):
            for i, digit in enumerate(number):
                row.put(free + 1 + i, Glyph(digit, glyph.style))
    return row


def _taken_back(step: Sent, sent: Sequence[Sent]) -> bool:
    later = [s for s in sent if s.step == step.step and s.at >= step.at]
    return step.kind == "withdrawal" or any(s.kind == "withdrawal" for s in later)


def heard(axis: Axis, marks: Sequence[tuple[datetime, int]], now: datetime) -> Row:
    """The row of what was heard from outside by `now`: the numbers of the captions."""
    row = Row(axis)
    for at, number in marks:
        if at <= now:
            sign = str(number)
            column = min(axis.column(to_us(at)), axis.width - len(sign))
            free = next((c for c in range(column, axis.width) if row.write(c, sign, "bold reverse")), None)
            if free is None:
                row.put(column, Glyph("+", "bold reverse"))
    return row
