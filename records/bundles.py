"""Bundles: what many incidents have to say to the same people, put by until their account says it in one message.

A bundle is closed once, and the row of the bundle decides every race: whoever puts parts by and whoever closes it holds
that row (on SQLite: the file). So a part is either there when the bundle is closed, or whoever brings it is told that it
came too late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, distinct, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from records.models import Bundle, NoticePart

_KEY = (
    NoticePart.bundle,
    NoticePart.incident,
    NoticePart.step_key,
    NoticePart.recipient_channel,
    NoticePart.recipient_id,
)
_TO = (NoticePart.recipient_channel, NoticePart.recipient_id)
_AT_ONCE = 100
"""Keys that one statement asks for: five parameters each, of which a database takes some thousands."""
PartKey = tuple[str, str, str, str, str]
Said = tuple[Mapping[str, Any], Mapping[str, Any]]
"""A part's recipient and message."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one incident has to say to one recipient, within a bundle."""

    bundle: str
    customer: str
    incident: str
    step_key: str
    channel: str
    recipient_id: str
    recipient: Mapping[str, Any]
    """Whom to reach, and how."""
    message: Mapping[str, Any]
    """All that is needed to write it out; `rank`, a text, says which come first where not all can be listed."""

    @property
    def key(self) -> PartKey:
        """What makes it this part: put by twice, it is there once."""
        return (self.bundle, self.incident, self.step_key, self.channel, self.recipient_id)


@dataclass(frozen=True, slots=True)
class Pile:
    """What a bundle has to say to one recipient."""

    bundle: str
    channel: str
    recipient_id: str
    parts: int
    """So many parts are still to be said. None: all were."""


