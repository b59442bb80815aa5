"""How fast the arithmetic of open time is, as ratios in one run: against peers, and against the searches it rests on.

`python benchmarks/business_time.py [--json]`. Support is open Mon-Fri 09:00-17:00 in New York, not on US federal
holidays. The answers are first compared with the peers'; then all take turns, and the median of their rounds counts, so
that a busy or slow machine moves the times but hardly the ratios.
"""

import argparse
import gc
import json
import random
import statistics
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any

import businesstimedelta  # type: ignore[import-untyped]
import pytz  # type: ignore[import-untyped]
import workclock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sla.calendar import BusinessCalendar
from sla.timetable import Timetable, to_us

ZONE = "America/New_York"
FIRST, LAST = date(2024, 1, 1), date(2041, 12, 31)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
TEN_YEARS = 20_000 * HOUR  # of open time
ROUNDS, QUERIES, SLOW_QUERIES = 15, 1_000, 3
"""A peer that takes many milliseconds a call gets the slow ones only, the first of the list."""

Pair = tuple[Any, Any]
Contestant = Callable[[], float]


@dataclass(frozen=True)
class Line:
    """One comparison: nanoseconds a call of ours and of the other, their ratio, and the aim for it."""

    what: str
    ours_ns: float
    other: str
    other_ns: float
    ratio: float
    aim: str
    reached: bool


def timetable() -> Timetable:
    hours = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ("09:00-17:00",))
    return BusinessCalendar(timezone=ZONE, hours=hours, holidays={"country": "US"}).pin(FIRST, LAST).timetable()


def peers(closed: Sequence[date]) -> tuple[workclock.Schedule, Any]:
    """The same calendar in workclock and businesstimedelta."""
    schedule = workclock.Schedule([workclock.WorkDay(clock(9), clock(17)), workclock.Holidays(closed)], time_zone=ZONE)
    zone = pytz.timezone(ZONE)
    days = businesstimedelta.WorkDayRule(start_time=clock(9), end_time=clock(17), working_days=[*range(5)], tz=zone)
    return schedule, businesstimedelta.Rules([days, businesstimedelta.HolidayRule(frozenset(closed), tz=zone)])


