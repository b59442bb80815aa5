"""The spool: words that Temporal did not take, kept until it does, in the order in which they came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncEngine

from records.dead_letters import Letter
from records.deliveries import storable
from records.models import DeadLetter, DeliveryRow, SpooledRow
from sla.account_events import AccountDelivery
from sla.events import Delivery

LETTERS: Final = "spool"
"""The dead letters of what was given up are `spool/SOURCE/ID`."""
_AT_A_TIME: Final = 500


@dataclass(frozen=True, slots=True)
class Spooled:
    """Words of one ticket that wait, or of a customer's account where neither ticket nor incident is named; `put_at` aware.

    Without words: that the ticket is to be read by its helpdesk's API, or that the account is to look at its payments.
    """

    id: str
    """Of two that were put at one moment, the lesser was put before the other."""
    source: str
    """The source's name, as in the incidents' ids."""
    ticket: str
    customer: str
    incident: str | None
    """The one incident that the words are for, where they open none."""
    words: tuple[Delivery, ...] | tuple[AccountDelivery, ...]
    put_at: datetime
    tries: int = 0
    """How often it was tried in vain while Temporal answered."""
    why: str = ""
    """Why it was not taken, the last time."""

    @property
    def of_account(self) -> bool:
        """Whether it is for the customer's account."""
        return not self.ticket and self.incident is None


class Spool:
    """The table `spool`. Database errors are SQLAlchemy's own (`SQLAlchemyError`)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._insert = sqlite_insert if engine.dialect.name == "sqlite" else postgresql_insert

    async def put(self, spooled: Spooled) -> None:
        """Keep words, unless such an id is kept already."""
        values = {name: _clean(getattr(spooled, name)) for name in Spooled.__slots__}
        values["words"] = [word.model_dump(mode="json") for word in spooled.words]
        statement = self._insert(SpooledRow).values(values).on_conflict_do_nothing(index_elements=["id"])
        async with self._engine.begin() as connection:
            await connection.execute(statement)

    async def waiting(self, limit: int) -> list[Spooled]:
        """The oldest of each ticket and account, at most `limit`, those before the others that were not yet tried in vain, then the oldest."""
        ticket = (SpooledRow.source, SpooledRow.ticket, SpooledRow.incident, SpooledRow.customer)
        turn = func.row_number().over(partition_by=ticket, order_by=(SpooledRow.put_at, SpooledRow.id))
        row = select(SpooledRow.__table__, turn.label("turn")).subquery()
        asked = select(row).where(row.c.turn == 1).order_by(row.c.tries, row.c.put_at, row.c.id).limit(limit)
        async with self._engine.connect() as connection:
            return [_spooled(one) for one in (await connection.execute(asked)).mappings()]

    async def done(self, id: str) -> bool:
        """Take out what Temporal has; False: somebody else did."""
        async with self._engine.begin() as connection:
            return bool((await connection.execute(delete(SpooledRow).where(SpooledRow.id == id))).rowcount)

    async def failed(self, id: str, why: str) -> None:
        """Note that it was tried in vain."""
        values = {"tries": SpooledRow.tries + 1, "why": storable(why)}
        async with self._engine.begin() as connection:
            await connection.execute(update(SpooledRow).where(SpooledRow.id == id).values(values))

    async def give_up(self, id: str, letter: Letter) -> bool:
        """Take it out and keep it as a dead letter, whole, both or neither; False: it was not there any more."""
        kept = {name: _clean(getattr(letter, name)) for name in Letter.__slots__}
        statement = self._insert(DeadLetter).values(kept).on_conflict_do_nothing(index_elements=["id"])
        async with self._engine.begin() as connection:
            gone = await connection.execute(delete(SpooledRow).where(SpooledRow.id == id))
            if gone.rowcount:
                await connection.execute(statement)
            return bool(gone.rowcount)

    async def settle(self, at: datetime) -> int:
        """Note in the log of deliveries what has become of those that were spooled, the oldest 500; how many they were.

        Temporal has all that one told by `at`, where nothing of it waits and nothing became a dead letter.
        """
        log = DeliveryRow.__table__.c
        spooled = select(log.id).where(log.outcome == "spooled").order_by(log.received_at).limit(_AT_A_TIME)
        async with self._engine.begin() as connection:
            found = (await connection.scalars(spooled)).all()
            if not found:
                return 0
            waits = {_delivery(id) for id in await connection.scalars(select(SpooledRow.id))}
            if None in waits:  # put by an earlier version, which did not write down of what they are
                return 0
            given = select(DeadLetter.id).where(DeadLetter.source.startswith(f"{LETTERS}/", autoescape=True))
            letters = {_delivery(id): id for id in await connection.scalars(given)}
            ended = []
            for id in found:
                if id in waits:
                    continue
                said = f"it waited in the records until {at:%Y-%m-%d %H:%M:%S} {at:%Z}"
                if id in letters:
                    said = f"Temporal did not take it; it is the dead letter {letters[id]}"
                ended.append({"this": id, "what": "kept" if id in letters else "accepted", "said": storable(said)})
            if ended:
                noted = update(DeliveryRow).where(log.id == bindparam("this"))
                await connection.execute(noted.values(outcome=bindparam("what"), detail=bindparam("said")), ended)
            return len(ended)

    async def count(self) -> int:
        """How many wait."""
        return sum((await self.by_source()).values())

    async def by_source(self) -> dict[str, int]:
        """How many of each source wait, by its name; sources without any are left out."""
        asked = select(SpooledRow.source, func.count()).group_by(SpooledRow.source)
        async with self._engine.connect() as connection:
            return {row[0]: row[1] for row in await connection.execute(asked)}

    async def oldest(self) -> datetime | None:
        """Since when the oldest waits; None: nothing does."""
        asked = select(SpooledRow.put_at).order_by(SpooledRow.put_at).limit(1)
        async with self._engine.connect() as connection:
            return (await connection.execute(asked)).scalar_one_or_none()


def spool_id(at: datetime, delivery: str, unique: str) -> str:
    """An id that sorts by when it was put, and tells of which delivery the words are (as the log calls it; or empty)."""
    return f"{round(at.timestamp() * 1_000_000):018}-{delivery}-{unique}"


def _delivery(id: str) -> str | None:
    """The delivery that the id of a spooled row, or of a dead letter that it became, tells; None: it tells nothing of it."""
    parts = id.rpartition("/")[2].split("-")
    return parts[1] if len(parts) == 3 else None


def _clean(value: Any) -> Any:
    return storable(value, len(value)) if isinstance(value, str) else value


def _spooled(row: Mapping[Any, Any]) -> Spooled:
    held = Spooled(**{**{name: row[name] for name in Spooled.__slots__}, "words": ()})
    return replace(held, words=words_of(held, row["words"]))


def words_of(held: Spooled, told: Sequence[Any]) -> tuple[Delivery, ...] | tuple[AccountDelivery, ...]:
    """The words of what is held, as JSON has them.

    Raises:
        ValueError: they are none.
    """
    if held.of_account:
        return tuple(AccountDelivery.model_validate(one) for one in told)
    return tuple(Delivery.model_validate(one) for one in told)
