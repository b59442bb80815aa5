"""Words from outside that were rightly signed and could be brought to nobody: kept until somebody has seen to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncEngine

from records.models import DeadLetter

AS_BYTES = "(not all of it is text: below, each character is a byte, as in Latin-1, and \u2400 is a zero)\n"
"""The first line of a body that is kept by its bytes."""
MAX_BODY = 5 * 1024 * 1024 + len(AS_BYTES)
"""Characters: as much as any hook takes, for what is cut can't be taken again."""
LISTED = 64 * 1024
"""Characters of each body that a list of letters holds."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One word that nobody got: where it came from, why nobody got it, what it was about, and as much of it as is kept."""

    id: str
    """`SOURCE/ID`, with the id that its sender gave it."""
    source: str
    received_at: datetime
    why: str
    kind: str
    subject: str
    body: str
    """As people read it: `body_of` makes it."""
    handled_at: datetime | None = None
    handled_how: str | None = None

    @property
    def raw(self) -> bytes:
        """The body's bytes, exactly as they came."""
        if not self.body.startswith(AS_BYTES):
            return self.body.encode()
        return self.body.removeprefix(AS_BYTES).replace("\u2400", "\x00").encode("latin-1", "replace")


def body_of(raw: bytes) -> str:
    """A body as a letter keeps it: its text; where it is not all UTF-8, or no database takes it, its bytes as characters."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = AS_BYTES
    if "\x00" in text or text.startswith(AS_BYTES):
        return AS_BYTES + raw.decode("latin-1").replace("\x00", "\u2400")
    return text


class DeadLetterStore:
    """The table `dead_letters`. Database errors are SQLAlchemy's own (`SQLAlchemyError`)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._insert = sqlite_insert if engine.dialect.name == "sqlite" else postgresql_insert

    async def put(self, letter: Letter) -> bool:
        """Keep it, unless one of that id is kept already; True when it is this that is kept now."""
        values = {name: _storable(getattr(letter, name)) for name in Letter.__slots__}
        values["body"] = values["body"][:MAX_BODY]
        statement = self._insert(DeadLetter).values(values).on_conflict_do_nothing(index_elements=["id"])
        async with self._engine.begin() as connection:
            done = await connection.execute(statement.returning(DeadLetter.id))
            return done.scalar_one_or_none() is not None

    async def get(self, id: str) -> Letter | None:
        """The letter of that id, or None."""
        async with self._engine.connect() as connection:
            found = await connection.execute(select(DeadLetter.__table__).where(DeadLetter.id == id))
            row = found.mappings().one_or_none()
        return None if row is None else _letter(row)

    async def list(self, limit: int = 50, *, handled: bool = False, source: str | None = None) -> list[Letter]:
        """Those that wait, the newest first, at most `limit`; with `handled` also those that were seen to.

        Of long bodies the beginning (`LISTED`); `get` has them whole. `source` is `KIND/NAME`, or the name alone.
        """
        columns = [column for column in DeadLetter.__table__.columns if column.name != "body"]
        beginning = func.substr(DeadLetter.body, 1, LISTED).label("body")
        asked = select(*columns, beginning).order_by(DeadLetter.received_at.desc(), DeadLetter.id).limit(limit)
        if not handled:
            asked = asked.where(DeadLetter.handled_at.is_(None))
        if source is not None:
            named = DeadLetter.source.endswith(f"/{source}", autoescape=True)
            asked = asked.where(DeadLetter.source == source if "/" in source else named)
        async with self._engine.connect() as connection:
            rows = await connection.execute(asked)
            return [_letter(row) for row in rows.mappings()]

    async def waiting(self) -> int:
        """How many wait."""
        asked = select(func.count()).select_from(DeadLetter).where(DeadLetter.handled_at.is_(None))
        async with self._engine.connect() as connection:
            return int((await connection.execute(asked)).scalar_one())

    async def by_source(self) -> dict[str, int]:
        """How many of each source wait; sources without any are left out."""
        waits = DeadLetter.handled_at.is_(None)
        asked = select(DeadLetter.source, func.count()).where(waits).group_by(DeadLetter.source)
        async with self._engine.connect() as connection:
            return {row[0]: row[1] for row in await connection.execute(asked)}

    async def handle(self, id: str, at: datetime, how: str) -> bool:
        """Note that a letter was seen to; False when it was before, or is not there."""
        waits = (DeadLetter.id == id, DeadLetter.handled_at.is_(None))
        async with self._engine.begin() as connection:
            done = await connection.execute(update(DeadLetter).where(*waits).values(handled_at=at, handled_how=how))
            return bool(done.rowcount)


def _storable(value: Any) -> Any:
    """A text as every database takes it: PostgreSQL has no place for the character NUL."""
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else value


def _letter(row: Mapping[Any, Any]) -> Letter:
    return Letter(**row)
