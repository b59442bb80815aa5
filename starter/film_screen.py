"""The film on the screen: frame after frame in a terminal, or its last frame on paper or as a picture."""

import time
from collections.abc import Callable
from datetime import datetime
from html import escape
from io import StringIO

from rich.console import Console
from rich.live import Live
from rich.terminal_theme import TerminalTheme

from sla.timetable import from_us, to_us
from starter.film import Film
from starter.film_axis import Axis
from starter.film_frame import Picture

FRAMES_A_SECOND = 24
MOVES = 0.55
"""The share of each stretch in which the time runs; in the rest it stands, to be read."""
PAPER = 100
"""Columns of a frame that is not shown in a terminal."""


def moment_at(film: Film, axis: Axis, share: float) -> datetime:
    """Where the film's time stands when a share of the showing, from 0 to 1, is over."""
    moments = film.moments
    if share >= 1.0 or len(moments) == 1:
        return moments[-1]
    place = share * (len(moments) - 1)
    index = int(place)
    moved = min(1.0, (place - index) / MOVES)
    if moved >= 1.0:
        return moments[index + 1]
    left, right = axis.place(to_us(moments[index])), axis.place(to_us(moments[index + 1]))
    return max(moments[index], from_us(axis.time(left + moved * (right - left))))


def show(console: Console, film: Film, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
    """Run the film in a terminal for so many seconds, and leave its last frame there."""
    picture = Picture(film, width_of(console))
    lines = max(12, console.size.height - 1)
    began = clock()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while (passed := clock() - began) < seconds:
            frame = picture.frame(moment_at(film, picture.axis, passed / seconds), lines)
            live.update(frame, refresh=True)
            time.sleep(max(0.0, began + passed + 1 / FRAMES_A_SECOND - clock()))
    console.print(picture.frame(film.ends))


def width_of(console: Console) -> int:
    """The columns for a frame."""
    return console.width if console.is_terminal else min(console.width, PAPER)


def moves(console: Console) -> bool:
    """Whether a film can run there, rather than only its last frame be printed."""
    return console.is_terminal and not console.is_dumb_terminal


def as_svg(film: Film) -> str:
    """The last frame as a picture that needs nothing from anywhere: no font, no script."""
    console = Console(width=PAPER, record=True, file=StringIO(), force_terminal=True, color_system="truecolor",
                      highlight=False, markup=False, emoji=False, _environ={})  # fmt: skip
    console.print(Picture(film, PAPER).frame(film.ends))
    told = escape(f"{film.title}: {' '.join(caption.said for caption in film.captions)}")
    form = SVG.replace("ALTERNATIVE", told.replace("{", "{{").replace("}", "}}"))
    return console.export_svg(title="pactkeeper demo", theme=THEME, code_format=form, unique_id="pactkeeper")


THEME = TerminalTheme(
    (13, 17, 23),
    (201, 209, 217),
    [(13, 17, 23), (255, 123, 114), (63, 185, 80), (227, 179, 65), (88, 166, 255), (210, 168, 255), (57, 197, 207), (201, 209, 217)],
    [(110, 118, 129), (255, 161, 152), (86, 211, 100), (240, 200, 90), (121, 192, 255), (226, 197, 255), (86, 212, 221), (255, 255, 255)],
)  # fmt: skip

SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>ALTERNATIVE</title>
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 16px; font-weight: bold; font-family: ui-sans-serif, system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
