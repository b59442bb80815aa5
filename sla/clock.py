"""One clock: the intervals in which it ran, its budget, what it used, when it is due, when a miss is declared.

A due time is derived, never stored. Time is integer microseconds since the epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sla.civil import to_us
from sla.duration import Duration
from sla.errors import BeyondHorizon
from sla.events import RANK
from sla.facts import Facts
from sla.policy import ClockTerms
from sla.stretches import FAR, Stretch, without
from sla.timetable import Timetable


@dataclass(frozen=True)
class Clock:
    """One run of a promise, from its start to its stop."""

    name: str
    base: str
    """The clock's name in the contract; `name` has `#2`, `#3`, … for its later runs."""
    terms: ClockTerms
    table: Timetable
    started: int | None
    """None: it has not started (held, or taken in while support is suspended)."""
    runs: tuple[Stretch, ...]
    stopped: int | None
    priorities: tuple[tuple[int, str], ...]
    """From when which priority held; the first from ever."""

    @cached_property
    def priority(self) -> str:
        """The priority that the clock is judged by: the one in force when it stopped, else the latest."""
        return self.priority_at(FAR if self.stopped is None else self.stopped)

    def priority_at(self, t: int) -> str:
        """The priority in force at `t`."""
        return next(p for at, p in reversed(self.priorities) if at <= t)

    def target(self, priority: str | None = None) -> Duration | None:
        """The target under a priority; None: the contract sets none."""
        return self.terms.targets.get(priority or self.priority)

    def counts_open(self, priority: str | None = None) -> bool:
        """Whether the target under a priority counts open time, rather than wall-clock time."""
        target = self.target(priority)
        return target is None or target.counts_open_time

    def budget(self, priority: str | None = None) -> int | None:
        """What the target grants, in microseconds of what it counts; None before the start, without a target, or past the horizon."""
        name = priority or self.priority
        if name not in self._budgets:
            self._budgets[name] = self._granted(name)
        return self._budgets[name]

    @cached_property
    def _budgets(self) -> dict[str, int | None]:
        return {}

    def _granted(self, priority: str) -> int | None:
        target = self.target(priority)
        if target is None or self.started is None:
            return None
        try:
            return target.budget_us(self.table, self.started)
        except BeyondHorizon:
            return None

    def _counted(self, a: int, b: int, open_time: bool) -> int:
        if not open_time:
            return b - a
        first, last = self.table.horizon_us
        a, b = max(a, first), min(b, last)
        return self.table.elapsed_us(a, b) if a < b else 0

    def _advance(self, a: int, amount: int, open_time: bool) -> int:
        return self.table.add_us(a, amount) if open_time else a + amount

    def used(self, t: int, priority: str | None = None) -> int:
        """What was used by `t`, of what the target under `priority` counts."""
        open_time = self.counts_open(priority)
        return sum(self._counted(a, t if b is None else min(b, t), open_time) for a, b in self.runs if a < t)

    def first(self, need: int, not_before: int, *, moving: bool, priority: str | None = None) -> int | None:
        """The earliest instant, not before `not_before`, at which `need` is used and the clock runs.

        `moving`: and at which it goes on counting, so that a target used up at closing time is passed at the next
        opening. None: never, as things stand, or past the pinned horizon.
        """
        open_time, before = self.counts_open(priority), 0
        for a, b in self.runs:
            end = FAR if b is None else b
            try:
                reached = a if before >= need else self._advance(a, need - before, open_time)
                at = max(a, reached, not_before)
                if moving and open_time and at < end:
                    at = self.table.next_open_us(at)
                if at < end:
                    return at
            except BeyondHorizon:
                return None
            before += self._counted(a, end, open_time)
        return None

    @cached_property
    def due(self) -> int | None:
        """The earliest instant by which the target is used up, if nothing changes; for a stopped clock, where it lay.

        None while it does not run, and where it lies past the pinned horizon.
        """
        budget = self.budget()
        if budget is None or self.started is None:
            return None
        runs = self.runs
        if not runs and self.stopped is not None:  # stopped as it started
            runs = ((self.started, self.stopped),)
        open_time, before = self.counts_open(), 0
        for i, (a, b) in enumerate(runs):
            goes_on = b is None or (self.stopped is not None and i == len(runs) - 1)
            counted = 0 if b is None else self._counted(a, b, open_time)
            if goes_on or before + counted >= budget:
                try:
                    return self._advance(a, max(0, budget - before), open_time)
                except BeyondHorizon:
                    return None
            before += counted
        return None

    @cached_property
    def declared(self) -> int | None:
        """The first instant at which the time used goes past the target while the clock runs, now or to come.

        A priority lowered in time takes a miss back; one raised past what is used declares it at once.
        """
        return self.declared_under(FAR)

    def declared_under(self, t: int) -> int | None:
        """`declared`, by the priorities in force up to `t` alone: a miss, or one to come, as it stood at that instant."""
        marks = [(max(at, -FAR), p) for at, p in self.priorities if at <= t]
        declared: int | None = None
        for i, (since, priority) in enumerate(marks):
            until = marks[i + 1][0] if i + 1 < len(marks) else FAR
            budget = self.budget(priority)
            if budget is None or self.started is None:
                declared = None
                continue
            if self.stopped is not None and since >= self.stopped:
                break
            if declared is not None and self.used(since, priority) >= budget:
                continue
            at = self.first(budget, max(since, self.started), moving=True, priority=priority)
            declared = at if at is not None and at < until else None
        return declared

    def running_at(self, t: int) -> bool:
        """Whether the clock runs from `t` on."""
        return any(a <= t and (b is None or t < b) for a, b in self.runs)


