"""The log of deliveries: what every request of a source came to, and by what a repetition is known."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Text, and_, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncEngine

from records.models import DeliveryRow

CARRIED_OUT: Final = ("accepted", "duplicate", "ignored", "spooled", "kept")
MAX_TEXT: Final = 500
MAX_TICKETS: Final = 50
_MOST: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One request of a source and what became of it; `source` is `KIND/NAME`, `received_at` aware."""

    id: str
    """A number of ours for it (hex)."""
    source: str
    received_at: datetime
    delivery: str
    """The sender's own id of it, empty where it has none."""
    digest: str
    """SHA-256 of the body, hex; empty where the body was not read."""
    kind: str
    """The type of event, in the source's words."""
    outcome: str
    """accepted, duplicate, ignored, spooled, kept or refused."""
    detail: str
    tickets: tuple[str, ...] = ()
    words: int = 0
    took_ms: int = 0


class Known(NamedTuple):
    """By what a delivery that was carried out is known again."""

    source: str
    delivery: str
    digest: str
    received_at: datetime


class DeliveryStore:
    """The table `deliveries`. Database errors are SQLAlchemy's own (`SQLAlchemyError`)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        sqlite = engine.dialect.name == "sqlite"
        self._insert = sqlite_insert if sqlite else postgresql_insert
        self._each = func.json_each if sqlite else func.json_array_elements_text

    async def put(self, records: Sequence[DeliveryRecord]) -> None:
        """Keep them, all or none; those whose id is kept already are left as they are. Long texts are cut."""
        if not records:
            return
        statement = self._insert(DeliveryRow).on_conflict_do_nothing(index_elements=["id"])
        async with self._engine.begin() as connection:
            await connection.execute(statement, [_values(one) for one in records])

    async def recent(
        self, limit: int = 50, *, source: str | None = None, outcome: str | None = None, ticket: str | None = None
    ) -> list[DeliveryRecord]:
        """The newest first, at most `limit`. `source` is `KIND/NAME`, or the name alone."""
        asked = select(DeliveryRow.__table__).order_by(DeliveryRow.received_at.desc(), DeliveryRow.id).limit(limit)
        if source is not None:
            named = DeliveryRow.source.endswith(f"/{source}", autoescape=True)
            asked = asked.where(DeliveryRow.source == source if "/" in source else named)
        if outcome is not None:
            asked = asked.where(DeliveryRow.outcome == outcome)
        if ticket is not None:
            one = self._each(DeliveryRow.tickets).table_valued("value")
            asked = asked.where(select(one.c.value).where(one.c.value.cast(Text) == ticket).exists())
        async with self._engine.connect() as connection:
            return [_record(row) for row in (await connection.execute(asked)).mappings()]

    async def known(self, limit: int) -> list[Known]:
        """By what the newest that were carried out are known again, the newest first.

        A repetition without an id of its sender's is left out: only the first of them counts, for it is known by its time.
        """
        named = DeliveryRow.delivery != ""
        alike = and_(DeliveryRow.digest != "", DeliveryRow.outcome != "duplicate")
        asked = (
            select(DeliveryRow.source, DeliveryRow.delivery, DeliveryRow.digest, DeliveryRow.received_at)
            .where(DeliveryRow.outcome.in_(CARRIED_OUT), or_(named, alike))
            .order_by(DeliveryRow.received_at.desc(), DeliveryRow.id)
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            return [Known(*row) for row in await connection.execute(asked)]

    async def counts(self, since: datetime) -> dict[tuple[str, str], int]:
        """How many of each source and outcome came at or after `since`."""
        by = (DeliveryRow.source, DeliveryRow.outcome)
        asked = select(*by, func.count()).where(DeliveryRow.received_at >= since).group_by(*by)
        async with self._engine.connect() as connection:
            return {(source, outcome): many for source, outcome, many in await connection.execute(asked)}

    async def purge(self, before: datetime) -> int:
        """Forget what came before that; how many they were."""
        async with self._engine.begin() as connection:
            done = await connection.execute(delete(DeliveryRow).where(DeliveryRow.received_at < before))
            return done.rowcount


def storable(text: str, limit: int = MAX_TEXT) -> str:
    """A text as every database takes it, cut: PostgreSQL has no place for the character NUL, and none has for half a character."""
    return text[:limit].replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _values(record: DeliveryRecord) -> dict[str, Any]:
    texts = {name: storable(text) for name, text in asdict(record).items() if isinstance(text, str)}
    return {
        **texts,
        "received_at": record.received_at,
        "tickets": [storable(ticket) for ticket in record.tickets[:MAX_TICKETS]],
        "words": min(max(record.words, 0), _MOST),
        "took_ms": min(max(record.took_ms, 0), _MOST),
    }


def _record(row: Mapping[Any, Any]) -> DeliveryRecord:
    return DeliveryRecord(**{**row, "tickets": tuple(row["tickets"])})
