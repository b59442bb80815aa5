"""The stretches of time that add up to a deadline, as people read them: shown by `proof` and `explain`."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from starter.commands import terminal

SHOWN = 40
"""A clock of more stretches than these shows the first and the last of them."""


def stretches(told: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Each clock of a proof, and the calendar that it was counted by."""
    for name, clock in told["clocks"].items():
        yield Text("")
        yield _heading(name, clock)
        if clock["parts"]:
            yield _parts(clock["parts"])
    calendar = told["calendar"]
    versions = f"tzdata {calendar['tzdata']}, holidays {calendar['holidays']}, digest {calendar['digest']}"
    pinned = f"pinned from {calendar['first']} to {calendar['last']}"
    yield Text(f"\nCounted by the calendar of {calendar['timezone']}, {pinned} ({versions})", style="dim")


def _heading(name: str, clock: Mapping[str, Any]) -> Text:
    title = clock.get("title")
    said = Text(f"{name}: {title}" if title else name, style="bold")
    said.append(f", {clock['target'] or 'no target'} ({clock['clause']})", style="not bold")
    if clock.get("counts_from"):
        said.append(f", {clock['counts_from']}", style="not bold")
    if clock["due"] is None:
        return said.append("; it has no deadline now", style="not bold")
    due = datetime.fromisoformat(clock["due"])
    said.append("\ndue ", style="not bold").append(f"{terminal.moment(due)} ({terminal.offset(due)})", style="bold")
    late = clock.get("declared_missed")
    if late and late != clock["due"]:
        said.append(f"; as that is when support closes, a miss is declared {terminal.moment(late)}", style="not bold")
    return said


def _parts(parts: list[Mapping[str, Any]]) -> RenderableType:
    made = terminal.table("from", "to", "counts", "together", "why")
    shown = parts if len(parts) <= SHOWN else [*parts[: SHOWN // 2], None, *parts[-SHOWN // 2 :]]
    for part in shown:
        if part is None:
            terminal.row(made, ["…", f"{len(parts) - SHOWN} more", "", "", "--json lists them all"])
            continue
        counts = terminal.amount(part["counted_seconds"]) if part["counted_seconds"] else "–"
        ends = [terminal.moment(part["from"]), terminal.moment(part["to"])]
        terminal.row(made, [*ends, counts, terminal.amount(part["total_seconds"]), part["why"]])
    return made
