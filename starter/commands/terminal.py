"""How answers look: for people in colour that black and white can do without, for scripts as JSON."""

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from activities.message import one_line

COLOURS = {
    "running": "cyan",
    "paused": "yellow",
    "suspended": "magenta",
    "met": "green",
    "kept": "green",
    "missed": "bold red",
    "void": "dim",
    "not_started": "dim",
    "waiting": "yellow",
    "held": "yellow",
    "open": "cyan",
    "resolved": "green",
    "closed": "dim",
    "discarded": "dim",
    "dispositioned": "dim",
    "lapsed": "yellow",
    "terminated": "red",
    "current": "green",
}
BAR = 10
WHOLE = ("when", "due", "next due", "happened", "heard", "sent", "used", "state")
"""Columns that are shown whole, whatever becomes of the others."""


def console(*, error: bool = False) -> Console:
    """A console that takes text as it is. What is no terminal gets wide lines, so that nothing is folded."""
    made = Console(stderr=error, highlight=False, markup=False, emoji=False)
    if not made.is_terminal and not os.environ.get("COLUMNS"):
        made.width = 160
    return made


def bold() -> tuple[str, str]:
    """What begins and what ends bold letters on standard output; nothing where that is no terminal with colour."""
    out = console()
    plain = out.color_system is None or out.no_color or out.legacy_windows
    return ("", "") if plain else ("\x1b[1m", "\x1b[22m")


def show(*parts: RenderableType) -> None:
    """Print for people."""
    out = console()
    for part in parts:
        out.print(part)


def note(text: str) -> None:
    """A remark beside the answer, on standard error."""
    print(text, file=sys.stderr)


def as_json(value: Any) -> None:
    """Print for scripts: one document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def table(*columns: str, title: str | None = None) -> Table:
    """An empty table; cells are `Text`, so that no ticket's name is taken for markup."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(Text(column), no_wrap=column.startswith(WHOLE))
    return made


def row(to: Table, cells: Sequence[object]) -> None:
    """Add a row; what people wrote is one line without control characters."""
    to.add_row(*(cell if isinstance(cell, Text) else Text(one_line(str(cell), 120)) for cell in cells))


def state(name: str, mark: str | None = None) -> Text:
    """A state in its colour."""
    return Text(mark or name.replace("_", " "), style=COLOURS.get(name, ""))


def moment(at: datetime | str | None) -> str:
    """`Mon 14 Jul 2031 09:00`, in the offset that the time carries; `–` for none."""
    if at is None:
        return "–"
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    clock = f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
    return f"{at:%a} {at.day} {at:%b %Y} {clock}"


def offset(at: datetime) -> str:
    """`UTC-7`, `UTC+5:30`, `UTC`."""
    minutes = int((at.utcoffset() or (at - at)).total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    return "UTC" + (f"{'-' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}" if minutes else "")


def from_now(at: datetime | str | None, now: datetime | None = None) -> str:
    """`in 2 h 10 min`, `3 d 4 h ago`: wall-clock time, as people wait."""
    if at is None:
        return ""
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    seconds = round((at - (now or datetime.now(UTC))).total_seconds())
    minutes = abs(seconds) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        text = f"{days} d {hours} h" if hours else f"{days} d"
    elif hours:
        text = f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    else:
        text = f"{minutes} min" if minutes else "less than a minute"
    return f"in {text}" if seconds > 0 else f"{text} ago"


def amount(seconds: float | None) -> str:
    """An amount of what a target counts: `1 h 30 min`."""
    from sla.owed import duration_text

    return "–" if seconds is None else duration_text(int(seconds * 1_000_000))


def bar(used: float, left: float | None) -> str:
    """`█████░░░░░  50 %`: the share of the target that is used."""
    if left is None or used + left <= 0:
        return "–"
    share = used / (used + left)
    full = min(BAR, int(share * BAR))
    return f"{'█' * full}{'░' * (BAR - full)} {int(share * 100):3d} %"
