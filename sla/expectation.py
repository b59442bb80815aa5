"""What a story expects, held beside what came of it: any subset may be named, and what is named must hold."""

import re
from datetime import datetime
from typing import Any

from sla.duration import Duration
from sla.timetable import Timetable

_SPAN = re.compile(r"(-?)\s*(\d+)\s+(.+)")


def differences(expected: Any, got: Any, table: Timetable, path: str = "expect") -> list[str]:
    """One line a difference: path, expected, got. None: all holds.

    A map names some keys. A list names some items, each one of its own; an empty list says that there are none. Beside
    `notices`, `never` lists notices that must not be there. Times without an offset are the calendar's local time.
    """
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            return [_line(path, expected, got)]
        found: list[str] = []
        for key, value in expected.items():
            found += _entry(str(key), value, got, table, f"{path}.{key}")
        return found
    if isinstance(expected, list):
        return _items(expected, got, table, path)
    return [] if _same(expected, got, table) else [_line(path, expected, got)]


def _entry(key: str, value: Any, got: dict[str, Any], table: Timetable, path: str) -> list[str]:
    if key in ("used", "left") and f"{key}_seconds" in got and value is not None:
        wanted = _seconds(value)
        if wanted is None:
            return [f"{path}: {value!r} is no span of time; write for example 30 business minutes"]
        return [] if wanted == got[f"{key}_seconds"] else [_line(path, value, f"{got[f'{key}_seconds']} seconds")]
    if key == "never":
        sent = got.get("notices", [])
        return [
            f"{path}.{i}: expected never {unwanted!r}, got {notice!r}"
            for i, unwanted in enumerate(value if isinstance(value, list) else [value])
            for notice in sent
            if not differences(unwanted, notice, table)
        ]
    key = f"{key}_seconds" if key in ("used", "left") else key
    if key not in got:
        return [f"{path}: expected {value!r}, got nothing: there is only {', '.join(map(str, got)) or 'nothing'}"]
    return differences(value, got[key], table, path)


def _items(expected: list[Any], got: Any, table: Timetable, path: str) -> list[str]:
    if not isinstance(got, list):
        return [_line(path, expected, got)]
    if not expected:
        return [] if not got else [f"{path}: expected none, got {got!r}"]
    fits = [[j for j, is_ in enumerate(got) if not differences(item, is_, table)] for item in expected]
    taken: dict[int, int] = {}
    missing = [i for i in range(len(expected)) if not _place(i, fits, taken, set())]
    return [f"{path}.{i}: expected {expected[i]!r}, got {got!r}" for i in missing]


def _place(i: int, fits: list[list[int]], taken: dict[int, int], tried: set[int]) -> bool:
    """Find an item of its own for what is expected `i`-th, moving others if need be (Kuhn's matching)."""
    for j in fits[i]:
        if j not in tried:
            tried.add(j)
            if j not in taken or _place(taken[j], fits, taken, tried):
                taken[j] = i
                return True
    return False


def _same(expected: Any, got: Any, table: Timetable) -> bool:
    if expected == got or str(expected) == str(got):
        return True
    if isinstance(expected, str) and isinstance(got, str):
        wanted, is_ = _time(expected, table), _time(got, table)
        return wanted is not None and wanted == is_
    return False


def _time(text: str, table: Timetable) -> datetime | None:
    try:
        at = datetime.fromisoformat(text.strip())
        return table.from_local(at) if at.tzinfo is None else at
    except ValueError:
        return None


def _seconds(value: Any) -> float | None:
    if isinstance(value, int | float):
        return value
    match = _SPAN.fullmatch(str(value).strip())
    if match is None:
        return None
    sign, amount, unit = -1 if match[1] else 1, int(match[2]), match[3]
    if unit.split()[-1].rstrip("s") == "second":
        return sign * amount
    try:
        one = Duration.parse(f"1 {unit}")
    except ValueError:
        return None
    each = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}.get(str(one.unit.value).split()[-1].rstrip("s"))
    return None if each is None or (each == 86_400 and one.counts_open_time) else sign * amount * each


def _line(path: str, expected: Any, got: Any) -> str:
    return f"{path}: expected {expected!r}, got {got!r}"
