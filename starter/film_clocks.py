"""What a moment did to the clocks of an incident, in words."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import groupby

from sla.evaluate import ClockView, View
from starter.film_names import Names, amount, listed

Clocks = Sequence[ClockView]
BEFORE_START = (None, "not_started")


def effects(names: Names, before: View | None, after: View) -> list[str]:
    """What changed between two views of an incident: `the resolution clock stands still, 11 h left`."""
    was = {} if before is None else {clock.name: clock for clock in before.clocks}
    pairs = [(change(was.get(clock.name), clock), clock) for clock in after.clocks]
    found: list[str] = []
    for kind, group in groupby(
        sorted((p for p in pairs if p[0]), key=lambda p: list(SAYS).index(p[0] or "")), key=lambda p: p[0]
    ):
        found += SAYS[kind or ""](names, [clock for _, clock in group], after.now)
    return found


def change(was: ClockView | None, now: ClockView) -> str | None:
    """The name of what happened to a clock; None: nothing that is worth a word."""
    before = None if was is None else was.state
    if now.state == "void":
        return "void" if before not in ("void", None) else None
    if now.state == "missed":
        if before != "missed":
            return "missed"
        return "late" if was is not None and was.stopped is None and now.stopped is not None else None
    if before == "missed":
        return "disproved" if now.state == "met" else "taken_back"
    if now.state == "running":
        if before in ("paused", "suspended", "met"):
            return "goes_on"
        if before in BEFORE_START or before == "void":
            return "due"
    elif now.state not in (before, "not_started"):
        return now.state
    moved = was is not None and was.target != now.target
    return "target" if moved and now.state in ("running", "paused", "suspended") else None


def _due(names: Names, clock: ClockView, now: datetime) -> str:
    return "at a time not known yet" if clock.due is None else names.when(clock.due, now)


def _the(clocks: Iterable[ClockView]) -> str:
    called = [clock.name for clock in clocks]
    return f"the {listed(called)} clock{'s' if len(called) > 1 else ''}"


def _started(names: Names, clocks: Clocks, now: datetime) -> list[str]:
    return [listed([f"{clock.name} due {_due(names, clock, now)} ({clock.clause})" for clock in clocks])]


def _goes_on(names: Names, clocks: Clocks, now: datetime) -> list[str]:
    told = []
    for i, clock in enumerate(clocks):
        does = "goes on with the" if i == 0 else "with the"
        told.append(f"{_the([clock])} {does} {amount(clock)} left, due {_due(names, clock, now)}")
    return [", and ".join(told)]


def _stands(names: Names, clocks: Clocks, now: datetime) -> list[str]:
    begun = [clock for clock in clocks if clock.started is not None]
    waits = [clock for clock in clocks if clock.started is None]
    told = []
    if begun:
        left = listed([amount(clock) for clock in begun])
        told.append(f"{_the(begun)} {'stand' if len(begun) > 1 else 'stands'} still with {left} left")
    if waits:
        told.append(f"{_the(waits)} will start when support goes on")
    return told


def _met(names: Names, clocks: Clocks, now: datetime) -> list[str]:
    told = []
    for clock in clocks:
        spare = f"with {amount(clock)} to spare" if clock.left_us else "at the last moment"
        told.append(f"the {clock.name} is met {spare} ({clock.clause})")
    return told


def _missed(names: Names, clocks: Clocks, now: datetime) -> list[str]:
    return [f"the {listed([f'{c.name} ({c.clause})' for c in clocks])} {'are' if len(clocks) > 1 else 'is'} missed"]


def _late(names: Names, clocks: Clocks, now: datetime) -> list[str]:
    return [f"{_the([clock])} stops, {amount(clock)} late" for clock in clocks]


def _disproved(names: Names, clocks: Clocks, now: datetime) -> list[str]:
    return [f"so the {clock.name} was met after all, with {amount(clock)} to spare" for clock in clocks]


def _taken_back(names: Names, clocks: Clocks, now: datetime) -> list[str]:
    return [f"the {clock.name} is not missed after all, {amount(clock)} left" for clock in clocks]


def _target(names: Names, clocks: Clocks, now: datetime) -> list[str]:
    told = []
    for clock in clocks:
        due = f"due {_due(names, clock, now)}" if clock.state == "running" else "and the clock still stands"
        told.append(f"{clock.name} is now {clock.target}: {amount(clock)} left, {due}")
    return told


def _void(names: Names, clocks: Clocks, now: datetime) -> list[str]:
    return ["no clock runs any more"]


SAYS: dict[str, Callable[[Names, Clocks, datetime], list[str]]] = {
    "disproved": _disproved,
    "taken_back": _taken_back,
    "met": _met,
    "late": _late,
    "missed": _missed,
    "goes_on": _goes_on,
    "due": _started,
    "paused": _stands,
    "suspended": _stands,
    "target": _target,
    "void": _void,
}
"""What is said of each change, in the order in which it is said."""
