"""How the connected sources do: when each was heard last, how far it was read; and which have gone quiet."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncEngine

from records.models import SourceRow
from sla.source import Source


@dataclass(frozen=True, slots=True)
class SourceState:
    """How one connected source does; all times are aware."""

    name: str
    kind: str
    since: datetime
    """When it was connected."""
    heard_at: datetime | None = None
    read_to: datetime | None = None
    """Up to which of its own moments its API was read."""
    read_at: datetime | None = None
    read_how: str = ""
    """What came of it, one sentence."""
    told_quiet_at: datetime | None = None
    """When somebody was told that nothing is heard of it; none: it is heard."""


class SourceStore:
    """The table `sources`. Database errors are SQLAlchemy's own (`SQLAlchemyError`)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._insert = sqlite_insert if engine.dialect.name == "sqlite" else postgresql_insert

    async def seen(self, name: str, kind: str, at: datetime) -> None:
        """A source is connected: from now on it is expected to be heard. What is known of it already stays."""
        statement = self._insert(SourceRow).values(_row(name, kind, at))
        update = {"kind": statement.excluded.kind}
        async with self._engine.begin() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=update))

    async def heard(self, times: Mapping[tuple[str, str], datetime]) -> None:
        """Sources, each a name and a kind, were heard. A later time stands; one who is heard is quiet no more."""
        if not times:
            return
        statement = self._insert(SourceRow)
        given = statement.excluded
        later = or_(SourceRow.heard_at.is_(None), SourceRow.heard_at < given.heard_at)
        statement = statement.on_conflict_do_update(
            index_elements=["name"],
            set_={
                "kind": given.kind,
                "heard_at": case((later, given.heard_at), else_=SourceRow.heard_at),
                "told_quiet_at": case((later, None), else_=SourceRow.told_quiet_at),
            },
        )
        rows = [{**_row(name, kind, at), "heard_at": at} for (name, kind), at in sorted(times.items())]
        async with self._engine.begin() as connection:
            await connection.execute(statement, rows)

    async def read(self, name: str, kind: str, to: datetime | None, at: datetime, how: str) -> None:
        """Its API was read at `at`, up to `to` (None: not at all, and what was read before stands), and what came of it."""
        statement = self._insert(SourceRow).values(
            {**_row(name, kind, at), "read_to": to, "read_at": at, "read_how": how}
        )
        given = statement.excluded
        to_then = SourceRow.read_to if to is None else given.read_to
        update = {"kind": given.kind, "read_to": to_then, "read_at": given.read_at, "read_how": given.read_how}
        async with self._engine.begin() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=update))

    async def told_quiet(self, name: str, at: datetime) -> None:
        """Somebody was told that nothing is heard of it."""
        async with self._engine.begin() as connection:
            await connection.execute(update(SourceRow).where(SourceRow.name == name).values(told_quiet_at=at))

    async def get(self, name: str) -> SourceState | None:
        """How that source does, or None."""
        return (await self._found(select(SourceRow.__table__).where(SourceRow.name == name))).get(name)

    async def all(self) -> dict[str, SourceState]:
        """How every source does that was ever seen, by its name."""
        return await self._found(select(SourceRow.__table__).order_by(SourceRow.name))

    async def _found(self, asked: Any) -> dict[str, SourceState]:
        async with self._engine.connect() as connection:
            return {row["name"]: SourceState(**row) for row in (await connection.execute(asked)).mappings()}


def quiet_since(source: Source, state: SourceState | None, now: datetime) -> datetime | None:
    """Since when a source has not been heard, where that is longer than it may be; None: all is well, or nobody asks."""
    if state is None or not source.quiet_hours:
        return None
    last = state.heard_at or state.since
    return last if now - last > timedelta(hours=source.quiet_hours) else None


def quiet_by_name(sources: Mapping[str, Source], states: Mapping[str, SourceState], now: datetime) -> dict[str, str]:
    """A sentence for each source that has not been heard for longer than its `quiet_hours`, by its name."""
    said = {}
    for name, source in sorted(sources.items()):
        state = states.get(name)
        since = quiet_since(source, state, now)
        if since is None or state is None:
            continue
        hours = int((now - since).total_seconds()) // 3600
        never = "" if state.heard_at else "since it was connected, "
        said[name] = (
            f"nothing was heard of {source.kind}/{name} for {hours} h, {never}since {since:%Y-%m-%d %H:%M} {since:%Z}; "
            f"it may be quiet for {source.quiet_hours} h: look at its webhooks, then run `pactkeeper doctor {name}`"
        )
    return said


def quiet(sources: Mapping[str, Source], states: Mapping[str, SourceState], now: datetime) -> list[str]:
    """The same sentences as a list."""
    return list(quiet_by_name(sources, states, now).values())


def _row(name: str, kind: str, at: datetime) -> dict[str, Any]:
    fields = {"name": name, "kind": kind, "since": at, "read_how": ""}
    return fields | dict.fromkeys(("heard_at", "read_to", "read_at", "told_quiet_at"))
