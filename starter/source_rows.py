"""What there is to say of each connected source, for the command line and for the page: one row each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from records.dead_letters import DeadLetterStore
from records.deliveries import DeliveryStore
from records.sources import SourceState, SourceStore, quiet_by_name, quiet_since
from records.spool import LETTERS, Spool
from sla.source import Source
from starter.connecting import SETUPS

GONE: Final = timedelta(days=30)
"""A source whose file is gone is listed for so long after it was heard last: its deliveries are in the log until then."""


DAY: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One source; all times are aware."""

    name: str
    kind: str
    title: str
    connected: bool
    """False: it was heard once, and has no file any more."""
    heard_at: datetime | None
    quiet_since: datetime | None
    """Set where it has not been heard for longer than it may be."""
    alarm: str
    """The sentence about that; empty where all is well."""
    has_api: bool
    """Whether there is an API of its kind that could be read."""
    reads: bool
    """Whether its API is read."""
    read_at: datetime | None
    read_how: str
    spooled: int
    """How many of its words wait for Temporal, as they were put by."""
    letters: int
    """How many dead letters of it wait for somebody."""
    day: Mapping[str, int] = field(default_factory=dict)
    """How many deliveries of the last 24 hours came to each outcome: accepted, ignored, …"""


async def source_lines(engine: AsyncEngine, sources: Mapping[str, Source], now: datetime) -> list[SourceLine]:
    """The lines of these sources, as the records have it. Database errors are SQLAlchemy's own."""
    states = await SourceStore(engine).all()
    spooled, letters = await Spool(engine).by_source(), await DeadLetterStore(engine).by_source()
    return lines(sources, states, spooled, letters, now, await DeliveryStore(engine).counts(now - DAY))


def lines(
    sources: Mapping[str, Source],
    states: Mapping[str, SourceState],
    spooled: Mapping[str, int],
    letters: Mapping[str, int],
    now: datetime,
    counts: Mapping[tuple[str, str], int] = {},
) -> list[SourceLine]:
    """A line for each source that is connected, then for each that once was, while there is something to say of it."""
    alarms = quiet_by_name(sources, states, now)
    made = []
    for name in (*sorted(sources), *sorted(states.keys() - sources.keys())):
        source, state = sources.get(name), states.get(name)
        kind = source.kind if source else states[name].kind
        dead = letters.get(f"{kind}/{name}", 0) + letters.get(f"{LETTERS}/{name}", 0)
        if not source and not dead and not spooled.get(name) and now - _last(states[name]) > GONE:
            continue
        made.append(
            SourceLine(
                name=name,
                kind=kind,
                title=source.title if source else "",
                connected=source is not None,
                heard_at=state.heard_at if state else None,
                quiet_since=quiet_since(source, state, now) if source else None,
                alarm=alarms.get(name, ""),
                has_api=(setup := SETUPS.get(kind)) is not None and setup.api is not None,
                reads=bool(source and source.url and source.reconcile_minutes),
                read_at=state.read_at if state else None,
                read_how=state.read_how if state else "",
                spooled=spooled.get(name, 0),
                letters=dead,
                day={what: many for (one, what), many in sorted(counts.items()) if one == f"{kind}/{name}"},
            )
        )
    return made


def _last(state: SourceState) -> datetime:
    """When it was there last, as far as is known."""
    return max(at for at in (state.since, state.heard_at, state.read_at) if at is not None)
