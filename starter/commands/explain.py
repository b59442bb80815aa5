"""`explain`: a contract's deadlines for a request, and the stretches of time that add up to them. Needs no server."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from records.shelf import Shelf
from sla.civil import MICROSECOND, from_us
from sla.clock import Clock
from sla.horizon import window
from sla.policy import Contract, PinnedContract
from sla.proof import Part, parts, promised
from sla.report import local, seconds
from sla.timetable import PinnedCalendar
from starter.commands import terminal
from starter.commands.add_up import stretches
from starter.commands.failures import RefusalError
from starter.commands.options import Json, option, read_time

LONGEST = 3600
"""Days that a calendar is pinned ahead at most, where a deadline lies past the contract's own horizon."""
COUNTS_FROM = {
    "customer_replied": "counted from a reply of the customer",
    "priority_changed": "counted from a revised priority",
}


def explain(
    contract: Annotated[str, option("NAME", "The contract, such as tromzo, or the path of its file.", "--contract")],
    priority: Annotated[str, option("PRIORITY", "Such as P1.", "--priority")],
    received: Annotated[
        str,
        option(
            "TIME",
            "When the request came in: 2031-07-11T16:00 by the contract's own time zone, or with an offset or Z.",
            "--received",
        ),
    ],
    clock: Annotated[str | None, option("NAME", "One clock, such as response; left out: all.")] = None,
    json: Json = False,
) -> None:
    """Show what a contract promises to a request: each deadline, and the stretches of time that add up to it.

    Example: pactkeeper explain --contract tromzo --priority P1 --received 2031-07-11T17:00
    """
    told = explained(Shelf(), contract, priority, received, clock)
    if json:
        terminal.as_json(told)
        return
    at = datetime.fromisoformat(told["received"])
    terminal.show(
        f"{told['contract']['title']} (version {told['contract']['version']}), {priority} {told['priority']['title']}, "
        f"received {terminal.moment(at)} ({terminal.offset(at)})"
    )
    terminal.show(*stretches(told))


def explained(shelf: Shelf, name: str, priority: str, received: str, only: str | None = None) -> dict[str, Any]:
    """What `explain --json` prints.

    Raises:
        RefusalError: a time, priority or clock that can't be; PolicyFileError: a contract that can't be read.
    """
    contract = shelf.contract(name, Path.cwd())
    if priority not in contract.priorities:
        raise RefusalError(f"--priority is {priority!r}; {contract.name} knows {', '.join(contract.priorities)}", 2)
    if only is not None and only not in contract.clocks:
        raise RefusalError(f"--clock is {only!r}; {contract.name} has: {', '.join(contract.clocks)}", 2)
    if only is not None and priority not in contract.clocks[only].targets:
        raise RefusalError(f"--clock is {only!r}, for which {contract.name} sets no target under {priority}", 2)
    asked = read_time(received, "--received")
    wanted = [n for n, terms in contract.clocks.items() if only in (None, n) and priority in terms.targets]
    try:
        pinned = shelf.pin(name, None, *window(asked, contract.horizon_days), Path.cwd())
        at = pinned.calendar.from_local(asked) if asked.tzinfo is None else asked
        clocks = {n: promised(pinned, n, contract.clocks[n], priority, at) for n in wanted}
        if any(clock.due is None for clock in clocks.values()):
            pinned = shelf.pin(name, None, *window(asked, LONGEST), Path.cwd())
            clocks = {n: promised(pinned, n, contract.clocks[n], priority, at) for n in wanted}
    except (OverflowError, ValueError) as error:
        raise RefusalError(f"--received is {received!r}, for which no calendar can be made: {error}", 2) from None
    calendar = pinned.calendar
    return {
        "contract": {"name": contract.name, "version": pinned.version, "title": contract.title},
        "priority": {"name": priority, "title": contract.priorities[priority].title},
        "received": local(calendar.timetable(), at),
        "calendar": {
            "timezone": calendar.timezone,
            "tzdata": calendar.tzdata_version,
            "holidays": calendar.holidays_version,
            "first": calendar.first.isoformat(),
            "last": calendar.last.isoformat(),
            "digest": calendar.digest(),
        },
        "clocks": {n: _clock(clock, contract, pinned) for n, clock in clocks.items()},
    }


def _clock(clock: Clock, contract: Contract, pinned: PinnedContract) -> dict[str, Any]:
    table, terms, budget = pinned.calendar.timetable(), contract.clocks[clock.name], clock.budget()
    assert clock.started is not None
    return {
        "title": terms.title,
        "target": str(clock.target()),
        "commitment": terms.commitment,
        "clause": terms.clause,
        "counts_from": COUNTS_FROM.get(terms.starts),
        "budget_seconds": None if budget is None else seconds(budget),
        "started": local(table, from_us(clock.started)),
        "due": local(table, None if clock.due is None else from_us(clock.due)),
        "declared_missed": local(table, None if clock.declared is None else from_us(clock.declared)),
        "parts": [
            {
                "from": local(table, part.start),
                "to": local(table, part.end),
                "counted_seconds": seconds(part.counted),
                "why": _why(part, pinned.calendar),
                "total_seconds": seconds(part.total),
            }
            for part in parts(clock, clock.due if clock.due is not None else table.horizon_us[1])
        ],
    }


def _why(part: Part, calendar: PinnedCalendar) -> str:
    """Why a stretch counts or not, with the holidays and closures that it lies on."""
    if part.counted:
        return part.why
    first, last = calendar.to_local(part.start).date(), (calendar.to_local(part.end) - MICROSECOND).date()
    days = [
        f"{day.why} on {day.day:%a} {day.day.day} {day.day:%b}" for day in calendar.closed if first <= day.day <= last
    ]
    return f"{part.why} ({', '.join(days)})" if days else part.why
