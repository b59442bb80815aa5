"""The memory of what was sent: asked before every sending, and the audit of it afterwards."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncEngine

from records.models import NoticePart, NoticeSent


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


@dataclass(frozen=True, slots=True)
class Went:
    """A message of an incident that went out: the keys of the steps that it says, to whom (as in its key), and how."""

    steps: tuple[str, ...]
    to: str
    via: str


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

    async def went(self, incident: str) -> list[Went]:
        """How the messages of one incident went, those too that went as a part of another."""
        name = NoticePart.bundle + "/" + NoticePart.recipient_channel + "-" + NoticePart.recipient_id
        alone = select(NoticeSent.key, NoticeSent.via).where(NoticeSent.incident == incident)
        parts = select(NoticePart.step_key, NoticePart.recipient_id, NoticeSent.via).join(
            NoticeSent, NoticeSent.key == name
        )
        async with self._engine.connect() as connection:
            found = [_went(incident, key, via) for key, via in await connection.execute(alone)]
            for key, to, via in await connection.execute(parts.where(NoticePart.incident == incident)):
                whole = key.startswith(f"{incident}/")  # what was put off keeps the key of its message
                found.append(_went(incident, key, via) if whole else Went((key,), to, via))
        return found

    async def recent(self, limit: int = 50) -> list[Sent]:
        """The newest first, at most `limit`."""
        order = (NoticeSent.sent_at.desc(), NoticeSent.key)
        async with self._engine.connect() as connection:
            rows = await connection.execute(select(NoticeSent.__table__).order_by(*order).limit(limit))
            return [_sent(row) for row in rows.mappings()]


def _went(incident: str, key: str, via: str) -> Went:
    said, _, to = key.removeprefix(f"{incident}/").rpartition("/")
    return Went(tuple(said.split("+")), to, via)


def _sent(row: Mapping[Any, Any]) -> Sent:
    return Sent(**{**row, "recipients": tuple(row["recipients"])})
