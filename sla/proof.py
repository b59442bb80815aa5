"""Why a deadline is what it is: the stretches that add up to it, which anyone can add again by hand."""

from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from sla.civil import from_us, to_us
from sla.clock import Clock
from sla.evaluate import ClockView, View
from sla.policy import ClockTerms, PinnedContract
from sla.report import local, seconds
from sla.timetable import Timetable


class Part(BaseModel):
    """One stretch: `counted` µs of it count, and `why` says why, or why not. `total` is what has been used by its end."""

    start: datetime
    end: datetime
    counted: int
    why: str
    total: int


def parts(clock: Clock, until: int) -> list[Part]:
    """The stretches of a clock from its start to `until`, in order, leaving none out."""
    if clock.started is None or until <= clock.started:
        return []
    pieces: list[tuple[int, int, bool, str]] = []
    at = clock.started
    for a, b in clock.runs:
        end = until if b is None else min(b, until)
        if a >= until:
            break
        if at < a:
            pieces.append((at, a, False, "the clock stood: paused, suspended or stopped"))
        pieces += _running(clock, a, end)
        at = end
    if at < until:
        pieces.append((at, until, False, "the clock stood: paused, suspended or stopped"))
    found: list[Part] = []
    total = 0
    for start, end, counts, why in pieces:
        counted = end - start if counts else 0
        total += counted
        found.append(Part(start=from_us(start), end=from_us(end), counted=counted, why=why, total=total))
    return found


def _running(clock: Clock, a: int, b: int) -> list[tuple[int, int, bool, str]]:
    if not clock.counts_open():
        return [(a, b, True, "wall-clock time, day and night")]
    pieces: list[tuple[int, int, bool, str]] = []
    at = a
    for segment in clock.table.segments_us(a, b):
        if at < segment.opens:
            pieces.append((at, segment.opens, False, "support is closed"))
        pieces.append((segment.opens, segment.closes, True, "support is open"))
        at = segment.closes
    if at < b:
        pieces.append((at, b, False, "support is closed"))
    return pieces


def proof(view: View, pinned: PinnedContract, name: str | None = None) -> dict[str, Any]:
    """The proof of every clock's deadline (or of `name`'s): target, parts, and the calendar they were counted by.

    Raises:
        KeyError: no clock is called `name`; the error names those there are.
    """
    table = pinned.calendar.timetable()
    wanted = [view.clock(name)] if name else list(view.clocks)
    by_name = {clock.name: clock for clock in view.raw}
    return {
        "contract": {"name": pinned.contract.name, "version": pinned.version},
        "calendar": {
            "timezone": pinned.calendar.timezone,
            "tzdata": pinned.calendar.tzdata_version,
            "holidays": pinned.calendar.holidays_version,
            "first": pinned.calendar.first.isoformat(),
            "last": pinned.calendar.last.isoformat(),
            "digest": pinned.calendar.digest(),
        },
        "clocks": {clock.name: _proof(clock, by_name[clock.name], table, view.now) for clock in wanted},
    }


def _proof(shown: ClockView, clock: Clock, table: Timetable, now: datetime) -> dict[str, Any]:
    until = clock.due if clock.due is not None else clock.stopped if clock.stopped is not None else to_us(now)
    budget = clock.budget()
    return {
        "state": shown.state,
        "target": shown.target,
        "clause": shown.clause,
        "budget_seconds": None if budget is None else seconds(budget),
        "started": local(table, shown.started),
        "due": local(table, None if clock.due is None else from_us(clock.due)),
        "parts": [
            {"from": local(table, p.start), "to": local(table, p.end), "counted_seconds": seconds(p.counted), "why": p.why,
             "total_seconds": seconds(p.total)}
            for p in parts(clock, until)
        ],
    }  # fmt: skip


def promised(pinned: PinnedContract, name: str, terms: ClockTerms, priority: str, received: datetime) -> Clock:
    """The clock of a request received at `received` under a priority, if nothing happens: what `explain` shows."""
    table = pinned.calendar.timetable()
    start = to_us(received)
    return Clock(name, name, terms, table, start, ((start, None),), None, ((-(1 << 62), priority),))


def span_text(us: int) -> str:
    """A span as people write it: `1:30:00`, with days where there are any."""
    return str(timedelta(microseconds=us))
