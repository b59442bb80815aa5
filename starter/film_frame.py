"""One frame of the film: the story at a moment, drawn as wide as it may be."""

import textwrap
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property

from rich.box import ROUNDED
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from activities.message import one_line
from sla.evaluate import ClockView, View
from starter.film import Film, Reel
from starter.film_axis import Axis
from starter.film_lanes import LEGEND, SHADE, STATES, Row, heard, lane, steps
from starter.film_names import Names, amount
from starter.film_words import MARKS, Caption

LEFT, RIGHT, FRAME = 18, 22, 4
NARROWEST, WIDEST = 60, 118
STYLES = dict(zip(MARKS, ("yellow", "cyan", "dim"), strict=True))


class Picture:
    """The film at one width: what does not change from frame to frame is made once."""

    def __init__(self, film: Film, width: int) -> None:
        self.film = film
        self.width = max(NARROWEST, min(width, WIDEST))
        self.axis: Axis = film.axis(self.width - LEFT - RIGHT - FRAME - 2)
        self.names = Names.of(film.loaded, film.ends)
        self.numbers = {caption.at: caption.number for caption in film.captions}

    def frame(self, now: datetime, lines: int | None = None) -> RenderableType:
        """The story at `now`; `lines`: the height that the frame must not pass, the last captions staying."""
        told = [caption for caption in self.film.captions if caption.at <= now]
        body = [*self._head(now), *self._incidents(now), Text(""), *self._legend, Text("")]
        room = None if lines is None else lines - len(body) - 2
        made = Group(*body, *self._captions(told, room))
        title = Text(one_line(self.film.title, self.width - 8), style="bold")
        moment = Text(f"now {self.names.whole(now.replace(second=0, microsecond=0))}", style="bold")
        return Panel(made, box=ROUNDED, title=title, title_align="left", subtitle=moment, subtitle_align="right",
                     width=self.width, border_style="blue")  # fmt: skip

    def _line(self, left: Text | str, middle: Text | str, right: Text | str = "") -> Text:
        made = Text(no_wrap=True, overflow="crop", end="")
        for part, width in ((left, LEFT), (middle, self.axis.width), (right, RIGHT)):
            cell = part.copy() if isinstance(part, Text) else Text(part)
            cell.truncate(width, overflow="ellipsis", pad=True)
            made.append_text(cell).append(" ")
        return Text.assemble(made)

    def _head(self, now: datetime) -> Iterator[Text]:
        zone = f"{self.film.table.to_local(now):%Z}"
        yield self._line(Text(self.film.contract.name, style="dim"), Text(self.axis.days, style="bold"))
        yield self._line(Text(zone, style="dim"), Text(self.axis.hours, style="dim"))

    def _incidents(self, now: datetime) -> Iterator[Text]:
        marks = [(caption.at, caption.number) for caption in self.film.captions if caption.heard]
        yield self._line("what happens", heard(self.axis, marks, now).text(now))
        for reel in self.film.reels:
            view = reel.view(now)
            if view is not None:
                yield from self._incident(reel, view, now)

    def _incident(self, reel: Reel, view: View, now: datetime) -> Iterator[Text]:
        who = self.names.who(view.assignee, "nobody")
        head = Text(f"{reel.called} · {self.names.priority(view.priority)}", style="bold")
        yield self._line(
            head, Row(self.axis).text(now), Text(f"{who} has it", style="dim" if view.assignee else "yellow")
        )
        for shown, (row, below) in zip(view.clocks, self._rows(reel, view), strict=True):
            state, left = self._readout(shown, now)
            yield self._line(f" {shown.name} {shown.clause}", row.text(now), state)
            yield self._line(Text(f" {shown.target or 'no target'}", style="dim"), below.text(now), left)

    def _rows(self, reel: Reel, view: View) -> Iterator[tuple[Row, Row]]:
        """Each clock's lane, and what stands below it."""
        for shown, clock in zip(view.clocks, view.raw, strict=True):
            dues = reel.dues(shown.name, view.now)
            below = steps(self.axis, shown, reel.sent, view.now, self.numbers, dues)
            yield lane(self.axis, view, shown, clock), below

    def _readout(self, clock: ClockView, now: datetime) -> tuple[Text, Text]:
        glyph = STATES[clock.state]
        told = Text(f"{glyph.sign} {glyph.means}", style=glyph.style)
        if clock.state == "running" and clock.due is not None:
            told = Text(f"{glyph.sign} due {self.names.brief(clock.due, now)}", style=glyph.style)
        if clock.state == "missed" and clock.declared_missed is not None:
            return told.append(f" {self.names.brief(clock.declared_missed, now)}"), Text(f"  {amount(clock)} over")
        if clock.state in ("void", "not_started") or clock.left_us is None:
            return told, Text("")
        return told, Text(f"  {amount(clock)} {'to spare' if clock.state == 'met' else 'left'}")

    @cached_property
    def _legend(self) -> list[Text]:
        """The glyphs that this film shows, and what they mean."""
        views = [(reel, reel.view(moment)) for moment in self.film.moments for reel in self.film.reels]
        rows = [row for reel, view in views if view is not None for pair in self._rows(reel, view) for row in pair]
        seen = {cell for row in rows for cell in row.cells} | ({SHADE} if any(self.axis.shut) else set())
        lines = [Text()]
        for glyph in (glyph for glyph in LEGEND if glyph in seen):
            word = Text.assemble((f" {glyph.sign}", glyph.style), (f" {glyph.means} ", "dim"))
            if lines[-1].cell_len + word.cell_len > self.width - FRAME:
                lines.append(Text())
            lines[-1].append_text(word)
        return lines

    def _captions(self, told: list[Caption], room: int | None) -> Iterator[RenderableType]:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(justify="right", width=2)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1)
        for caption in _last(told, room, self.width - FRAME - 5 - max((self._wide(c) for c in told), default=0)):
            said = Text(caption.said)
            for words in caption.told:
                said.append("  " if said else "").append(words, style=STYLES[words[0]])
            number = Text.assemble((str(caption.number), "bold reverse" if caption.heard else "bold yellow"))
            grid.add_row(number, Text(self.names.when(caption.at), style="bold"), said)
        yield grid

    def _wide(self, caption: Caption) -> int:
        return len(self.names.when(caption.at))


def _last(told: list[Caption], room: int | None, width: int) -> list[Caption]:
    """The last captions that fit into so many lines, one at least."""
    if room is None:
        return told
    kept: list[Caption] = []
    for caption in reversed(told):
        room -= len(textwrap.wrap("  ".join([caption.said, *caption.told]), width))
        if kept and room < 0:
            break
        kept.insert(0, caption)
    return kept
