"""A view as data that a script reads: the shape of `status --json` and of a played story, times in the calendar's offset."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sla.account import AccountView
from sla.entries import AccountEntry, Entry, Notice, StepDone
from sla.evaluate import ClockView, View
from sla.events import INCIDENT_EVENTS
from sla.facts import distinct
from sla.timetable import Timetable


def local(table: Timetable, at: datetime | None) -> str | None:
    """ISO 8601 with the offset of the contract's calendar."""
    return None if at is None else table.to_local(at).isoformat()


def notices(log: Iterable[Entry]) -> list[Notice]:
    """Every notice that went out, in the order of its moment."""
    sent = [
        (notice.at, i, notice)
        for i, line in enumerate(log)
        if isinstance(line.event, StepDone)
        for notice in line.event.notices
    ]
    return [notice for *_, notice in sorted(sent, key=lambda item: item[:2])]


def incident(view: View, log: list[Entry], table: Timetable) -> dict[str, Any]:
    """One incident, as STORIES prints it."""
    outside = sorted(
        (e for e in distinct(log) if isinstance(e.event, INCIDENT_EVENTS)), key=lambda e: (e.occurred_at, e.received_at)
    )
    return {
        "phase": view.phase,
        "priority": view.priority,
        "assignee": view.assignee,
        "disposition": view.disposition,
        "resolution": view.resolution,
        "clocks": {clock.name: _clock(clock, table) for clock in view.clocks},
        "notices": [_notice(notice, table) for notice in notices(log)],
        "attention": list(view.attention),
        "log": [
            {
                "occurred_at": local(table, line.occurred_at),
                "received_at": local(table, line.received_at),
                "event": line.event.event,
                "by": getattr(line.event, "by", None),
                **{name: said for name in ("to", "why") if (said := getattr(line.event, name, None)) is not None},
            }
            for line in outside
        ],
    }


def account(view: AccountView, log: Iterable[AccountEntry], table: Timetable | None = None) -> dict[str, Any]:
    """A customer's account, as `standing --json` prints it; times in the calendar's offset, without one in UTC."""

    def when(at: datetime | None) -> str | None:
        return local(table, at) if table is not None else None if at is None else at.isoformat()

    sent = [n for line in log if isinstance(line.event, StepDone) for n in line.event.notices]
    return {
        "standing": view.standing,
        "since": when(view.since),
        "lines": {
            line.id: {
                "standing": line.standing,
                "since": when(line.since),
                "why": line.why,
                "suspends_at": when(line.suspends_at),
                "awaits_approval": line.awaits_approval,
                "exception": None
                if line.exception is None
                else {"by": line.exception.by, "why": line.exception.why, "until": when(line.exception.end)},
                "suspended": [{"from": when(one.start), "to": when(one.end)} for one in line.ledger.suspended],
            }
            for line in view.lines
        },
        "notices": [
            {
                "at": when(n.at),
                "kind": n.kind,
                "step": n.step,
                "to": list(n.to),
                "channel": n.channel,
                "clause": n.clause,
            }
            for n in sorted(sent, key=lambda n: n.at)
        ],
    }


def _clock(clock: ClockView, table: Timetable) -> dict[str, Any]:
    return {
        "state": clock.state,
        "title": clock.title,
        "target": clock.target,
        "commitment": clock.commitment,
        "clause": clock.clause,
        "started": local(table, clock.started),
        "due": local(table, clock.due),
        "stopped": local(table, clock.stopped),
        "declared_missed": local(table, clock.declared_missed),
        "used_seconds": seconds(clock.used_us),
        "left_seconds": None if clock.left_us is None else seconds(clock.left_us),
        "provisional": clock.provisional,
    }


def seconds(us: int) -> int | float:
    """Microseconds as seconds, whole where they are whole."""
    return us // 1_000_000 if us % 1_000_000 == 0 else us / 1_000_000


def _notice(notice: Notice, table: Timetable) -> dict[str, Any]:
    told = {"at": local(table, notice.at), **notice.model_dump(mode="json", exclude={"at"})}
    if told["note"] is None:
        del told["note"]
    return told
