"""The memory of what was sent: asked before every sending, and the audit of it afterwards."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncEngine

from records.models import NoticeSent


@dataclass(frozen=True, slots=True)
class Sent:
    """One message that went out: `channel` is what was asked for, `via` how it went, `sent_at` aware."""

    key: str
    incident: str
    kind: str
    clock: str | None
    step: str | None
    clause: str | None
    channel: str
    recipients: tuple[str, ...]
    via: str
    sent_at: datetime
    detail: str


class SentStore:
    """The table `notices_sent`. Database errors are SQLAlchemy's own (`SQLAlchemyError`)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._insert = sqlite_insert if engine.dialect.name == "sqlite" else postgresql_insert

    async def get(self, key: str) -> Sent | None:
        """What was sent under the key, if anything."""
        async with self._engine.connect() as connection:
            found = await connection.execute(select(NoticeSent.__table__).where(NoticeSent.key == key))
            row = found.mappings().one_or_none()
        return None if row is None else _sent(row)

    async def put(self, sent: Sent) -> bool:
        """Keep it, unless something is kept under its key already; True when it is this that is kept now."""
        values = asdict(sent) | {"recipients": list(sent.recipients)}
        statement = self._insert(NoticeSent).values(values).on_conflict_do_nothing(index_elements=["key"])
        async with self._engine.begin() as connection:
            done = await connection.execute(statement.returning(NoticeSent.key))
            return done.scalar_one_or_none() is not None

    async def recent(self, limit: int = 50) -> list[Sent]:
        """The newest first, at most `limit`."""
        order = (NoticeSent.sent_at.desc(), NoticeSent.key)
        async with self._engine.connect() as connection:
            rows = await connection.execute(select(NoticeSent.__table__).order_by(*order).limit(limit))
            return [_sent(row) for row in rows.mappings()]


def _sent(row: Mapping[Any, Any]) -> Sent:
    return Sent(**{**row, "recipients": tuple(row["recipients"])})