class BundleStore:
    """The tables `bundles` and `notice_parts`. Database errors are SQLAlchemy's own (`SQLAlchemyError`)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        self._insert = sqlite_insert if self._sqlite else postgresql_insert

    async def said_for(self, incident: str) -> set[str]:
        """The keys of the messages that were sent with a part of an incident that has this text in its id."""
        name = NoticePart.bundle + "/" + NoticePart.recipient_channel + "-" + NoticePart.recipient_id
        wanted = NoticePart.incident.contains(incident, autoescape=True), NoticePart.sent_at.is_not(None)
        async with self._engine.connect() as connection:
            return set(await connection.scalars(select(name).distinct().where(*wanted)))

    async def put(self, parts: Sequence[Part], at: datetime) -> list[bool]:
        """Put parts by, in one transaction: True for each that its bundle holds, now or since before it was closed.

        False: the bundle was closed without it, so it has to be said by itself.
        """
        customers = {part.bundle: part.customer for part in parts}
        async with self._engine.begin() as connection:
            closed = await self._hold(connection, customers)
            fresh = {part.key: part for part in parts if part.bundle not in closed}
            late = [part.key for part in parts if part.bundle in closed]
            if fresh:
                await connection.execute(
                    self._insert(NoticePart).on_conflict_do_nothing(), [_row(part, at) for part in fresh.values()]
                )
            held = set(fresh) | await _there(connection, late)
        return [part.key in held for part in parts]

    async def holds(self, begins: str, incident: str, step_key: str) -> bool:
        """Whether a bundle whose id begins so has this part of an incident, said or not."""
        of_it = NoticePart.incident == incident, NoticePart.step_key == step_key
        wanted = select(NoticePart.bundle).where(NoticePart.bundle.startswith(begins, autoescape=True), *of_it)
        async with self._engine.connect() as connection:
            return (await connection.execute(wanted.limit(1))).first() is not None

    async def gathered(self, bundles: Sequence[str]) -> tuple[int, bool]:
        """How many incidents have put parts by in these bundles, and whether all of them are closed already."""
        closed = select(func.count()).where(Bundle.id.in_(bundles), Bundle.sent_at.is_not(None)).scalar_subquery()
        asked = select(func.count(distinct(NoticePart.incident)), closed).where(NoticePart.bundle.in_(bundles))
        async with self._engine.connect() as connection:
            incidents, over = (await connection.execute(asked)).one()
        return incidents, over == len(set(bundles))

    async def close(self, bundle: str, customer: str, at: datetime) -> list[Pile]:
        """Let no further part in, and give what it holds, in one transaction; closing it again gives how far that was said."""
        async with self._engine.begin() as connection:
            await self._hold(connection, {bundle: customer})
            await connection.execute(
                update(Bundle).where(Bundle.id == bundle, Bundle.sent_at.is_(None)).values(sent_at=at)
            )
            unsent = func.count() - func.count(NoticePart.sent_at)
            asked = select(*_TO, unsent).where(NoticePart.bundle == bundle)
            found = await connection.execute(asked.group_by(*_TO).order_by(*_TO))
            return [Pile(bundle, channel, recipient, parts) for channel, recipient, parts in found]

    async def first(self, piles: Sequence[Pile], limit: int) -> dict[Pile, list[Said]]:
        """The unsent parts of piles of one bundle, at most `limit` of each, by rank."""
        rank = NoticePart.message["rank"].as_string()
        place = func.row_number().over(partition_by=_TO, order_by=(rank, NoticePart.incident, NoticePart.step_key))
        numbered = (
            select(*_TO, NoticePart.recipient, NoticePart.message, place.label("place")).where(*_of(piles)).subquery()
        )
        columns, found = numbered.c, dict[Pile, list[Said]]((pile, []) for pile in piles)
        by_recipient = {(pile.channel, pile.recipient_id): pile for pile in piles}
        asked = select(columns.recipient_channel, columns.recipient_id, columns.recipient, columns.message)
        async with self._engine.connect() as connection:
            rows = await connection.execute(asked.where(columns.place <= limit).order_by(columns.place))
            for channel, id, recipient, message in rows:
                found[by_recipient[channel, id]].append((recipient, message))
        return found

    async def call_off(self, begins: str, incident: str, at: datetime) -> list[Said]:
        """The unsent parts of an incident in bundles whose ids begin so; nobody else gets them from now on."""
        of_it = NoticePart.incident == incident, NoticePart.sent_at.is_(None)
        theirs = NoticePart.bundle.startswith(begins, autoescape=True), *of_it
        async with self._engine.begin() as connection:
            taken = update(NoticePart).where(*theirs).values(sent_at=at)
            rows = await connection.execute(taken.returning(NoticePart.recipient, NoticePart.message))
            return [(recipient, message) for recipient, message in rows]

    async def sent(self, piles: Sequence[Pile], at: datetime) -> None:
        """Remember that piles of one bundle were said."""
        async with self._engine.begin() as connection:
            await connection.execute(update(NoticePart).where(*_of(piles)).values(sent_at=at))

    async def forgotten(self, before: datetime, customer: str | None = None) -> list[tuple[str, str]]:
        """Bundles, with their customers, of which something is unsent though nothing came since `before`; oldest first."""
        last = func.max(NoticePart.put_at)
        asked = select(Bundle.id, Bundle.customer).join(NoticePart, NoticePart.bundle == Bundle.id)
        asked = asked.where(NoticePart.sent_at.is_(None)).group_by(Bundle.id, Bundle.customer)
        if customer is not None:
            asked = asked.where(Bundle.customer == customer)
        async with self._engine.connect() as connection:
            found = await connection.execute(asked.having(last < before).order_by(last, Bundle.id))
            return [(bundle, whose) for bundle, whose in found]

    async def purge(self, before: datetime) -> int:
        """Drop the parts that were sent before a moment, for they name people; how many there were."""
        async with self._engine.begin() as connection:
            return (await connection.execute(delete(NoticePart).where(NoticePart.sent_at < before))).rowcount

    async def _hold(self, connection: AsyncConnection, customers: Mapping[str, str]) -> set[str]:
        """Make the bundles where they are not there, and hold their rows to the end of the transaction; which are closed."""
        if self._sqlite:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        rows = [{"id": bundle, "customer": customers[bundle], "sent_at": None} for bundle in sorted(customers)]
        await connection.execute(self._insert(Bundle).on_conflict_do_nothing(), rows)
        asked = select(Bundle.id, Bundle.sent_at).where(Bundle.id.in_(customers)).order_by(Bundle.id).with_for_update()
        return {bundle for bundle, sent_at in await connection.execute(asked) if sent_at is not None}


async def _there(connection: AsyncConnection, keys: Sequence[PartKey]) -> set[PartKey]:
    found = set[PartKey]()
    for start in range(0, len(keys), _AT_ONCE):
        asked = select(*_KEY).where(tuple_(*_KEY).in_(keys[start : start + _AT_ONCE]))
        for bundle, incident, step_key, channel, recipient in await connection.execute(asked):
            found.add((bundle, incident, step_key, channel, recipient))
    return found


def _row(part: Part, at: datetime) -> dict[str, Any]:
    return {
        "bundle": part.bundle,
        "incident": part.incident,
        "step_key": part.step_key,
        "recipient_channel": part.channel,
        "recipient_id": part.recipient_id,
        "recipient": dict(part.recipient),
        "message": dict(part.message),
        "put_at": at,
        "sent_at": None,
    }


def _of(piles: Sequence[Pile]) -> tuple[ColumnElement[bool], ...]:
    """What is unsent of piles of one bundle."""
    to = [(pile.channel, pile.recipient_id) for pile in piles]
    return (NoticePart.bundle == piles[0].bundle, NoticePart.sent_at.is_(None), tuple_(*_TO).in_(to))
