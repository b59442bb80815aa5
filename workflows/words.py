"""Words that the card and the summaries share: moments, steps, and what others wrote, safe to show."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from sla.evaluate import ClockView
from sla.steps import Planned
from sla.timetable import Timetable

STOPS = {
    "agent_replied": "reply",
    "plan_provided": "plan_given",
    "resolved": "resolve",
    "closed": "close",
    "reclassification_told": "the notice to the customer, which goes out by itself",
}
"""What an operator does to stop a clock, by the event that stops it."""
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MAX_SUMMARY = 190
"""Bytes; Temporal takes 200."""
_MARKUP = re.compile(r"[\[\]<>*`|#\\&~]|://|www\.|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", re.IGNORECASE)


def when(table: Timetable, at: datetime | None) -> str:
    """A moment as people at the desk read it, in the calendar's own time, and in UTC for whoever sits elsewhere."""
    if at is None:
        return "–"
    local, utc = table.to_local(at), at.astimezone(UTC)
    if local.utcoffset() == utc.utcoffset():
        return f"{_day(local)} {local.year} {_time(local)} UTC"
    day = "" if local.date() == utc.date() else f"{DAYS[utc.weekday()]} "
    return f"{_day(local)} {local.year} {_time(local)} {local.tzname()} ({day}{_time(utc)} UTC)"


def soon(local: datetime) -> str:
    """A local moment without its year, as a timer's line tells it."""
    return f"{_day(local)} {_time(local)} {local.tzname()}"


# Not by `strftime`: in the sandbox it imports a module at each call, and a card tells dozens of moments.
def _day(at: datetime) -> str:
    return f"{DAYS[at.weekday()]} {at.day:02d} {MONTHS[at.month - 1]}"


def _time(at: datetime) -> str:
    return f"{at.hour:02d}:{at.minute:02d}"


def moment(clock: str, step: str) -> str:
    """`75% of response used`, `response missed`, `1 business hour after response was missed`."""
    if step == "100%":
        return f"{clock} missed"
    if step.startswith("miss + "):
        return f"{step.removeprefix('miss + ')} after {clock} was missed"
    nobody = " and nobody took it" if step.startswith("unacknowledged ") else ""
    return f"{step.removeprefix('unacknowledged ')} of {clock} used{nobody}"


def tells(step: Planned) -> str:
    """`tells manager; the next tier takes it`."""
    told = listed([audience.replace("_", " ") for audience in step.tells] or ["nobody"], "and")
    takes = {"next": "; the next person takes it", "next_tier": "; the next tier takes it"}
    return f"tells {told}{takes.get(step.reassign or '', '')}"


def listed(words: Sequence[str], last: str) -> str:
    """`a, b or c`."""
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else words[0]


def base_of(clock: str) -> str:
    """The contract's name of a clock: `advice` of its second run, `advice#2`."""
    return clock.partition("#")[0]


def due_of(clock: ClockView) -> datetime:
    """When a missed clock was due; where that can't be told, when the miss was declared."""
    due = clock.due or clock.declared_missed
    assert due is not None
    return due


def short(text: str) -> str:
    """As much of a line as Temporal takes for a summary."""
    if len(text.encode()) <= MAX_SUMMARY:
        return text
    return text.encode()[: MAX_SUMMARY - 3].decode("utf-8", "ignore") + "…"


def plain(text: str) -> str:
    """What others wrote, on one line; in code where the UI could take a part of it for markup, a link or a picture."""
    line = " ".join(text.split())[:300]
    return f"`{line.replace('`', chr(39))}`" if _MARKUP.search(line) else line
