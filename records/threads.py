"""What a channel calls the message that an incident has there: where the next one goes, and what it says by now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncEngine

from records.models import ThreadRow


@dataclass(frozen=True, slots=True)
class Thread:
    """One incident's message at one address of a channel. An empty reference: it was begun, and what came of it is not known."""

    incident: str
    channel: str
    """The channel and the address there, such as `slack:C0123`."""
    reference: str
    put_at: datetime
    state: Mapping[str, Any] = field(default_factory=dict)
    """What the message says now; plain JSON."""


class ThreadStore:
    """The table `threads`. Database errors are SQLAlchemy's own (`SQLAlchemyError`)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._insert = sqlite_insert if engine.dialect.name == "sqlite" else postgresql_insert

    async def get(self, incident: str, channel: str) -> Thread | None:
        """The incident's message there, if there is one."""
        asked = select(ThreadRow.__table__).where(ThreadRow.incident == incident, ThreadRow.channel == channel)
        async with self._engine.connect() as connection:
            row = (await connection.execute(asked)).mappings().one_or_none()
        return None if row is None else Thread(**row)

    async def of(self, incident: str) -> list[Thread]:
        """The messages that an incident has anywhere, in the order of their channels."""
        asked = select(ThreadRow.__table__).where(ThreadRow.incident == incident).order_by(ThreadRow.channel)
        async with self._engine.connect() as connection:
            return [Thread(**row) for row in (await connection.execute(asked)).mappings()]

    async def begin(self, thread: Thread) -> bool:
        """Keep it, unless the incident has one there already; True when it is this that is kept now."""
        statement = self._insert(ThreadRow).values(_values(thread))
        statement = statement.on_conflict_do_nothing(index_elements=["incident", "channel"])
        async with self._engine.begin() as connection:
            done = await connection.execute(statement.returning(ThreadRow.incident))
            return done.scalar_one_or_none() is not None

    async def put(self, thread: Thread) -> None:
        """Keep it, instead of what was kept there before."""
        statement = self._insert(ThreadRow).values(_values(thread))
        new = {name: statement.excluded[name] for name in ("reference", "state", "put_at")}
        statement = statement.on_conflict_do_update(index_elements=["incident", "channel"], set_=new)
        async with self._engine.begin() as connection:
            await connection.execute(statement)

    async def drop(self, incident: str, channel: str) -> None:
        """Forget it; nothing happens where there is none."""
        async with self._engine.begin() as connection:
            await connection.execute(
                delete(ThreadRow).where(ThreadRow.incident == incident, ThreadRow.channel == channel)
            )


def _values(thread: Thread) -> dict[str, Any]:
    return {
        "incident": thread.incident,
        "channel": thread.channel,
        "reference": thread.reference,
        "state": dict(thread.state),
        "put_at": thread.put_at,
    }