def starts_and_spans(chance: random.Random, shortest: timedelta, longest: timedelta) -> list[Pair]:
    """Instants of 2025 to 2029 and spans of time, in whole seconds, for a peer knows no less."""
    begin, width = datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=5 * 365) // SECOND
    return [
        (begin + SECOND * chance.randrange(width), SECOND * chance.randint(shortest // SECOND, longest // SECOND))
        for _ in range(QUERIES)
    ]


def calling(call: Callable[[Any, Any], object], pairs: Sequence[Pair]) -> Contestant:
    """Nanoseconds a call, loop included."""

    def run() -> float:
        began = time.perf_counter_ns()
        for first, second in pairs:
            call(first, second)
        return (time.perf_counter_ns() - began) / len(pairs)

    return run


def bare_searches(table: Timetable, pairs: Sequence[Pair], *, by_amount: bool) -> Contestant:
    """Two searches in the table's own lists for what `add` or `elapsed` would look for, and nothing else."""
    opens = table._opens
    if by_amount:
        second_list, second_search = table._before, bisect_left
        keys = [
            (to_us(start), table._passed(to_us(start)) + to_us(start + span) - to_us(start)) for start, span in pairs
        ]
    else:
        second_list, second_search = opens, bisect_right
        keys = [(to_us(since), to_us(until)) for since, until in pairs]

    def run() -> float:
        began = time.perf_counter_ns()
        for first, second in keys:
            bisect_right(opens, first)
            second_search(second_list, second)
        return (time.perf_counter_ns() - began) / len(keys)

    return run


def medians(*contestants: Contestant) -> list[float]:
    """The median of each, all taking turns."""
    gc.collect()
    gc.disable()
    rounds = [[run() for run in contestants] for _ in range(ROUNDS)]
    gc.enable()
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def same(
    what: str, ours: Callable[[Any, Any], object], theirs: Callable[[Any, Any], object], pairs: Sequence[Pair]
) -> int:
    """How many answers were compared; a different one ends the run."""
    for pair in pairs:
        if ours(*pair) != theirs(*pair):
            raise SystemExit(f"{what} of {pair[0]} and {pair[1]}: {ours(*pair)}, but {theirs(*pair)}")
    return len(pairs)


def measure() -> tuple[dict[str, int], list[Line]]:
    table = timetable()
    schedule, rules = peers([day for day, _ in table.calendar.closed])
    chance = random.Random(20310707)
    hour = starts_and_spans(chance, HOUR, HOUR)
    mixed = starts_and_spans(chance, HOUR, 2_000 * HOUR)
    decade = starts_and_spans(chance, TEN_YEARS, TEN_YEARS)
    day = [(start, start + span) for start, span in starts_and_spans(chance, SECOND, 24 * HOUR)]
    year = [(start, start + span) for start, span in starts_and_spans(chance, SECOND, timedelta(days=365))]
    years = [(start, start + timedelta(days=3650)) for start, _ in decade]

    def their_add(start: datetime, amount: timedelta) -> Any:
        return start + businesstimedelta.BusinessTimeDelta(rules, timedelta=amount)

    def their_elapsed(since: datetime, until: datetime) -> Any:
        return rules.difference(since, until).timedelta

    compared = {
        "workclock add": sum(same("add", table.add, schedule.add, pairs) for pairs in (hour, mixed, decade)),
        "workclock elapsed": sum(
            same("elapsed", table.elapsed, schedule.between, pairs) for pairs in (day, year, years)
        ),
        "businesstimedelta add": same("add", table.add, their_add, mixed[:20]),
        "businesstimedelta elapsed": same("elapsed", table.elapsed, their_elapsed, year[:20]),
    }

    lines: list[Line] = []

    def add_line(what: str, ours: float, other: str, theirs: float, at_least: float = 0, at_most: float = 0) -> None:
        ratio = theirs / ours if at_least else ours / theirs
        reached = ratio >= at_least if at_least else ratio <= at_most
        aim = f"≥ {at_least:,.0f}× faster" if at_least else f"≤ {at_most:g}× its time"
        lines.append(Line(what, ours, other, theirs, ratio, aim, reached))

    for what, ours, theirs, slow, questions in (
        ("add", table.add, schedule.add, their_add, {"1 hour": hour, "1 to 2,000 hours": mixed, "10 years": decade}),
        (
            "elapsed",
            table.elapsed,
            schedule.between,
            their_elapsed,
            {"≤ 1 day": day, "≤ 1 year": year, "10 years": years},
        ),
    ):
        spans: dict[str, float] = {}
        for name, pairs in questions.items():
            contestants = [
                calling(ours, pairs),
                calling(theirs, pairs),
                bare_searches(table, pairs, by_amount=what == "add"),
            ]
            if name in ("1 to 2,000 hours", "≤ 1 year"):
                contestants.append(calling(slow, pairs[:SLOW_QUERIES]))
            mine, rust, bare, *rest = medians(*contestants)
            spans[name] = mine
            add_line(f"{what}, {name}", mine, "workclock", rust, at_least=10)
            add_line(f"{what}, {name}", mine, "two bare bisects", bare, at_most=6)
            for their_time in rest:
                add_line(f"{what}, {name}", mine, "businesstimedelta", their_time, at_least=5_000)
        (_, short), *_, (longest, long) = spans.items()
        add_line(f"{what}, {longest}", long, "itself on the shortest", short, at_most=2)
    return compared, lines


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    wanted = parser.parse_args()
    compared, lines = measure()
    if wanted.json:
        print(json.dumps({"equal_answers": compared, "lines": [asdict(line) for line in lines]}, indent=2))
        return 0
    print("equal answers: " + ", ".join(f"{what} {count:,}" for what, count in compared.items()))
    print(f"\n{'':24} {'ns a call':>10}   {'against':24} {'ns a call':>12} {'ratio':>10}   aim")
    for line in lines:
        verdict = "reached" if line.reached else "NOT REACHED"
        print(
            f"{line.what:24} {line.ours_ns:10,.0f}   {line.other:24} {line.other_ns:12,.0f} {line.ratio:10,.1f}   "
            f"{line.aim}: {verdict}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