def clocks(terms: dict[str, ClockTerms], facts: Facts, table: Timetable) -> list[Clock]:
    """Every run of every clock of a contract."""
    return [clock for name, part in terms.items() for clock in _runs_of(name, part, facts, table)]


def _runs_of(name: str, terms: ClockTerms, facts: Facts, table: Timetable) -> list[Clock]:
    if terms.starts == "opened":
        starts: Sequence[int | None] = [facts.starts_at] if facts.opened_at is not None else []
    elif terms.starts == "priority_changed":
        starts = sorted(to_us(entry.happened) for entry, _, _ in facts.revisions)
    else:
        starts = facts.words.get(terms.starts, [])
    made: list[Clock] = []
    for start in starts if terms.repeats else starts[:1]:
        if made and start is not None and (made[-1].stopped is None or start < made[-1].stopped):
            continue
        number = len(made) + 1
        made.append(_one(name if number == 1 else f"{name}#{number}", name, terms, facts, table, start))
    return made


def _one(name: str, base: str, terms: ClockTerms, facts: Facts, table: Timetable, start: int | None) -> Clock:
    priorities = tuple(facts.priorities)
    if start is None:
        return Clock(name, base, terms, table, None, (), None, priorities)
    marks = [(at, RANK.get(kind, len(RANK)), True) for kind in terms.stops for at in facts.stops.get(kind, [])]
    marks += [(at, RANK["reopened"], False) for at in facts.reopened if terms.restarts]
    counted = [mark for mark in sorted(marks) if not terms.repeats or mark[0] >= start]
    start = next((b for a, b in facts.suspended if a <= start and (b is None or start < b)), start)
    if start is None:
        return Clock(name, base, terms, table, None, (), None, priorities)
    runs = _between(start, counted)
    holes = list(facts.suspended) + (facts.waits if "waiting_on_customer" in terms.pauses else [])
    return Clock(name, base, terms, table, start, tuple(without(runs, holes)), runs[-1][1], priorities)


def _between(start: int, marks: Sequence[tuple[int, int, bool]]) -> list[Stretch]:
    """From the start on, what lies between what stops (True) and what starts again (False), both in the order of events.

    What came before the start, or while it was put off by a suspension, counts as it starts.
    """
    runs: list[Stretch] = [(start, None)]
    for at, _, stops in marks:
        begun, ended = runs[-1]
        if stops and ended is None:
            runs[-1] = (begun, max(at, start))
        elif not stops and ended is not None:
            runs[-1:] = [(begun, None)] if at <= ended else [runs[-1], (at, None)]
    return runs
